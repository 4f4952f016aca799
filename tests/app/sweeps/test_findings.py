from __future__ import annotations

import pytest
from msgspec import to_builtins

from app.sweeps.findings import SIZES, FrontierRow, MissingCase, Smallest, SmallestBySize, SmallNetwork

ROW = FrontierRow(
    label="a",
    kind="pruned",
    target="40 parameters",
    parameters=40,
    onnx_nodes=60,
    value_r2=0.5,
    delta_r2=0.5,
    gamma_r2=0.5,
    value_rmse=0.5,
    delta_rmse=0.5,
    gamma_rmse=0.5,
    latency_seconds={"1": 1e-5},
    relative_latency={"1": 1.0},
    latency=0.4,
    seconds=1.0,
)


@pytest.mark.parametrize(("axis", "size"), [("parameters", 40), ("onnx_nodes", 60), ("latency", 0.4)])
def test_a_row_is_as_large_as_its_axis_says(axis: str, size: float) -> None:
    assert ROW.along(axis) == size


def test_the_smallest_are_told_by_either_size_under_the_names_of_the_report() -> None:
    network = SmallNetwork(label="a", target="40 parameters", parameters=40, onnx_nodes=60, gamma_r2=0.5)
    one, other = Smallest(overall=network, pruned=None), Smallest(overall=None, pruned=network)
    smallest = SmallestBySize(gamma_r2=0.9, parameters=one, onnx_nodes=other)
    assert [smallest.by(size) for size in SIZES] == [one, other]
    plain = to_builtins(smallest)
    assert list(plain) == ["gamma_r2", "seeds", "parameters", "onnx_nodes"]
    assert plain["parameters"]["all"] == to_builtins(network)
    assert plain["onnx_nodes"]["all"] is None


def test_a_missing_case_says_what_it_was_and_then_why() -> None:
    case = MissingCase(
        label="a", kind="pruned", method="obs", target="9 parameters", seed=1, status="failed", sentence="no luck"
    )
    assert list(to_builtins(case)) == ["label", "kind", "method", "target", "seed", "status", "sentence"]

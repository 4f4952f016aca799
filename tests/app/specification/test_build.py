from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from app.specification.build import BuildSpec, PruneJobSpec, read_build_spec
from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.sampler import TableSampler

VALUES_ONLY = {"order": 0}
RANDOM = {"method": "magnitude", "sparsity": 0.5}


def test_round_trip(tiny: dict[str, Any]) -> None:
    spec = load(BuildSpec, tiny)
    assert load(BuildSpec, dump(spec)) == spec


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "a.b", "x" * 65, "jobs.sqlite"])
def test_a_name_is_a_safe_folder(tiny: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidSpec, match="name must be"):
        load(BuildSpec, tiny | {"name": name})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"training": {"loss": {"order": 1}}}, "training.loss needs labels of order 1"),
        (
            {"training": {"loss": {"order": 0}}, "network": {"inputs": "differential_pca"}},
            "network.inputs needs labels of order 1",
        ),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"rows": "sobolev"}},
            "pruning.rows needs labels of order 1",
        ),
        (
            {"training": {"loss": {"order": 0}}, "pruning": RANDOM | {"fine_tuning": {"loss": {"order": 2}}}},
            "pruning.fine_tuning.loss needs labels of order 2",
        ),
    ],
)
def test_losses_need_their_labels_before_any_work(tiny: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    labels = tiny["labels"] | VALUES_ONLY
    with pytest.raises(InvalidSpec, match=field):
        load(BuildSpec, tiny | {"labels": labels} | changes)


def test_maturities_around_a_dividend_are_refused(tiny: dict[str, Any]) -> None:
    spots, maturity = ({"name": name, "lower": [0.5], "upper": [1.5]} for name in ("spot", "maturity"))
    process = {"kind": "black_scholes", "volatilities": [0.2], "correlation": [[1.0]], "dividends": []}
    problem: dict[str, Any] = {"process": process, "payoff": {"kind": "call", "weights": [1.0], "strike": 1.0}}
    problem |= {"maturity": 1.0, "features": [spots, maturity]}
    load(BuildSpec, tiny | {"problem": problem})
    process["dividends"] = [{"time": 0.75, "proportion": 0.1}]
    with pytest.raises(InvalidSpec, match=r"process.dividends\[0\] at 0.75 years.* build one model up to") as caught:
        load(BuildSpec, tiny | {"problem": problem})
    assert caught.value.fields["path"] == "problem.features[1].upper"


def test_a_variance_that_stays_at_zero_is_refused_with_curvature(tiny: dict[str, Any]) -> None:
    features = [{"name": name, "lower": [0.0], "upper": [1.5]} for name in ("spot", "long_variance")]
    process = {"kind": "heston", "initial_variances": [0.04], "mean_reversions": [1.5], "long_variances": [0.04]}
    process |= {"variance_volatilities": [0.5], "spot_variance_correlations": [-0.7], "correlation": [[1.0]]}
    payoff = {"kind": "call", "weights": [1.0], "strike": 1.0}
    tiny |= {"problem": {"process": process, "payoff": payoff, "maturity": 1.0, "features": features}}
    load(BuildSpec, tiny | {"labels": tiny["labels"] | {"order": 1}})
    with pytest.raises(InvalidSpec, match=r"long_variance must be > 0 for order = 2 .* or use order = 1") as caught:
        load(BuildSpec, tiny | {"labels": tiny["labels"] | {"order": 2}})
    assert caught.value.fields["path"] == "problem.features[1].lower[0]"


def test_a_prune_job_with_labels_of_its_own_is_held_to_them() -> None:
    pruning = RANDOM | {"fine_tuning": {}}
    assert load(PruneJobSpec, {"model": "m", "pruning": pruning}).labels is None
    with pytest.raises(InvalidSpec, match="raise that one"):
        load(PruneJobSpec, {"model": "m", "pruning": pruning, "labels": VALUES_ONLY})


def test_a_network_too_large_for_its_optimiser_is_refused_before_any_work(tiny: dict[str, Any]) -> None:
    large = {"hidden": [64, 64]}
    with pytest.raises(InvalidSpec, match="this network has 4417; use lbfgs or adam"):
        load(BuildSpec, tiny | {"network": large})
    training = {"optimisers": [{"kind": "lbfgs"}]}
    assert load(BuildSpec, tiny | {"network": large, "training": training}).network.parameters(2) == 4417


def with_sampler(path: Path, sampler: str) -> Path:
    """The build specification with a sampler."""
    path.write_text(path.read_text().replace("[labels]", f"[labels]\nsampler = {sampler}"))
    return path


def test_a_table_beside_the_file_becomes_states(tiny_file: Path) -> None:
    (tiny_file.parent / "history.csv").write_text("spot[1],spot[0]\n1.1,0.9\n1.2,0.1\n")
    sampler = '{ kind = "table", table = "history.csv", flow = { epochs = 3 } }'
    spec = read_build_spec(with_sampler(tiny_file, sampler))
    assert isinstance(spec.labels.sampler, TableSampler)
    assert spec.labels.sampler.states == ((0.9, 1.1), (0.1, 1.2))
    assert spec.labels.sampler.flow.epochs == 3
    assert load_spec("train", dump(spec)) == spec


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("spot[0],rate\n1,1\n", r"table: the header must name spot\[0\], spot\[1\], got spot\[0\], rate"),
        ("spot[0],spot[1]\n1,1\n1,nan\n", "table: line 3, column 2: need a finite number, got 'nan'"),
        ("spot[0],spot[1]\n1,1\n", "give 2 to 20000 rows, got 1"),
        (None, "table: cannot read .*history.csv"),
    ],
)
def test_a_table_that_does_not_fit_says_where(rows: str | None, message: str, tiny_file: Path) -> None:
    if rows is not None:
        (tiny_file.parent / "history.csv").write_text(rows)
    with pytest.raises(InvalidSpec, match=message):
        read_build_spec(with_sampler(tiny_file, '{ kind = "table", table = "history.csv" }'))


@pytest.mark.parametrize("kind", ["train", "prune"])
def test_a_client_cannot_make_the_server_read_a_file(kind: Literal["train", "prune"], tiny: dict[str, Any]) -> None:
    labels = tiny["labels"] | {"sampler": {"kind": "table", "table": "/etc/passwd"}}
    spec = tiny | {"labels": labels} if kind == "train" else {"model": "m", "pruning": RANDOM, "labels": labels}
    with pytest.raises(InvalidSpec, match=r"only the command line reads a file; send its rows as states"):
        load_spec(kind, spec)


@pytest.mark.parametrize(
    ("flow", "path"),
    [
        ({"sparsity": 2.0}, "labels.sampler.flow.sparsity"),
        ({"sparsity": 0.5, "method": "magic"}, "labels.sampler.flow.method"),
        ({"method": "magic"}, "labels.sampler.flow.method"),
    ],
)
def test_a_flow_is_pruned_by_a_method_that_exists(flow: dict[str, Any], path: str, tiny: dict[str, Any]) -> None:
    sampler = {"kind": "table", "states": [[1.0, 1.0], [0.9, 1.2]], "flow": flow}
    with pytest.raises(InvalidSpec, match=r"sparsity must be|choose one of .*magnitude") as caught:
        load(BuildSpec, tiny | {"labels": tiny["labels"] | {"sampler": sampler}})
    assert caught.value.fields["path"] == path

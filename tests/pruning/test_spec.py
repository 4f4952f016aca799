from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pruning.spec import FAILURE, MAXIMUM_SCORES, MAXIMUM_SPLITS, PruningSpec


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"splits": MAXIMUM_SPLITS + 1}, "splits", r"splits must be in \[1, 4096\], got 4097"),
        ({"splits": 0}, "splits", "splits must be in"),
        ({"draws": MAXIMUM_SCORES + 1}, "draws", "draws must be in"),
        ({"rounds": MAXIMUM_SCORES + 1}, "rounds", "rounds must be in"),
        ({"rounds": 101, "draws": 100}, "rounds", "rounds times draws must be at most 10000, got 10100"),
        (
            {"rounds": 20, "draws": 8, "kernel_sharing": 1},
            "rounds",
            "got 10240.*fewer than 64 inputs that share",
        ),
        ({"kernel_sharing": 0}, "kernel_sharing", "kernel_sharing must be in"),
        ({"epsilon": 0.0}, "epsilon", "epsilon must be in"),
        ({"relative_error": 0.5}, "relative_error", "a target by itself"),
        ({"relative_error": 0.0}, "relative_error", "relative_error must be in"),
        ({"relative_error": 0.5, "failure": 2.0}, "failure", "failure must be in"),
        (
            {"relative_error": 0.5, "sparsity": None},
            "relative_error",
            "not of significance; give another",
        ),
    ],
)
def test_specs_that_would_not_end(options: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        load(PruningSpec, {"method": "significance", "sparsity": 0.5} | options)
    assert caught.value.fields["path"] == path


def test_the_bounds_themselves_are_taken() -> None:
    spec = PruningSpec(method="ntk_sap", sparsity=0.5, splits=MAXIMUM_SPLITS, rounds=100, draws=MAXIMUM_SCORES // 100)
    assert load(PruningSpec, dump(spec)) == spec


def test_a_promise_is_a_target_by_itself() -> None:
    promise = load(PruningSpec, {"method": "pfp_random", "relative_error": 0.5, "failure": 0.01})
    assert promise.promise == (0.5, 0.01)
    assert PruningSpec(method="sipp_random", relative_error=0.5).promise == (0.5, FAILURE)
    assert PruningSpec(method="pfp_random", sparsity=0.5).promise is None
    with pytest.raises(InvalidSpec, match="a target by itself"):
        load(PruningSpec, dump(promise) | {"stages": 2})


def test_what_is_left_out_is_not_dumped_and_has_its_default() -> None:
    spec = PruningSpec(method="ntk_sap", sparsity=0.5)
    assert not [name for name in dump(spec) if name == "epsilon" or name.startswith("kernel")]
    assert (spec.perturbation, spec.inputs_per_draw, spec.at_samples, spec.at_given_weights) == (0.01, 64, False, False)
    options = {"epsilon": 0.02, "kernel_inputs": "data", "kernel_weights": "given", "kernel_sharing": 1}
    given = load(PruningSpec, dump(spec) | options)
    assert (given.perturbation, given.inputs_per_draw, given.at_samples, given.at_given_weights) == (
        0.02,
        1,
        True,
        True,
    )
    assert load(PruningSpec, dump(given)) == given


def test_what_is_not_said_of_the_quadratic_model_is_not_dumped() -> None:
    later = {"gradient_term", "line_search", "safeguard"}
    assert not later & set(dump(PruningSpec(method="chita", sparsity=0.5)))
    said = PruningSpec(method="chita", sparsity=0.5, gradient_term=True, line_search="exact", safeguard=False)
    assert later <= set(dump(said))
    assert load(PruningSpec, dump(said)) == said

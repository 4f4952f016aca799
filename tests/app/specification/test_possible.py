from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.possible import possible_inputs, require_inputs, require_possible
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pruning.counting.targets import dense

RANDOM = {"method": "random", "sparsity": 0.3}
SECOND_ORDER = {"loss": {"order": 1}, "optimisers": [{"kind": "levenberg_marquardt"}]}
ADAM = {"loss": {"order": 1}, "optimisers": [{"kind": "adam"}]}
WIDE = {"network": {"hidden": [64, 64]}, "training": ADAM}
# Changes of the tiny build of two spots, and the field that each is refused for.
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "start beyond": ({"pruning": {"method": "random", "parameters": 8, "initial_sparsity": 0.99}}, "initial_sparsity"),
    "no weights": ({"pruning": RANDOM | {"sparsity": 0.999}}, "pruning.sparsity"),
    "no parameters": ({"pruning": {"method": "pfp", "parameters": 2}}, "pruning.parameters"),
    "too many to tune": (WIDE | {"pruning": RANDOM | {"fine_tuning": SECOND_ORDER}}, "pruning.fine_tuning.optimisers"),
    "axes of a network": ({"network": {"inputs": "differential_pca", "axes": 3}}, "network.axes"),
    "axes of a polynomial": ({"polynomial": {"axes": 3}}, "polynomial.axes"),
}


def changed(tiny: dict[str, Any], changes: dict[str, Any]) -> BuildSpec:
    """The tiny build with other tables."""
    plain = {name: value for name, value in tiny.items() if "polynomial" not in changes or name not in NETWORK}
    return load(BuildSpec, plain | changes)


NETWORK = ("network", "training")


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_counting_shows_to_be_impossible_is_refused(name: str, tiny: dict[str, Any]) -> None:
    changes, path = IMPOSSIBLE[name]
    with pytest.raises(InvalidSpec) as refused:
        require_possible(changed(tiny, changes))
    assert path in refused.value.fields["path"]
    assert "bound" in refused.value.fields


def test_principal_axes_are_at_most_as_many_as_features(tiny_build: BuildSpec) -> None:
    three = replace(tiny_build, labels=replace(tiny_build.labels, order=2, directions=3))
    with pytest.raises(InvalidSpec, match="directions must be at most 2") as refused:
        require_possible(three)
    assert refused.value.fields["path"] == "labels.directions"
    require_possible(replace(three, labels=replace(three.labels, direction_law="random")))


def test_a_target_is_counted_on_what_is_taken_up(tiny: dict[str, Any]) -> None:
    build = changed(tiny, {"pruning": RANDOM | {"sparsity": 0.7}})
    require_possible(build)
    with pytest.raises(InvalidSpec, match="2-1-1 network"):
        require_possible(build, dense((2, 1, 1)))


def test_a_number_of_inputs_that_may_be_is_given_the_benefit_of_the_doubt(tiny: dict[str, Any]) -> None:
    """Three features of which exact scaling may take one away: axes that would be too many then are let through."""
    features = [*tiny["problem"]["features"], {"name": "maturity", "lower": [0.5], "upper": [1.0]}]
    problem = tiny["problem"] | {"features": features}
    build = changed(tiny, {"problem": problem, "network": {"inputs": "differential_pca", "axes": 3}})
    assert list(possible_inputs(build)) == [2, 3]
    require_possible(build)
    with pytest.raises(InvalidSpec, match="axes must be at most 2"):
        require_inputs(build, 2)

from __future__ import annotations

from typing import Any

import pytest
import torch
from msgspec.structs import replace

from app.pipeline.derived import canonical, draw_network, generator, input_box, reduction_of, unseen_build
from app.specification.build import BuildSpec
from pricing.specs.base import load
from surrogate.dataset import Dataset

FEATURES = [
    {"name": "spot", "lower": [0.5, 0.5], "upper": [1.5, 1.5]},
    {"name": "strike", "lower": [0.8], "upper": [1.2]},
    {"name": "maturity", "lower": [0.25], "upper": [1.0]},
]


@pytest.fixture
def parametric(tiny: dict[str, Any]) -> BuildSpec:
    """The tiny build for every strike and maturity."""
    return load(BuildSpec, tiny | {"problem": tiny["problem"] | {"features": FEATURES}})


def test_what_only_rescales_is_not_given_to_the_network(tiny_build: BuildSpec, parametric: BuildSpec) -> None:
    assert reduction_of(tiny_build) is None
    assert canonical(tiny_build) == tiny_build.problem
    assert input_box(tiny_build) == tiny_build.box
    reduction = reduction_of(parametric)
    assert reduction is not None
    assert canonical(parametric) == reduction.canonical != parametric.problem
    assert input_box(parametric) == reduction.box
    assert (parametric.box.dimension, input_box(parametric).dimension) == (4, 2)


def test_nobody_knows_what_a_dataset_prices() -> None:
    source = {"id": "0" * 64, "features": FEATURES[:2]}
    imported = load(BuildSpec, {"name": "given", "seed": 1, "dataset": source})
    assert reduction_of(imported) is None
    assert input_box(imported).labels == ("spot[0]", "spot[1]", "strike")


def test_every_use_has_random_numbers_of_its_own() -> None:
    uses = (("training", 1), ("training", 1), ("pruning", 1), ("training", 2))
    first, again, other, seeded = (torch.rand(4, generator=generator(name, seed=seed)) for name, seed in uses)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, seeded)


def test_the_drawn_network_has_the_units_of_the_data(tiny_build: BuildSpec) -> None:
    x = torch.rand((50, 2), generator=generator("x", seed=0), dtype=torch.float64)
    narrow, wide = (draw_network(tiny_build, Dataset(x=scale * x, y=x.sum(dim=1))) for scale in (1.0, 10.0))
    assert narrow.widths == (2, 3, 1)
    torch.testing.assert_close(narrow.weights[0], 10.0 * wide.weights[0])


def test_what_is_unseen_has_random_numbers_of_its_own(tiny_build: BuildSpec) -> None:
    other = unseen_build(tiny_build, 4)
    assert other.labels.samples == 4
    assert other.seed not in (tiny_build.seed, unseen_build(replace(tiny_build, seed=2), 4).seed)
    assert (other.problem, other.labels.paths) == (tiny_build.problem, tiny_build.labels.paths)

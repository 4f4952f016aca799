from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pricing.domain import Box
from pruning.driver import samples
from pruning.driver.samples import draw_evidence, require_fit, standardisation_of
from pruning.errors import PruningError
from pruning.intervals.interval import Interval
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, initialise
from surrogate.standardisation import fit_standardisation

SPEC = PruningSpec(method="magnitude", sparsity=0.5, samples=40)


def test_a_draw_holds_so_many_different_rows_in_normalised_units(
    dataset: Dataset, interval: Interval, generator: torch.Generator
) -> None:
    scaling = standardisation_of(dataset)
    evidence = draw_evidence(dataset, scaling, SPEC, domain=interval, generator=generator)
    whole = normalise(dataset, scaling)
    places = [int((whole.x == row).all(dim=1).nonzero()[0]) for row in evidence.dataset.x]
    assert len(set(places)) == 40
    assert evidence.dataset.gradient is not None
    assert whole.gradient is not None
    assert torch.equal(evidence.dataset.y, whole.y[places])
    assert torch.equal(evidence.dataset.gradient, whole.gradient[places])
    assert evidence.training is dataset
    assert evidence.box is interval


def test_every_draw_is_another_and_the_generator_decides_all(dataset: Dataset) -> None:
    def draws() -> list[torch.Tensor]:
        generator, scaling = torch.Generator().manual_seed(1), standardisation_of(dataset)
        return [draw_evidence(dataset, scaling, SPEC, domain=None, generator=generator).dataset.x for _ in range(2)]

    (first, second), (again, _) = draws(), draws()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_without_a_domain_bounds_hold_for_all_that_was_seen(dataset: Dataset, generator: torch.Generator) -> None:
    evidence = draw_evidence(dataset, standardisation_of(dataset), SPEC, domain=None, generator=generator)
    assert torch.equal(evidence.box.lower, dataset.x.amin(dim=0))
    assert torch.equal(evidence.box.upper, dataset.x.amax(dim=0))


def test_the_scaling_is_that_of_all_samples_until_they_are_many(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = fit_standardisation(dataset.x, dataset.y)
    assert torch.equal(standardisation_of(dataset).x_scale, exact.x_scale)
    monkeypatch.setattr(samples, "SCALING_SAMPLES", 100)
    thinned = standardisation_of(dataset)
    every_third = fit_standardisation(dataset.x[::3], dataset.y[::3])
    assert torch.equal(thinned.x_mean, every_third.x_mean)
    assert torch.equal(thinned.y_scale, every_third.y_scale)


def test_the_box_comes_back_as_an_interval(trained: Network, dataset: Dataset, box: Box) -> None:
    interval = require_fit(trained, dataset, SPEC, box=box, start=None)
    assert interval is not None
    assert interval.lower.tolist() == box.lower.tolist()
    assert interval.upper.tolist() == box.upper.tolist()
    assert require_fit(trained, dataset, SPEC, box=None, start=None) is None


def test_classes_are_counted_from_0_and_may_be_fewer_than_the_outputs(
    dataset: Dataset, generator: torch.Generator
) -> None:
    network = initialise((3, 4, 3), "relu", generator=generator)
    classes = Dataset(x=dataset.x, y=(dataset.y > 0.1).long())
    assert require_fit(network, classes, SPEC, box=None, start=None) is None
    with pytest.raises(PruningError, match="counted from 0, the dataset has -1"):
        require_fit(network, replace(classes, y=classes.y - 1), SPEC, box=None, start=None)
    with pytest.raises(PruningError, match="has 3 outputs, the dataset classes up to 4"):
        require_fit(network, replace(classes, y=classes.y + 3), SPEC, box=None, start=None)


def test_large_numbers_are_not_taken_for_infinite_ones(trained: Network, dataset: Dataset) -> None:
    huge = dataset.y.clone()
    huge[:2] = 1e308
    assert require_fit(trained, replace(dataset, y=huge), SPEC, box=None, start=None) is None
    huge[5] = torch.inf
    with pytest.raises(PruningError, match=r"y\[5\] is inf"):
        require_fit(trained, replace(dataset, y=huge), SPEC, box=None, start=None)

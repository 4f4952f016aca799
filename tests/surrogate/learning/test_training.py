from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from pricing.case_study import evaluation_spots
from pricing.labels import make_labels
from pricing.references.bachelier_greeks import greeks
from pricing.sampling import sample_features
from pricing.specs.base import load
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from surrogate.dataset import Dataset, from_labels
from surrogate.errors import SurrogateError, TrainingDiverged
from surrogate.functions.network import Network, flatten, value_and_gradient
from surrogate.learning.training import fit, train
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec

OPTIMISERS: list[Optimiser] = [
    Adam(epochs=20, batch=32, learning_rate=3e-3),
    Adam(epochs=20, batch=32, learning_rate=3e-2, schedule="one_cycle", single_precision=True),
    LBFGS(iterations=40),
    LevenbergMarquardt(starts=2, short=5, finalists=1, long=10),
]


def perturbed(network: Network, generator: torch.Generator) -> Network:
    return replace(
        network,
        weights=tuple(w + 0.1 * torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in network.weights),
    )


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("order", [1, 2])
def test_every_optimiser_finds_its_way_back(
    optimiser: Optimiser, order: int, network: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    start = perturbed(network, generator)
    seen: list[float] = []
    spec = TrainingSpec(loss=SobolevLoss(order=1 if order == 1 else 2), optimisers=(optimiser,))
    trained = train(start, dataset, spec, generator=generator, progress=seen.append)
    assert trained.losses[-1] < 0.1 * trained.losses[0]
    assert dataset.gradient is not None
    before = (value_and_gradient(start, dataset.x)[1] - dataset.gradient).norm()
    after = (value_and_gradient(trained.network, dataset.x)[1] - dataset.gradient).norm()
    assert after < 0.5 * before
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
def test_pruned_weights_stay_exactly_zero(
    optimiser: Optimiser, network: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    masks = tuple(torch.rand(w.shape, generator=generator) < 0.6 for w in network.weights)
    pruned = replace(network, weights=tuple(w * m for w, m in zip(network.weights, masks, strict=True)))
    if isinstance(optimiser, LevenbergMarquardt):
        optimiser = LevenbergMarquardt(starts=1, short=5, finalists=1, long=5)
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser,))
    trained = train(pruned, dataset, spec, generator=generator, masks=masks).network
    for weight, mask in zip(trained.weights, masks, strict=True):
        assert torch.equal(weight[~mask], torch.zeros_like(weight[~mask]))
    assert not torch.equal(flatten(trained), flatten(pruned))


def test_optimisers_run_one_after_the_other(dataset: Dataset, generator: torch.Generator) -> None:
    spec = TrainingSpec(optimisers=(Adam(epochs=3), LBFGS(iterations=40)))
    trained = fit(dataset, NetworkSpec(hidden=(4, 3)), spec, generator=generator)
    assert len(trained.losses) == 3 + 2
    assert trained.losses[-1] < trained.losses[2]


def test_sobolev_beats_value_only_on_deltas_at_equal_budget(dataset: Dataset) -> None:
    few = dataset.rows(slice(24))

    def error(order: int, seed: int) -> float:
        spec = TrainingSpec(loss=SobolevLoss(order=1 if order else 0), optimisers=(LBFGS(iterations=60),))
        generator = torch.Generator().manual_seed(seed)
        network = fit(few, NetworkSpec(hidden=(6, 6)), spec, generator=generator).network
        assert dataset.gradient is not None
        return float((value_and_gradient(network, dataset.x)[1] - dataset.gradient).norm())

    for seed in range(3):
        assert error(1, seed) < error(0, seed)


def test_same_generator_same_network(dataset: Dataset) -> None:
    spec = TrainingSpec(optimisers=(LevenbergMarquardt(starts=2, short=3, finalists=1, long=3),))
    runs = [fit(dataset, NetworkSpec(), spec, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(flatten(runs[0].network), flatten(runs[1].network))


def test_divergence_is_reported(network: Network, dataset: Dataset, generator: torch.Generator) -> None:
    broken = replace(dataset, y=dataset.y * float("nan"))
    with pytest.raises(TrainingDiverged, match="non-finite"):
        train(network, broken, TrainingSpec(optimisers=(Adam(epochs=1),)), generator=generator)


def test_levenberg_marquardt_refuses_large_networks(dataset: Dataset, generator: torch.Generator) -> None:
    with pytest.raises(SurrogateError, match="up to 1500 trainable parameters"):
        fit(dataset, NetworkSpec(hidden=(64, 64)), TrainingSpec(), generator=generator)


def test_lbfgs_takes_no_more_iterations_than_it_is_given(network: Network, dataset: Dataset) -> None:
    start = perturbed(network, torch.Generator().manual_seed(0))

    def after(count: int) -> torch.Tensor:
        spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=count),))
        return flatten(train(start, dataset, spec, generator=torch.Generator()).network)

    assert not torch.equal(after(25), after(40))


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda o: type(o).__name__)
def test_a_label_that_is_not_a_number_is_noticed(optimiser: Optimiser, network: Network, dataset: Dataset) -> None:
    assert dataset.gradient is not None
    gradient = dataset.gradient.clone()
    gradient[2, 1] = torch.nan
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser,))
    with pytest.raises(TrainingDiverged, match="non-finite loss"):
        train(network, replace(dataset, gradient=gradient), spec, generator=torch.Generator())


def test_one_path_a_sample_is_enough_with_deltas_along_the_axes() -> None:
    """Least-squares Monte Carlo of the seven-asset basket: at equal budget values alone teach next to no delta."""
    example = Path(__file__).parents[3] / "examples" / "least_squares_basket_7.toml"
    data = tomllib.loads(example.read_text())
    problem, axes = load(PricingProblem, data["problem"]), load(NetworkSpec, data["network"])
    labels = load(LabelSpec, data["labels"] | {"samples": 4096})
    spots = evaluation_spots(7, 512, seed=5)
    truth = torch.from_numpy(greeks(problem, spots).delta)
    optimiser = LevenbergMarquardt(starts=2, short=15, finalists=1, long=15)

    def r2(order: Literal[0, 1], network: NetworkSpec, seed: int) -> float:
        x = sample_features(problem, labels, seed=seed)
        samples = from_labels(make_labels(problem, x, labels, seed=seed))
        spec = TrainingSpec(loss=SobolevLoss(order=order), optimisers=(optimiser,), ridge=1e-4)
        learnt = fit(samples, network, spec, generator=torch.Generator().manual_seed(seed)).network
        found = value_and_gradient(learnt, torch.from_numpy(spots))[1]
        share = (found - truth).square().sum(dim=0) / (truth - truth.mean(dim=0)).square().sum(dim=0)
        return float((1.0 - share).mean())

    for seed in range(3):
        assert r2(0, NetworkSpec(), seed) < 0.5
        assert r2(1, axes, seed) > 0.95

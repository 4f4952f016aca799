from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from pricing.specs.base import load
from pruning.driver.milestones import UNMEASURED, Milestones, errors, explained
from pruning.driver.samples import standardisation_of
from pruning.errors import PruningError
from pruning.path import prune_path
from pruning.prune import Pruned, prune
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, initialise, outputs, value_gradient_hessian
from surrogate.learning.losses import loss_weights
from surrogate.learning.training import objective_of, train
from surrogate.report.sources import PruningFacts
from surrogate.spec import LBFGS, Adam, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_raw

TUNING = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=40),))
HALF = PruningSpec(method="magnitude", sparsity=0.5)


def names(pruned: Pruned[Network]) -> list[str]:
    return [entry["network"] for entry in pruned.report["milestones"]]


@pytest.fixture
def fresh(dataset: Dataset, generator: torch.Generator) -> Network:
    """A random network of the trained one's shape, raw units."""
    return to_raw(initialise((3, 10, 8, 1), "silu", generator=generator), fit_standardisation(dataset.x, dataset.y))


def test_the_errors_are_those_of_the_networks_in_raw_units(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    directions = torch.randn(len(dataset), 2, 3, generator=generator, dtype=torch.float64)
    curved = replace(dataset, directions=directions, curvature=torch.zeros_like(directions))
    scaling = standardisation_of(curved)
    found = errors(trained, curved, scaling, loss_weights(normalise(curved, scaling), SobolevLoss(order=1)))
    y, gradient, hessian = value_gradient_hessian(trained, dataset.x)
    assert dataset.gradient is not None
    assert found["value_rmse"] == pytest.approx(float((y - dataset.y).square().mean().sqrt()))
    assert found["delta_rmse"] == pytest.approx(float((gradient - dataset.gradient).square().mean().sqrt()))
    assert found["gamma_rmse"] == pytest.approx(float((directions @ hessian).square().mean().sqrt()))
    objective = objective_of(trained, dataset, TUNING, fit_standardisation(dataset.x, dataset.y))
    assert found["loss"] == pytest.approx(float(objective.loss(objective.start())))


def test_every_run_says_how_its_networks_fit(
    fresh: Network, trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    tuned = PruningSpec(method="magnitude", sparsity=0.5, stages=2, fine_tuning=TUNING)
    pruned = prune(trained, dataset, tuned, start=fresh, generator=generator)
    assert names(pruned) == ["init", "pre_prune", "post_prune", "final"]
    init, before, after, final = pruned.report["milestones"]
    assert init["loss"] > after["loss"] > final["loss"] > before["loss"]
    assert init["delta_rmse"] > before["delta_rmse"]
    assert final["parameters"] == pruned.network.parameters
    assert json.loads(json.dumps(pruned.report, allow_nan=False)) == pruned.report
    facts = load(PruningFacts, dict(pruned.report))
    assert isinstance(facts.milestones, tuple)
    assert [each.network for each in facts.milestones] == names(pruned)
    for alone in prune_path(trained, dataset, HALF, (0.5, 0.9), generator=generator):
        assert names(alone) == ["pre_prune", "post_prune", "final"]
        assert alone.report["milestones"][1]["loss"] == alone.report["milestones"][2]["loss"]


def test_held_out_samples_are_measured_besides_and_change_nothing(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    first, last = dataset.rows(slice(0, 200)), dataset.rows(slice(200, None))
    state = generator.get_state()
    watched = prune(trained, first, HALF, milestones=Milestones(held_out=last), generator=generator)
    generator.set_state(state)
    unwatched = prune(trained, first, HALF, milestones=UNMEASURED, generator=generator)
    assert "milestones" not in unwatched.report
    assert all(torch.equal(a, b) for a, b in zip(watched.network.weights, unwatched.network.weights, strict=True))
    expected = float((outputs(watched.network, last.x)[:, 0] - last.y).square().mean().sqrt())
    assert watched.report["milestones"][-1]["held_out_value_rmse"] == pytest.approx(expected)
    values = Milestones(held_out=(last.x, last.y))
    entry = prune(trained, first, HALF, milestones=values, generator=generator).report["milestones"][-1]
    assert "held_out_value_rmse" in entry
    assert "held_out_loss" not in entry
    with pytest.raises(PruningError, match="takes 3 inputs"):
        prune(trained, first, HALF, milestones=Milestones(held_out=(last.x[:, :2], last.y)), generator=generator)


def test_classes_have_guesses(generator: torch.Generator) -> None:
    x = torch.rand(300, 6, generator=generator, dtype=torch.float64)
    data = Dataset(x=x, y=x.argmax(dim=1))
    network = initialise((6, 8, 6), "relu", generator=generator)
    entry = prune(network, data, HALF, generator=generator).report["milestones"][0]
    order = outputs(network, x).argsort(dim=1, descending=True)
    assert entry["top1"] == pytest.approx(float((order[:, 0] == data.y).double().mean()))
    assert entry["top5"] == pytest.approx(1.0 - float((order[:, 5] == data.y).double().mean()))
    few, smaller = Dataset(x=x, y=data.y % 3), initialise((6, 8, 3), "relu", generator=generator)
    assert "top5" not in prune(smaller, few, HALF, generator=generator).report["milestones"][0]


def test_what_is_not_finite_is_none(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    huge = replace(trained, weights=(*trained.weights[:-1], 1e300 * trained.weights[-1]))
    report = prune(huge, dataset, PruningSpec(method="random", sparsity=0.1), generator=generator).report
    assert report["milestones"][0]["loss"] is None
    assert json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("method", ["snip", "ntk_sap"])
def test_a_score_of_random_weights_that_is_taken_on_trained_ones_is_warned_of(
    method: str, fresh: Network, trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    spec = load(PruningSpec, {"method": method, "sparsity": 0.5, "rounds": 2})
    warning = prune(trained, dataset, spec, generator=generator).report["warning"]
    assert f"{method} scores the random weights that training starts from" in warning
    assert "explain 100 % of the labels" in warning
    assert "warning" not in prune(fresh, dataset, spec, generator=generator).report
    assert "warning" not in prune(trained, dataset, HALF, generator=generator).report


def test_only_what_was_trained_explains_its_labels(generator: torch.Generator) -> None:
    x = torch.rand(300, 4, generator=generator, dtype=torch.float64)
    data, fresh = Dataset(x=x, y=x.argmax(dim=1)), initialise((4, 16, 4), "relu", generator=generator)
    assert explained(fresh, data) < 0.1
    spec = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(Adam(epochs=100, batch=32, learning_rate=1e-2),))
    assert explained(train(fresh, data, spec, generator=generator).network, data) > 0.8
    constant = Dataset(x=x, y=torch.ones(300, dtype=torch.float64))
    assert explained(initialise((4, 3, 1), "tanh", generator=generator), constant) == 0.0
    assert not math.isnan(explained(fresh, Dataset(x=x, y=torch.zeros(300, dtype=torch.long))))

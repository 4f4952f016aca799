from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pricing.specs.base import load
from pruning.layerwise.guarantee import complexities, guarantee, relative_errors
from pruning.layerwise.sipp import enough_draws, random_error
from pruning.prune import prune
from pruning.spec import PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, forward, initialise, outputs
from surrogate.report.sources import PromisedError, PruningFacts
from surrogate.standardisation import to_normalised

EvidenceOf = Callable[..., Evidence]


def positive(width: int, generator: torch.Generator) -> Network:
    """Nothing cancels in it."""
    network = initialise((2, width, 1), "relu", generator=generator)
    return replace(
        network,
        weights=tuple(weight.abs() for weight in network.weights),
        biases=tuple(torch.zeros_like(bias) for bias in network.biases),
    )


def test_where_nothing_cancels_relative_errors_do_not_grow(generator: torch.Generator) -> None:
    x = torch.rand(100, 2, generator=generator, dtype=torch.float64)
    assert complexities(positive(7, generator), x) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_complexities_are_what_relative_errors_grow_by(activation: str, generator: torch.Generator) -> None:
    """One unit of weight and sample at a time, the activation by differences."""
    network = initialise((3, 5, 2), activation, generator=generator)  # type: ignore[arg-type]
    x = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    sums = x @ network.weights[0].T + network.biases[0]
    size, step = forward(network, x)[1][0][0], 1e-7
    moved = replace(network, biases=(network.biases[0] + step, network.biases[1]))
    condition = torch.where(size == 0, 0.0, sums * (forward(moved, x)[1][0][0] - size) / step / size).abs()
    parts = x.abs() @ network.weights[0].abs().T
    first = float((condition * parts / sums.abs()).mean(dim=0).max())
    last = float(((size.abs() @ network.weights[1].abs().T) / outputs(network, x).abs()).mean(dim=0).max())
    assert complexities(network, x) == pytest.approx([max(1.0, first), max(1.0, last)], rel=1e-5)


def test_layers_share_the_error_by_what_it_grows_to(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    given = evidence_of(dataset, method="pfp_random")
    assert guarantee(trained, given, sampled=2) is None
    spec = PruningSpec(method="pfp_random", relative_error=0.3, failure=0.05)
    network = to_normalised(trained, given.standardisation)
    promised = guarantee(network, replace(given, spec=spec), sampled=2)
    assert promised is not None
    steps = complexities(network, given.dataset.x)
    for layer in range(3):
        product = float(torch.tensor(steps[layer:], dtype=torch.float64).prod())
        assert promised.propagation[layer] == pytest.approx(product)
        assert promised.accuracies[layer] == pytest.approx(0.3 / (4.0 * product))
    assert promised.failure == pytest.approx(0.05 / 19)


def test_enough_draws_are_those_whose_bound_is_the_accuracy() -> None:
    total = torch.tensor([0.5, 1.0, 7.0], dtype=torch.float64)
    for accuracy in (1e-3, 0.1, 1.0, 30.0):
        draws = enough_draws(total, accuracy, 1e-3)
        scale = 6.0 * torch.log(torch.tensor(16.0 / 1e-3, dtype=torch.float64)) * total
        torch.testing.assert_close(random_error(draws, scale), torch.full_like(total, accuracy))


@pytest.mark.parametrize(("method", "error", "width"), [("pfp_random", 8.0, 4000), ("sipp_random", 8.0, 4000)])
def test_a_wide_layer_without_cancellation_is_cut_and_the_promise_kept(
    method: str, error: float, width: int, generator: torch.Generator
) -> None:
    network = positive(width, generator)
    x = torch.rand(64, 2, generator=generator, dtype=torch.float64) + 0.5
    # A class is not normalised, so that nothing cancels in the last layer.
    data = Dataset(x=x, y=torch.zeros(64, dtype=torch.long))
    spec = load(PruningSpec, {"method": method, "relative_error": error, "failure": 0.1})
    report = prune(network, data, spec, generator=generator).report
    stage = report["stages"][0]
    assert 0 < stage["kept"] < stage["budget"]
    facts = load(PruningFacts, dict(report)).relative_error
    assert isinstance(facts, PromisedError)
    assert (facts.promised, facts.failure) == (error, 0.1)
    assert facts.measured is not None
    assert 0.0 < facts.measured <= error


def test_a_trained_network_is_asked_for_whole(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    spec = PruningSpec(method="pfp_random", relative_error=0.5)
    pruned = prune(trained, dataset, spec, generator=generator)
    assert pruned.network.widths == trained.widths
    assert pruned.report["relative_error"] == {
        "promised": 0.5,
        "failure": 0.1,
        "measured": pytest.approx(0.0, abs=1e-9),
    }


def test_relative_errors_are_the_largest_over_outputs(generator: torch.Generator) -> None:
    network = initialise((2, 4, 3), "tanh", generator=generator)
    other = replace(network, weights=(network.weights[0], 1.1 * network.weights[1]))
    x = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    exact = outputs(network, x)
    torch.testing.assert_close(
        relative_errors(network, other, x), ((outputs(other, x) - exact) / exact).abs().amax(dim=1)
    )
    assert torch.equal(relative_errors(network, network, x), torch.zeros(9, dtype=torch.float64))

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.removal.masks import masks_of, select
from pruning.rows import ROWS
from pruning.scores import saliency
from pruning.spec import PruningSpec, RowsName
from pruning.stage import Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, forward, initialise, value
from surrogate.standardisation import to_normalised


@pytest.fixture
def evidence(
    dataset: Dataset, interval: Interval, evidence_of: Callable[..., Evidence], generator: torch.Generator
) -> Evidence:
    return evidence_of(dataset, domain=interval, generator=generator)


def test_salience_is_the_change_of_a_loss_that_is_linear_in_the_weight(
    evidence: Evidence, generator: torch.Generator
) -> None:
    network = initialise((3, 1), "silu", generator=generator)
    data = evidence.dataset

    def slope_loss(candidate: Network) -> float:
        # With the residuals frozen, the loss sum r_n y_n is linear in the weights of the last layer.
        return float(((value(network, data.x) - data.y) * value(candidate, data.x)).mean())

    (scores,) = saliency.salience(network, evidence)
    for i in range(3):
        weight = network.weights[0].clone()
        weight[0, i] = 0.0
        change = slope_loss(network) - slope_loss(replace(network, weights=(weight,)))
        assert abs(change) == pytest.approx(float(scores[0, i]), rel=1e-10)


def test_salience_cancels_over_samples_and_its_per_sample_variant_does_not(
    evidence: Evidence, trained: Network
) -> None:
    network = to_normalised(trained, evidence.standardisation)
    means, absolutes = saliency.salience(network, evidence), saliency.salience_per_sample(network, evidence)
    assert all((mean <= absolute + 1e-15).all() for mean, absolute in zip(means, absolutes, strict=True))
    # At a trained optimum the mean gradient is close to 0.
    assert sum(float(layer.sum()) for layer in means) < 0.2 * sum(float(layer.sum()) for layer in absolutes)


def test_optimal_brain_damage_is_exact_where_weights_do_not_interact(
    evidence: Evidence, generator: torch.Generator
) -> None:
    # Orthogonal inputs and a linear layer: the loss is a diagonal quadratic, here at its minimum.
    network = initialise((4, 1), "silu", generator=generator)
    x, _ = torch.linalg.qr(torch.randn(16, 4, generator=generator, dtype=torch.float64))
    data = Dataset(x=x, y=value(network, x))
    (scores,) = saliency.obd(network, replace(evidence, dataset=data))
    for i in range(4):
        weight = network.weights[0].clone()
        weight[0, i] = 0.0
        rise = 0.5 * (value(replace(network, weights=(weight,)), x) - data.y).square().mean()
        assert float(scores[0, i]) == pytest.approx(float(rise), rel=1e-10)


@pytest.mark.parametrize("rows", ["gauss_newton", "sobolev", "fisher"])
def test_optimal_brain_damage_is_the_diagonal_of_the_explicit_rows(
    rows: RowsName, evidence: Evidence, trained: Network
) -> None:
    network = to_normalised(trained, evidence.standardisation)
    given = replace(evidence, spec=PruningSpec(method="obd", sparsity=0.5, rows=rows))
    matrix = ROWS[rows](network, evidence.dataset, evidence.generator).matrix(masks_of(network))
    weights = torch.cat([weight.flatten() for weight in network.weights])
    expected = 0.5 * weights.square() * (matrix.T @ matrix).diagonal() / len(evidence.dataset)
    scores = saliency.obd(network, given)
    torch.testing.assert_close(torch.cat([score.flatten() for score in scores]), expected, rtol=1e-10, atol=1e-14)


def test_layerwise_magnitude_takes_the_same_share_of_every_layer(evidence: Evidence, trained: Network) -> None:
    chosen = select(saliency.magnitude_layerwise(trained, evidence), masks_of(trained), 59)
    for mask in chosen:
        assert mask.sum() == pytest.approx(mask.numel() / 2, abs=1.0)


def test_layerwise_and_global_magnitude_agree_on_one_layer(evidence: Evidence, generator: torch.Generator) -> None:
    network = initialise((20, 1), "silu", generator=generator)
    for count in (1, 7, 19):
        layerwise = select(saliency.magnitude_layerwise(network, evidence), masks_of(network), count)
        everywhere = select(saliency.magnitude(network, evidence), masks_of(network), count)
        assert torch.equal(layerwise[0], everywhere[0])


def test_node_magnitude_orders_each_layer_by_its_row_norms(evidence: Evidence, trained: Network) -> None:
    scores = saliency.node_magnitude(trained, evidence, enclose(trained, evidence.box))
    assert [len(layer) for layer in scores] == [3, 10, 8]
    norms = to_normalised(trained, evidence.standardisation).weights[1].norm(dim=1)
    assert torch.equal(scores[2].argsort(), norms.argsort())
    assert [float(layer.max()) for layer in scores] == [0.0, 0.0, 0.0]


def test_rows_may_be_ranked_by_their_one_norm(
    evidence_of: Callable[..., Evidence], trained: Network, dataset: Dataset
) -> None:
    given = evidence_of(dataset, method="magnitude_neuron", importance="l1")
    scores = saliency.node_magnitude(trained, given, enclose(trained, given.box))
    weights = to_normalised(trained, given.standardisation).weights
    for layer, weight in enumerate(weights[:-1], start=1):
        assert torch.equal(scores[layer].argsort(), weight.abs().sum(dim=1).argsort())


def test_a_node_counts_for_what_its_readers_would_miss_of_all_others(
    evidence_of: Callable[..., Evidence], trained: Network, dataset: Dataset
) -> None:
    """1 / max_n || z(x_n) - z_[j](x_n) ||, node by node."""
    given = evidence_of(dataset, method="magnitude_neuron", importance="thinet")
    network = to_normalised(trained, given.standardisation)
    _, hidden = forward(network, given.dataset.x)
    for layer, nodes in enumerate((given.dataset.x, *(phi[0] for phi in hidden))):
        weight = network.weights[layer]
        others = [nodes @ weight.T - nodes[:, j, None] * weight[:, j] for j in range(nodes.shape[1])]
        expected = torch.stack([1.0 / other.norm(dim=1).max() for other in others])
        torch.testing.assert_close(saliency.alone(network, given.dataset.x)[layer], expected)
    scores = saliency.node_magnitude(trained, given, enclose(trained, given.box))
    assert torch.equal(scores[1].argsort(), saliency.alone(network, given.dataset.x)[1].argsort())

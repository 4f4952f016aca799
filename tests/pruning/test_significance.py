from __future__ import annotations

import pytest
import torch

from pruning.adjoint import enclose
from pruning.interval import Interval
from pruning.significance import means, remove, significance
from surrogate.dataset import Dataset
from surrogate.network import Network, initialise, outputs


def samples(box: Interval, generator: torch.Generator) -> torch.Tensor:
    uniforms = torch.rand(20_000, len(box.lower), generator=generator, dtype=torch.float64)
    # Corners, where the error is largest, are drawn too.
    uniforms[:5000] = uniforms[:5000].round()
    return box.lower + box.width * uniforms


def random_keep(network: Network, share: float, generator: torch.Generator) -> list[torch.Tensor]:
    keep = [torch.rand(width, generator=generator) < share for width in network.widths[:-1]]
    for part in keep:
        part[0] = True
    return keep


def test_a_linear_network_has_significance_width_times_weight(generator: torch.Generator) -> None:
    weight = torch.randn(1, 4, generator=generator, dtype=torch.float64)
    network = Network(weights=(weight,), biases=(torch.zeros(1, dtype=torch.float64),), activation="silu")
    width = torch.tensor([1.0, 2.0, 0.0, 4.0], dtype=torch.float64)
    (found,) = significance(enclose(network, Interval(torch.zeros_like(width), width)))
    torch.testing.assert_close(found, width * weight[0].abs())


def test_the_error_of_one_input_reaches_the_bound(generator: torch.Generator) -> None:
    weight = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
    network = Network(weights=(weight,), biases=(torch.zeros(1, dtype=torch.float64),), activation="silu")
    box = Interval(torch.tensor([0.0, -1.0], dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64))
    pruned, bound = remove(network, enclose(network, box), [torch.tensor([True, False])])
    corner = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    assert float((outputs(pruned, corner) - outputs(network, corner)).abs()) == pytest.approx(bound, rel=1e-8)


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh", "relu"])
@pytest.mark.parametrize("fold", ["middle", "mean"])
def test_the_certificate_holds_for_random_removals(activation: str, fold: str, generator: torch.Generator) -> None:
    box = Interval(
        torch.tensor([-1.0, 0.0, -0.3], dtype=torch.float64), torch.tensor([0.5, 1.0, 0.3], dtype=torch.float64)
    )
    x = samples(box, generator)
    for _ in range(10):
        network = initialise((3, 7, 6, 5, 1), activation, generator=generator)  # type: ignore[arg-type]
        constants = means(network, x) if fold == "mean" else None
        pruned, bound = remove(network, enclose(network, box), random_keep(network, 0.6, generator), constants)
        error = float((outputs(pruned, x) - outputs(network, x)).abs().max())
        assert 0.0 < error <= bound


def test_removing_the_least_significant_nodes_of_a_trained_network_costs_less_than_removing_others(
    trained: Network, dataset: Dataset, interval: Interval, generator: torch.Generator
) -> None:
    enclosure = enclose(trained, interval)
    scores = significance(enclosure)[1]
    order = scores.argsort()
    everything = [torch.ones(width, dtype=torch.bool) for width in trained.widths[:-1]]

    def error(removed: torch.Tensor) -> float:
        keep = [part.clone() for part in everything]
        keep[1][removed] = False
        pruned, _ = remove(trained, enclosure, keep)
        return float((outputs(pruned, dataset.x) - outputs(trained, dataset.x)).square().mean())

    assert error(order[:4]) < error(order[-4:])


def test_nothing_removed_costs_nothing(trained: Network, interval: Interval) -> None:
    keep = [torch.ones(width, dtype=torch.bool) for width in trained.widths[:-1]]
    pruned, bound = remove(trained, enclose(trained, interval), keep)
    assert pruned is trained
    assert bound == 0.0

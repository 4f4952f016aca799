"""What every pruning method owes its callers, over the whole mapping."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from pricing.domain import Box, Feature
from pruning.interval import Interval
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.spec import MethodName, PruningSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset, normalise
from surrogate.network import Network, outputs
from surrogate.scaling import fit_scaling
from surrogate.spec import LBFGS, NetworkSpec, SobolevLoss, TrainingSpec
from surrogate.training import fit

TUNING = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=5),))
BOX = Box(features=(Feature(name="spot", lower=(0.0, 0.0), upper=(1.0, 1.0)),))

every_method = pytest.mark.parametrize("method", list(METHODS))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    x = torch.rand(128, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inner = torch.tanh(3.0 * (x[:, 0] - 0.5 * x[:, 1]))
    slope = 3.0 * (1.0 - inner**2)
    return Dataset(x=x, y=inner, gradient=torch.stack([slope, -0.5 * slope], dim=1))


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Network:
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=30),))
    return fit(dataset, NetworkSpec(hidden=(8, 6)), spec, generator=torch.Generator().manual_seed(3)).network


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def evidence(method: MethodName, dataset: Dataset) -> Evidence:
    scaling = fit_scaling(dataset.x, dataset.y)
    return Evidence(
        dataset=normalise(dataset, scaling),
        scaling=scaling,
        box=Interval(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)),
        spec=PruningSpec(method=method, sparsity=0.5),
        generator=seeded(),
    )


def test_the_names_of_the_specification_are_those_of_the_mapping() -> None:
    assert set(METHODS) == set(get_args(MethodName))


@every_method
def test_a_method_says_what_it_is(method: MethodName) -> None:
    found = METHODS[method]
    assert found.paper
    assert found.summary
    assert set(found.options) <= set(PruningSpec.__struct_fields__)


@every_method
def test_the_budget_is_met_exactly_down_to_the_least(method: MethodName, network: Network, dataset: Dataset) -> None:
    unit = METHODS[method].granularity
    counts = (70, 35, 12, 3) if unit == "weights" else (13, 9, 4, 2)
    for count in counts:
        cut = METHODS[method].prune(network, Budget(unit=unit, count=count), evidence(method, dataset))
        assert size(cut.network, unit) == count
        assert all(weight.any() for weight in cut.network.weights)
        assert (cut.bound is None) == (unit == "weights")


@every_method
def test_pruning_in_two_steps_never_revives_a_weight(method: MethodName, network: Network, dataset: Dataset) -> None:
    unit = METHODS[method].granularity
    first, second = (40, 20) if unit == "weights" else (9, 5)
    given = evidence(method, dataset)
    once = METHODS[method].prune(network, Budget(unit=unit, count=first), given).network
    twice = METHODS[method].prune(once, Budget(unit=unit, count=second), given).network
    assert size(twice, unit) == second
    if unit == "weights":
        assert all((b == 0)[a == 0].all() for a, b in zip(once.weights, twice.weights, strict=True))
    else:
        assert all(b <= a for a, b in zip(once.widths, twice.widths, strict=True))


@every_method
def test_sparsity_zero_is_the_identity(method: MethodName, network: Network, dataset: Dataset) -> None:
    pruned = prune(network, dataset, PruningSpec(method=method, sparsity=0.0), box=BOX, generator=seeded())
    for before, after in zip(
        (*network.weights, *network.biases), (*pruned.network.weights, *pruned.network.biases), strict=True
    ):
        assert torch.equal(before, after)
    assert pruned.report["bound"] == 0.0


@every_method
def test_fine_tuning_respects_the_masks(method: MethodName, network: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method=method, sparsity=0.5, stages=2, fine_tuning=TUNING)
    pruned = prune(network, dataset, spec, box=BOX, generator=seeded())
    for weight, mask in zip(pruned.network.weights, pruned.masks, strict=True):
        assert torch.equal(weight != 0, mask)
    last = pruned.report["stages"][-1]
    assert last["kept"] == last["budget"]
    if METHODS[method].granularity == "nodes":
        assert all(mask.all() for mask in pruned.masks)


@every_method
def test_the_generator_decides_everything(method: MethodName, network: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method=method, sparsity=0.5, samples=64)
    one, two = (prune(network, dataset, spec, box=BOX, generator=seeded(5)).network for _ in range(2))
    assert one.widths == two.widths
    assert all(torch.equal(a, b) for a, b in zip(one.weights, two.weights, strict=True))


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_element_type_is_kept(method: MethodName, dtype: torch.dtype, network: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method=method, sparsity=0.4)
    data = Dataset(x=dataset.x.to(dtype), y=dataset.y.to(dtype))
    pruned = prune(network.to(dtype), data, spec, box=BOX, generator=seeded())
    assert pruned.network.dtype == dtype
    reference = prune(network, dataset, spec, box=BOX, generator=seeded())
    torch.testing.assert_close(
        outputs(pruned.network, data.x).double(), outputs(reference.network, dataset.x), rtol=1e-2, atol=1e-2
    )
    if dtype == torch.float32:
        assert pruned.report["bound"] is None


def test_every_kind_of_rows_prunes(network: Network, dataset: Dataset) -> None:
    for rows in ("gauss_newton", "sobolev", "fisher"):
        spec = PruningSpec(method="chita", sparsity=0.5, rows=rows)
        pruned = prune(network, dataset, spec, generator=seeded())
        assert pruned.report["stages"][-1]["kept"] == 35


def test_the_guided_methods_beat_random_ones(network: Network, dataset: Dataset) -> None:
    def error(method: MethodName, seed: int) -> float:
        pruned = prune(network, dataset, PruningSpec(method=method, sparsity=0.5), box=BOX, generator=seeded(seed))
        return float((outputs(pruned.network, dataset.x)[:, 0] - dataset.y).square().mean())

    chita, magnitude = error("chita", 0), error("magnitude", 0)
    assert chita < magnitude
    assert chita < min(error("random", seed) for seed in range(3))
    assert error("significance", 0) < min(error("random_neuron", seed) for seed in range(3))

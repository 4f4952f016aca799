"""What every pruning method owes its callers, over the whole mapping."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast, get_args

import pytest
import torch
from torch.utils.data import TensorDataset

from pricing.domain import Box, Feature
from pruning.driver.samples import draw_evidence, standardisation_of
from pruning.errors import PruningError
from pruning.intervals.interval import interval_of
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.spec import DynamicSpec, MethodName, PruningSpec
from pruning.stage import Budget, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs
from surrogate.learning.training import fit
from surrogate.spec import LBFGS, Adam, NetworkSpec, SobolevLoss, TrainingSpec

TUNING = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=5),))
BOX = Box(features=(Feature(name="spot", lower=(0.0, 0.0), upper=(1.0, 1.0)),))

QUICK = DynamicSpec(optimiser=Adam(epochs=2, batch=32), interval=2)

# What the driver reads of a specification for all methods; some look at it as well.
DRIVEN = {
    "method",
    "sparsity",
    "parameters",
    "stages",
    "schedule",
    "initial_sparsity",
    "retraining",
    "fine_tuning",
}

every_method = pytest.mark.parametrize("method", list(METHODS))
every_weight_method = pytest.mark.parametrize(
    "method", [name for name, method in METHODS.items() if method.granularity == "weights"]
)


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
    spec = PruningSpec(method=method, sparsity=0.5)
    return draw_evidence(dataset, standardisation_of(dataset), spec, domain=interval_of(BOX), generator=seeded())


def test_the_names_of_the_specification_are_those_of_the_mapping() -> None:
    assert set(METHODS) == set(get_args(MethodName))


def feasible(method: MethodName, network: Network, count: int) -> Budget:
    """A budget of ``count``, or of the least that the method can keep."""
    facts = METHODS[method]
    return Budget(
        unit=facts.granularity,
        count=count if facts.granularity == "nodes" else max(count, facts.least_weights(network)),
    )


def is_met(method: MethodName, count: int, kept: int) -> bool:
    return kept == count if METHODS[method].traits.exact else 0 < kept <= count


@every_method
def test_a_method_says_what_it_is(method: MethodName) -> None:
    facts = METHODS[method]
    assert facts.paper
    assert facts.summary
    assert set(facts.options) <= set(PruningSpec.__struct_fields__)


class Reads:
    """An object that notes which of its fields are read, through its properties as well."""

    def __init__(self, given: object, names: set[str]) -> None:
        self._given, self._names = given, names

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(type(self._given), name, None)
        if isinstance(attribute, property):
            assert attribute.fget is not None
            return attribute.fget(self)
        self._names.add(name)
        return getattr(self._given, name)


@every_method
def test_a_method_reads_the_options_that_it_says(method: MethodName, dataset: Dataset) -> None:
    network = initialise((2, 8, 6, 1), "silu", generator=seeded())
    options, looked = set[str](), set[str]()
    for fold in ("middle", "mean"):
        spec = PruningSpec(method=method, sparsity=0.5, fold=fold, dynamics=QUICK)
        given = replace(evidence(method, dataset), spec=cast(PruningSpec, Reads(spec, options)))
        budget = feasible(method, network, 35 if METHODS[method].granularity == "weights" else 9)
        METHODS[method].prune(network, budget, cast(Evidence, Reads(given, looked)))
    # ``samples`` is read by the driver, which draws them: it counts for whoever looks at them.
    samples = {"samples"} if "dataset" in looked else set()
    assert (options - DRIVEN) | samples == set(METHODS[method].options)


@every_method
def test_the_budget_is_met_exactly_down_to_the_least(method: MethodName, network: Network, dataset: Dataset) -> None:
    unit = METHODS[method].granularity
    counts = (70, 35, 12, 3) if unit == "weights" else (13, 9, 4, 2)
    for count in counts:
        budget = feasible(method, network, count)
        cut = METHODS[method].prune(network, budget, evidence(method, dataset))
        assert is_met(method, budget.count, size(cut.network, unit))
        assert all(weight.any() for weight in cut.network.weights)
        assert (cut.bound is None) == (unit == "weights" or not METHODS[method].proven)


@every_method
def test_pruning_in_two_steps_never_revives_a_weight(method: MethodName, network: Network, dataset: Dataset) -> None:
    unit = METHODS[method].granularity
    first, second = (40, 20) if unit == "weights" else (9, 5)
    given = evidence(method, dataset)
    once = METHODS[method].prune(network, feasible(method, network, first), given).network
    budget = feasible(method, once, second)
    twice = METHODS[method].prune(once, budget, given).network
    assert is_met(method, budget.count, size(twice, unit))
    if METHODS[method].phase == "during" or METHODS[method].traits.factors:
        return  # They grow weights anywhere, at a constant number; or multiply factors out and factor anew.
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
    # Weights of nodes that have lost all others are removed before training.
    assert 0 < last["kept"] <= last["budget"]
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
    values = Dataset(x=dataset.x, y=dataset.y)
    data = values.to(dtype)
    pruned = prune(network.to(dtype), data, spec, box=BOX, generator=seeded())
    assert pruned.network.dtype == dtype
    reference = prune(network, values, spec, box=BOX, generator=seeded())
    torch.testing.assert_close(
        outputs(pruned.network, data.x).double(), outputs(reference.network, dataset.x), rtol=1e-2, atol=1e-2
    )
    if dtype == torch.float32:
        assert pruned.report["bound"] is None


@every_weight_method
def test_a_classifier_given_as_a_module_comes_back_as_one(method: MethodName) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.LogSoftmax(dim=1)
    )
    images = torch.rand(90, 2, 3, generator=seeded())
    classes = images.flatten(start_dim=1)[:, :3].argmax(dim=1)
    spec = PruningSpec(method=method, sparsity=0.5, samples=64, rounds=5, dynamics=QUICK)
    pruned = prune(module, TensorDataset(images, classes), spec, generator=seeded())
    kept = sum(int(mask.sum()) for mask in pruned.masks)
    assert kept == 36 if METHODS[method].traits.exact else 0 < kept <= 36
    with torch.no_grad():
        torch.testing.assert_close(pruned.network(images).exp().sum(dim=1), torch.ones(90))
    if METHODS[method].traits.exact:
        assert [type(layer) for layer in pruned.network] == [type(layer) for layer in module]


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


@every_method
def test_a_number_that_is_not_finite_is_refused(method: MethodName, network: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method=method, sparsity=0.5)
    holed = dataset.x.clone()
    holed[3, 1] = torch.nan
    with pytest.raises(PruningError, match=r"x\[3, 1\] is nan"):
        prune(network, replace(dataset, x=holed), spec, generator=seeded())
    broken = replace(network, biases=(network.biases[0] * torch.inf, *network.biases[1:]))
    with pytest.raises(PruningError, match=r"bias of layer 1\[0\] is"):
        prune(broken, dataset, spec, generator=seeded())


@every_weight_method
def test_a_classifier_that_is_sure_of_everything_is_not_cut_in_order_of_its_weights(method: MethodName) -> None:
    """Its loss has neither gradient nor curvature; methods that look at nothing else fall back on size."""
    network = initialise((6, 8, 3), "relu", generator=seeded())
    sure = replace(network, weights=(network.weights[0], 1e6 * network.weights[1]))
    images = torch.rand(90, 6, generator=seeded(), dtype=torch.float64)
    classes = outputs(sure, images).argmax(dim=1)
    spec = PruningSpec(method=method, sparsity=0.5, samples=64, rounds=5, dynamics=QUICK)
    pruned = prune(sure, (images, classes), spec, generator=seeded())
    if pruned.network.widths == sure.widths:
        assert not torch.cat([mask.flatten() for mask in pruned.masks])[:35].all()

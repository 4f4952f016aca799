from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
import torch

from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec
from pruning.compact import compact, compact_with_places, spread
from pruning.errors import ImpossibleSparsity, PruningError
from pruning.intervals.interval import Interval
from pruning.prune import prune
from pruning.removal.masks import masks_of
from pruning.spec import DynamicSpec, MethodName, PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, outputs, value
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, Optimiser, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_raw

PointsIn = Callable[..., torch.Tensor]
TUNING = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=15),))


def error(network: Network, dataset: Dataset) -> float:
    return float((value(network, dataset.x) - dataset.y).square().mean().sqrt())


@pytest.mark.parametrize("method", ["significance", "magnitude_neuron", "random_neuron"])
@pytest.mark.parametrize("fold", ["middle", "mean"])
@pytest.mark.parametrize("protect", [True, False])
def test_the_reported_bound_holds_over_the_box(
    method: MethodName,
    fold: str,
    protect: bool,
    trained: Network,
    dataset: Dataset,
    box: Box,
    interval: Interval,
    points_in: PointsIn,
    generator: torch.Generator,
) -> None:
    x = points_in(interval, 20_000)
    for target in ({"sparsity": 0.4}, {"parameters": 40}):
        spec = PruningSpec(method=method, fold=fold, protect_inputs=protect, stages=2, **target)  # type: ignore[arg-type]
        pruned = prune(trained, dataset, spec, box=box, generator=generator)
        worst = float((outputs(pruned.network, x) - outputs(trained, x)).abs().max())
        assert 0.0 < worst <= pruned.report["bound"]


def test_a_target_in_parameters_is_met_and_layers_merge(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    for parameters in (100, 40, 16, 6):
        spec = PruningSpec(method="significance", parameters=parameters)
        pruned = prune(trained, dataset, spec, generator=generator)
        assert pruned.network.parameters <= parameters
        assert pruned.report["parameters"]["after"] == pruned.network.parameters
    assert pruned.network.widths == (3, 1, 1)
    nodes_only = PruningSpec(method="magnitude_neuron", parameters=16)
    assert prune(trained, dataset, nodes_only, generator=generator).network.widths[3:] == (1,)


def test_weights_meet_a_target_in_parameters_after_compaction(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    wanted: tuple[tuple[MethodName, int], ...] = (("magnitude", 60), ("magnitude", 25), ("chita", 25), ("alds", 60))
    for method, parameters in wanted:
        spec = PruningSpec(method=method, parameters=parameters, fine_tuning=TUNING)
        pruned = prune(trained, dataset, spec, generator=generator)
        assert parameters / 3 < pruned.report["parameters"]["compact"] <= parameters
    with pytest.raises(ImpossibleSparsity, match="alds left more at every number of weights"):
        prune(trained, dataset, PruningSpec(method="alds", parameters=25), generator=generator)
    training = PruningSpec(method="rigl", parameters=60, dynamics=DynamicSpec(optimiser=Adam(epochs=2)))
    assert prune(trained, dataset, training, generator=generator).report["stages"][-1]["kept"] == 60 - 19


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (PruningSpec(method="magnitude", sparsity=0.99), "sparsity = 0.99 would leave 1 weights .* at least 3"),
        (
            PruningSpec(method="magnitude_neuron", sparsity=0.99),
            "would leave 0 nodes of a 3-10-8-1 network, but magnitude_neuron keeps at least 2",
        ),
        (PruningSpec(method="chita", parameters=5), "would leave 5 parameters .* at least 6"),
        (PruningSpec(method="set", parameters=20), "parameters = 20 would leave 1 weights"),
        (PruningSpec(method="random_neuron", parameters=7), "would leave 7 parameters .* at least 8"),
        (PruningSpec(method="significance", parameters=5), "would leave 5 parameters .* at least 6"),
        (PruningSpec(method="magnitude", parameters=60, initial_sparsity=0.6), "initial_sparsity = 0.6 is beyond"),
    ],
)
def test_impossible_targets_are_refused(
    spec: PruningSpec, message: str, trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    with pytest.raises(ImpossibleSparsity, match=message):
        prune(trained, dataset, spec, generator=generator)


def test_a_box_of_another_dimension_is_refused(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    box = Box(features=(Feature(name="spot", lower=(0.0,), upper=(1.0,)),))
    with pytest.raises(PruningError, match="1 coordinates, the dataset 3"):
        prune(trained, dataset, PruningSpec(method="significance", sparsity=0.5), box=box, generator=generator)


@pytest.mark.parametrize(
    "optimiser",
    [Adam(epochs=2, batch=64), LBFGS(iterations=5), LevenbergMarquardt(starts=2, short=3, finalists=1, long=3)],
)
def test_fine_tuning_keeps_pruned_weights_at_zero(
    optimiser: Optimiser, trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    spec = PruningSpec(
        method="magnitude",
        sparsity=0.6,
        fine_tuning=TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser,)),
    )
    bare = prune(trained, dataset, PruningSpec(method="magnitude", sparsity=0.6), generator=generator)
    tuned = prune(trained, dataset, spec, generator=generator)
    live = spread(*compact_with_places(bare.network), bare.network)
    for before, after in zip(masks_of(live), masks_of(tuned.network), strict=True):
        assert torch.equal(before, after)
    assert error(tuned.network, dataset) < error(bare.network, dataset)
    assert tuned.report["bound"] is None


def test_stages_follow_the_schedule_and_beat_one_shot(trained: Network, dataset: Dataset) -> None:
    seen: list[float] = []
    spec = PruningSpec(method="magnitude", sparsity=0.8, stages=4, schedule="geometric", fine_tuning=TUNING)
    gradual = prune(
        trained, dataset, spec, generator=torch.Generator().manual_seed(0), progress=lambda done: seen.append(done)
    )
    kept = [stage["kept"] for stage in gradual.report["stages"]]
    budgets = [stage["budget"] for stage in gradual.report["stages"]]
    assert budgets[-1] == 23
    assert all(0 < count <= budget for count, budget in zip(kept, budgets, strict=True))
    assert kept == sorted(kept, reverse=True)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    once = prune(
        trained,
        dataset,
        PruningSpec(method="magnitude", sparsity=0.8, fine_tuning=TUNING),
        generator=torch.Generator().manual_seed(0),
    )
    assert error(gradual.network, dataset) < error(once.network, dataset)


def test_an_input_without_influence_goes_first(dataset: Dataset, box: Box, generator: torch.Generator) -> None:
    network = to_raw(initialise((3, 4, 1), "silu", generator=generator), fit_standardisation(dataset.x, dataset.y))
    weight = network.weights[0].clone()
    weight[:, 1] *= 1e-6
    network = replace(network, weights=(weight, network.weights[1]))
    spec = PruningSpec(method="significance", sparsity=1.0 / 7.0, protect_inputs=False)
    pruned = prune(network, dataset, spec, box=box, generator=generator)
    assert pruned.report["inputs_removed"] == [1]
    assert not pruned.masks[0][:, 1].any()
    assert pruned.network.widths == (3, 4, 1)


def test_the_report_is_json(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    spec = PruningSpec(method="significance", sparsity=0.5, stages=2, fine_tuning=TUNING)
    report = prune(trained, dataset, spec, generator=generator).report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["widths"]["before"] == [3, 10, 8, 1]
    assert sum(report["widths"]["after"][1:-1]) == 9


def test_retraining_from_the_dense_network_starts_every_stage_there(trained: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method="magnitude", sparsity=0.8, stages=3, schedule="geometric", retraining="one_shot")
    staged = prune(trained, dataset, spec, generator=torch.Generator().manual_seed(0))
    once = prune(trained, dataset, PruningSpec(method="magnitude", sparsity=0.8), generator=torch.Generator())
    assert all(torch.equal(a, b) for a, b in zip(staged.network.weights, once.network.weights, strict=True))
    assert [stage["kept"] for stage in staged.report["stages"]] == [68, 39, 23]


def test_rewinding_keeps_the_mask_and_takes_the_early_weights(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    early = to_raw(initialise(trained.widths, "silu", generator=generator), fit_standardisation(dataset.x, dataset.y))
    spec = PruningSpec(method="magnitude", sparsity=0.5, retraining="rewind")
    pruned = prune(trained, dataset, spec, start=early, generator=generator)
    cut = prune(trained, dataset, PruningSpec(method="magnitude", sparsity=0.5), generator=generator)
    for weight, mask, origin, expected in zip(
        pruned.network.weights, pruned.masks, early.weights, cut.masks, strict=True
    ):
        assert torch.equal(mask, expected)
        assert torch.equal(weight, origin * mask)
    assert pruned.report["bound"] is None
    tuned = prune(trained, dataset, msgspec.structs.replace(spec, fine_tuning=TUNING), start=early, generator=generator)
    assert error(tuned.network, dataset) < error(pruned.network, dataset)


def test_random_retraining_keeps_only_the_mask(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    spec = PruningSpec(method="magnitude", sparsity=0.5, retraining="random")
    pruned = prune(trained, dataset, spec, generator=generator)
    assert pruned.report["stages"][-1]["kept"] == 59
    assert not torch.equal(pruned.network.weights[0], trained.weights[0] * pruned.masks[0])


def test_rewinding_needs_weights_of_the_same_shape(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    spec = PruningSpec(method="magnitude", sparsity=0.5, retraining="rewind")
    with pytest.raises(PruningError, match="needs start="):
        prune(trained, dataset, spec, generator=generator)
    for method in ("magnitude_neuron", "alds"):
        with pytest.raises(InvalidSpec, match="keeps the shape"):
            PruningSpec(method=method, sparsity=0.5, retraining="rewind")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.rand(5, 2), torch.rand(5), "takes 3 inputs, the dataset's features have shape"),
        (torch.rand(0, 3), torch.rand(0), "at least one row"),
        (torch.rand(5, 3), torch.rand(5, 2), "has 1 outputs, the dataset labels of 2 outputs"),
        (torch.rand(5, 3), torch.arange(5), "has 1 outputs, the dataset classes up to 4"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(
    x: torch.Tensor, y: torch.Tensor, message: str, trained: Network, generator: torch.Generator
) -> None:
    with pytest.raises(PruningError, match=message):
        prune(trained, (x, y), PruningSpec(method="magnitude", sparsity=0.5), generator=generator)


def test_weights_keep_their_places(trained: Network, dataset: Dataset, generator: torch.Generator) -> None:
    """Removing what is dead is a step of its own, so that masks line up with the given weights."""
    pruned = prune(trained, dataset, PruningSpec(method="magnitude", sparsity=0.9), generator=generator)
    assert pruned.network.widths == trained.widths
    assert pruned.report["widths"]["compact"] == list(compact(pruned.network).widths)
    assert pruned.report["parameters"]["compact"] <= pruned.report["parameters"]["after"]


def test_a_name_that_python_let_through_is_refused(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    for field in ("method", "rows", "fold", "retraining"):
        spec = PruningSpec(**{"method": "magnitude", "sparsity": 0.5, field: "guess"})  # type: ignore[arg-type]
        with pytest.raises(InvalidSpec, match=f"'guess'; choose one of .* at `{field}`"):
            prune(trained, dataset, spec, generator=generator)


def test_methods_that_differentiate_do_so_without_being_allowed_to(
    trained: Network, dataset: Dataset, generator: torch.Generator
) -> None:
    with torch.no_grad():
        pruned = prune(trained, dataset, PruningSpec(method="snip", sparsity=0.5), generator=generator)
    assert pruned.report["stages"][-1]["kept"] == 59

from __future__ import annotations

from typing import Any, get_args

import pytest

from app.cost.pruning import METHOD_COSTS, kept, prune, trains_first
from app.cost.training import task_of
from pricing.specs.base import dump, load
from pruning.spec import MethodName, PruningSpec
from surrogate.spec import Adam, LevenbergMarquardt, NetworkSpec, TrainingSpec

TASK = task_of(NetworkSpec(hidden=(64, 64)), samples=4096.0, inputs=7, directions=1.0, order=2)
TUNING = TrainingSpec(optimisers=(Adam(),))


def spec(method: str = "magnitude", **other: Any) -> PruningSpec:
    fields: dict[str, Any] = {"method": method, "sparsity": 0.5, **other}
    return PruningSpec(**fields)


def seconds(given: PruningSpec) -> float:
    return sum(work.seconds for work in prune(TASK, given, TUNING, chosen=False))


@pytest.mark.parametrize("method", get_args(MethodName))
def test_every_method_costs_something_and_more_of_a_larger_network(method: MethodName) -> None:
    score = METHOD_COSTS[method]
    large = task_of(NetworkSpec(hidden=(512, 512)), samples=4096.0, inputs=7, directions=1.0, order=2)
    small, more = score(spec(method), TASK), score(spec(method), large)
    assert 0.0 < small.seconds < more.seconds < 1e6
    assert 0.0 < small.memory < more.memory


@pytest.mark.parametrize(
    ("method", "other"),
    [
        ("obs", {"samples": 4096}),
        ("chita", {"samples": 4096}),
        ("sipp", {"samples": 4096}),
        ("significance", {"splits": 64}),
        ("significance", {"targets": ("gamma",)}),
        ("significance", {"enclosure": "affine"}),
        ("synflow", {"rounds": 1000}),
        ("ntk_sap", {"draws": 20}),
        ("ntk_sap", {"kernel_sharing": 1}),
        ("mfac", {"rounds": 100}),
        ("set", {"dynamics": {"optimiser": Adam(epochs=1000)}}),
    ],
)
def test_its_options_cost(method: MethodName, other: dict[str, Any]) -> None:
    plain = spec(method, samples=512)
    options = {name: dump(value["optimiser"]) if name == "dynamics" else value for name, value in other.items()}
    if "dynamics" in options:
        options["dynamics"] = {"optimiser": options["dynamics"]}
    costly = load(PruningSpec, dump(plain) | options)
    score = METHOD_COSTS[method]
    assert score(costly, TASK).seconds > 1.5 * score(plain, TASK).seconds


def test_stages_add_up_though_few_of_many_are_counted() -> None:
    ten, thousand = (seconds(spec(stages=stages, fine_tuning=TUNING)) for stages in (10, 1000))
    assert thousand == pytest.approx(100 * ten, rel=0.1)
    assert len(prune(TASK, spec(stages=1000), TUNING, chosen=False)) < 20


def test_training_is_counted_where_it_happens() -> None:
    once = seconds(spec("magnitude"))
    assert seconds(spec("magnitude", fine_tuning=TUNING)) > 2 * once
    assert not trains_first(spec("snip"))
    assert seconds(spec("snip")) > 2 * once  # trains as the dense network would be
    assert seconds(spec("snip", fine_tuning=TUNING)) > 1.5 * seconds(spec("snip"))


def test_what_is_left_is_trained() -> None:
    assert kept(TASK, spec(), 0.0) == TASK
    assert kept(TASK, spec(), 1.0).parameters == pytest.approx(0.5 * TASK.parameters, rel=0.1)
    assert kept(TASK, spec(sparsity=None, parameters=40), 1.0).parameters == 40.0
    second = TrainingSpec(optimisers=(LevenbergMarquardt(),))
    few = seconds(spec(sparsity=None, parameters=40, fine_tuning=second))
    assert few < 0.01 * seconds(spec(sparsity=0.1, fine_tuning=second))

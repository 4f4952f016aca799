"""No method, product, estimator or optimiser costs nothing, and what `app.cost` says of others is what they do."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, get_args

import pytest

from app.cost import judging, labels, pruning, training
from app.cost.work import total
from pricing.errors import InvalidSpec
from pricing.exercise import bounds
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Payoff
from pricing.specs.process import Process
from pricing.specs.refusals import require_fit
from pruning.methods import METHODS
from pruning.quadratic import greedy, mfac
from pruning.scores import ntk_sap
from pruning.spec import MethodName, PruningSpec
from surrogate.evaluation import accuracy
from surrogate.export import parity
from surrogate.flows import flow
from surrogate.learning import lbfgs, levenberg_marquardt, ridge
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, TrainingSpec
from tests.conformance.estimates import problem
from tests.conformance.products import ESTIMATORS, PAYOFFS, PROCESSES, on_several

MILLION = 1_000_000
PAIRS = [
    (process, payoff)
    for process in on_several(PROCESSES)
    for payoff in on_several(PAYOFFS)
    if process.assets == payoff.assets and (process.facts.positive or payoff.facts.positive_levels is None)
]


def test_every_method_has_its_cost_and_its_phase() -> None:
    assert set(pruning.METHOD_COSTS) == set(METHODS) == set(get_args(MethodName))


@pytest.mark.parametrize(("process", "payoff"), PAIRS)
def test_every_product_costs_something_under_every_estimator(process: Process, payoff: Payoff) -> None:
    asked, taken = problem(process, payoff, varying="spots"), 0
    for estimator in ESTIMATORS:
        for order in (0, 1, 2):
            few, many = (_spec(estimator, order, paths) for paths in (1 << 10, 1 << 14))
            try:
                require_fit(asked, few)
            except InvalidSpec:
                continue
            taken += 1
            small, large = (labels.simulate(asked, spec, order) for spec in (few, many))
            seconds = [work.seconds for work in small]
            assert min(seconds) >= 0.0
            assert 10.0 < large[0].seconds / small[0].seconds < 20.0
            assert all(math.isfinite(work.seconds) and math.isfinite(work.memory) for work in large)
            assert judging.point_seconds(asked) >= 0.0
    assert taken or payoff.facts.decided in ("always", "holder")  # which not every process has labels for


def _spec(estimator: Any, order: Any, paths: int) -> LabelSpec:
    try:
        return LabelSpec(samples=256, paths=paths, replicates=2, estimator=estimator, order=order)
    except InvalidSpec:  # no curvature of a raw payoff
        return LabelSpec(samples=256, paths=paths, replicates=2, estimator=estimator, order=0)


def _rounds(method: MethodName) -> int:
    step = METHODS[method].prune
    assert isinstance(step, partial)
    rounds: int = step.keywords["rounds"]
    return rounds


@pytest.mark.parametrize(
    ("told", "true"),
    [
        (training.BLOCK, lbfgs.ROWS),
        (training.ENTRIES, levenberg_marquardt.ENTRIES),
        (training.RIDGES, len(ridge.RIDGES)),
        (training.FOLDS, ridge.FOLDS),
        (training.CHOICE_SAMPLES, ridge.SAMPLES),
        (
            labels.BOUND_PATHS,
            len(bounds.SHARES) * bounds.REPLICATES * (bounds.LOW_PATHS + bounds.OUTER * bounds.INNER),
        ),
        (labels.EXACT_COLUMNS, flow.EXACT_DIMENSION),
        (judging.PARITY_POINTS, parity.POINTS),
        (judging.ROWS, accuracy.ROWS),
        (judging.PARITY_ENTRIES, parity.ENTRIES),
        (pruning.GREEDY_BLOCK, greedy.DEFAULT_BLOCK),
        (pruning.MFAC_ROUNDS, mfac.ROUNDS),
        (pruning.KERNEL_INPUTS, ntk_sap.INPUTS),
        (pruning.ROUNDS, _rounds("synflow")),
        (pruning.ROUNDS, _rounds("snip_iterative")),
        (pruning.SAP_ROUNDS, _rounds("ntk_sap")),
        (pruning.SAP_ROUNDS, _rounds("ntk_sap_exact")),
    ],
)
def test_what_is_counted_is_what_is_done(told: float, true: float) -> None:
    assert told == true


@pytest.mark.parametrize("method", get_args(MethodName))
@pytest.mark.parametrize("optimiser", [Adam(epochs=MILLION, batch=1), LBFGS(iterations=MILLION), LevenbergMarquardt()])
def test_no_combination_of_the_largest_fields_is_free_or_infinite(method: MethodName, optimiser: Optimiser) -> None:
    tuning = TrainingSpec(optimisers=(optimiser,), ridge="auto")
    for options in ({"sparsity": 0.0}, {"parameters": 1}, {"sparsity": 0.5, "samples": 1 << 22, "splits": 4096}):
        fields: dict[str, Any] = {"method": method, "stages": 1000, "enclosure": "affine", **options}
        spec = PruningSpec(fine_tuning=tuning, **fields)
        for hidden, samples in (((1,), 1.0), ((4096,) * 32, float(1 << 22))):
            network = NetworkSpec(hidden=hidden)
            task = training.task_of(network, samples=samples, inputs=1000, directions=1e30, order=2)
            works = [*training.train(task, tuning, chosen=True)]
            works += pruning.prune(task, spec, tuning, chosen=True)
            estimate = total(works, processes=7)
            assert 0.0 < estimate.seconds < 1e19
            assert 0 < estimate.memory_bytes < 1 << 63
            assert all(work.seconds >= 0.0 for work in works)

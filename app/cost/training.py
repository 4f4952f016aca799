"""What it takes to fit a network or a polynomial: samples x residuals x parameters, once a pass. Torch-free.

Constants are nanoseconds of one core, from `benchmarks/cost.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import msgspec

from app.cost.work import FLOAT, Work, size
from pricing.specs.base import MAXIMUM_TERMS
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, PolynomialSpec, TrainingSpec

# Loss and gradient of one sample: by parameter and by node, for a loss of order 0, 1, and 2 less its directions, and
# what each of those adds.
PARAMETER_NS, NODE_NS = (0.17, 0.28, 0.28), (18.0, 30.0, 30.0)
PARAMETER_DIRECTION_NS, NODE_DIRECTION_NS = 0.17, 35.0
# One call of the loss and its gradient, whatever its size, by the order.
CALL_SECONDS = (6e-4, 8e-4, 1.1e-3)
# An optimiser's own work on a parameter, a vector at a time.
VECTOR_NS = 1.0
# Evaluations of the loss in an iteration of L-BFGS.
LINE_SEARCH = 1.25
# Levenberg-Marquardt by residual: a parameter's column, and a pair of parameters in J^T J; the solve by P^3.
COLUMN_NS, PAIR_NS, SOLVE_NS = 11.0, 0.022, 0.016
# Numbers of a node and sample that a backward pass keeps, by the order, and by direction.
KEPT, KEPT_DIRECTION = (6.0, 16.0, 16.0), 16.0
# As in `surrogate.learning`: samples of a block of L-BFGS, numbers of a block of J; ridges, folds and samples of a
# choice. Of the 20 iterations that a ridge may take it takes about 5, for it starts where the one before it ended.
BLOCK, ENTRIES = 8192.0, float(1 << 22)
RIDGES, FOLDS, CHOICE_SAMPLES, CHOICE_ITERATIONS = 13, 5, float(1 << 15), 4
# Copies of the samples: as they were read, normalised, in batches.
COPIES = 3.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learnt: sizes, as floats.

    Args:
        inputs: of the network.
        directions: of the curvature labels.
        order: of the labels.
        nodes: hidden ones, together.
    """

    samples: float
    inputs: float
    directions: float
    order: int
    parameters: float
    nodes: float

    def residuals(self, order: int) -> float:
        """Of one sample, for a loss of that order."""
        return 1.0 + self.inputs * (order >= 1) + self.directions * self.inputs * (order >= 2)

    @property
    def data(self) -> float:
        """Bytes of the samples."""
        labels = self.residuals(self.order) + self.directions * self.inputs * (self.order >= 2)
        return FLOAT * self.samples * (self.inputs + labels)


def task_of(network: NetworkSpec, *, samples: float, inputs: int, directions: float, order: int) -> Task:
    """What a network of that specification is to learn."""
    seen = min(inputs, network.axes) if network.inputs == "differential_pca" and network.axes else inputs
    return Task(
        samples=samples,
        inputs=size(seen),
        directions=directions,
        order=order,
        parameters=size(network.parameters(inputs)),
        nodes=size(sum(network.hidden)),
    )


def train(task: Task, spec: TrainingSpec, *, chosen: bool) -> list[Work]:
    """One work an optimiser.

    Args:
        chosen: whether the ridge is chosen where the specification leaves it open.
    """
    order, choice = spec.loss.order, list[Work]()
    optimisers: Sequence[Optimiser] = spec.optimisers
    if spec.ridge == "auto" or (spec.ridge is None and chosen):
        choice, optimisers = _choose_ridge(task, optimisers, order=order), _continued(optimisers)
    return choice + [_minimise(task, optimiser, order=order) for optimiser in optimisers]


def _continued(optimisers: Sequence[Optimiser]) -> tuple[Optimiser, ...]:
    """From what the choice has left: no random starts."""
    return tuple(
        msgspec.structs.replace(optimiser, starts=1, finalists=1)
        if isinstance(optimiser, LevenbergMarquardt)
        else optimiser
        for optimiser in optimisers
    )


def _choose_ridge(task: Task, optimisers: Sequence[Optimiser], *, order: int) -> list[Work]:
    """Ridges by folds: few iterations of second order, or whole runs of the others on one fold, every other ridge."""
    part = replace(task, samples=min(task.samples, CHOICE_SAMPLES))
    quick = all(isinstance(optimiser, LevenbergMarquardt) for optimiser in optimisers)
    tries = RIDGES * FOLDS if quick else RIDGES / 2
    works = list[Work]()
    for optimiser in optimisers:
        if isinstance(optimiser, LevenbergMarquardt):
            optimiser = LevenbergMarquardt(starts=1, short=CHOICE_ITERATIONS, finalists=1, long=1)
        once = _minimise(part, optimiser, order=order)
        works.append(replace(once, seconds=tries * once.seconds))
    return works


def _minimise(task: Task, optimiser: Optimiser, *, order: int) -> Work:
    match optimiser:
        case Adam():
            return _adam(task, optimiser, order=order)
        case LBFGS():
            return _lbfgs(task, optimiser, order=order)
        case LevenbergMarquardt():
            return _levenberg_marquardt(task, optimiser, order=order)
        case _:
            assert_never(optimiser)


def pass_seconds(task: Task, order: int) -> float:
    """Loss and gradient at all samples."""
    k = task.directions * (order >= 2)
    by_parameter = PARAMETER_NS[order] + PARAMETER_DIRECTION_NS * k
    by_node = NODE_NS[order] + NODE_DIRECTION_NS * k
    return 1e-9 * task.samples * (by_parameter * task.parameters + by_node * task.nodes)


def pass_memory(task: Task, order: int, samples: float) -> float:
    """Bytes of a backward pass over so many samples at once."""
    kept = KEPT[order] + KEPT_DIRECTION * task.directions * (order >= 2)
    return FLOAT * samples * (kept * task.nodes + 4.0 * task.residuals(order))


def _adam(task: Task, spec: Adam, *, order: int) -> Work:
    batch = min(size(spec.batch), task.samples)
    steps = math.ceil(task.samples / batch)
    step = CALL_SECONDS[order] + 1e-9 * VECTOR_NS * 8.0 * task.parameters
    return Work(
        seconds=size(spec.epochs) * (pass_seconds(task, order) + steps * step),
        memory=COPIES * task.data + pass_memory(task, order, batch) + FLOAT * 8.0 * task.parameters,
    )


def _lbfgs(task: Task, spec: LBFGS, *, order: int) -> Work:
    blocks = math.ceil(task.samples / BLOCK)
    history = min(size(spec.history), size(spec.iterations))
    evaluation = pass_seconds(task, order) + blocks * CALL_SECONDS[order]
    own = 1e-9 * VECTOR_NS * 4.0 * history * task.parameters
    return Work(
        seconds=size(spec.iterations) * (LINE_SEARCH * evaluation + own),
        memory=COPIES * task.data
        + pass_memory(task, order, min(task.samples, BLOCK))
        + FLOAT * (2.0 * history + 8.0) * task.parameters,
    )


def _levenberg_marquardt(task: Task, spec: LevenbergMarquardt, *, order: int) -> Work:
    p, rows = task.parameters, task.samples * task.residuals(order)
    once = CALL_SECONDS[order] + 1e-9 * (rows * p * (COLUMN_NS + PAIR_NS * p) + SOLVE_NS * p**3)
    iterations = size(spec.starts) * spec.short + size(spec.finalists) * spec.long
    block = min(max(ENTRIES, task.residuals(order) * p), rows * p)
    return Work(
        seconds=iterations * once,
        memory=COPIES * task.data
        + pass_memory(task, order, task.samples)  # the loss of all samples at once
        + FLOAT * (4.0 * block + 4.0 * p * p),
    )


def solve(spec: PolynomialSpec, *, samples: float, inputs: int) -> Work:
    """A polynomial: its normal equations once, the ridge on folds."""
    seen = min(inputs, spec.axes or inputs) if spec.inputs == "differential_pca" else inputs
    terms = size(min(math.comb(seen + spec.degree, spec.degree), MAXIMUM_TERMS))
    rows, block = samples * (1.0 + size(seen)), max(ENTRIES, terms * (1.0 + seen))
    return Work(
        seconds=1e-9 * (rows * terms * (COLUMN_NS + 2.0 * PAIR_NS * terms) + RIDGES * FOLDS * terms**3),
        memory=FLOAT * (COPIES * samples * 2.0 * (1.0 + inputs) + 4.0 * min(block, rows * terms) + 6.0 * terms**2),
    )

"""What it takes to make labels: samples x paths x normals x what the estimator does with each. Torch-free.

Constants are nanoseconds of one core, from `benchmarks/cost.py`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import assert_never

from app.cost.work import FLOAT, Work, size
from app.specification.requirements import FLOW_STAGES
from pricing.specs.choice import settle
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.memory import LABEL_THREADS, PART_NUMBERS, batch_numbers, held
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, ForwardStart
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process
from pricing.specs.sampler import DiffusedSampler, FlowSpec, MoneynessSampler, Sampler, TableSampler, UniformSampler
from pricing.specs.time_steps import gridded
from surrogate.spec import Adam

# A path whose levels are sums, or exponentials and roots, of its normals; by normal.
SUM_NS, PLAIN_NS, GRID_NS, SURFACE_NS, STEP_NS = 8.0, 80.0, 170.0, 600.0, 70.0
# A polynomial of the exercise rule on a path at a date, and a pair of them in its regression.
BASIS_NS, REGRESSION_NS = 20.0, 0.2
# Value alone; with its gradient; with curvature besides, less its directions, and each of those.
ORDER_FACTORS, DIRECTION_FACTOR = (1.0, 1.6, 2.5), 1.5
# By pair of assets and sample: the correlation's factor. By triple of rotated normals: their principal axes.
FACTOR_NS, AXES_NS = 0.1, 0.3
# Tensors of the pilot's paths, which are simulated and differentiated all at once.
PILOT_TENSORS = 20.0
# A point of the Box, moved to its moneyness.
POINT_NS = 1e4
# A row of an imported table, by column: read, hashed, compared with all others.
CELL_NS = 400.0
# Copies of labels while they are made: means, squares and errors over the replicates, and one replicate.
COPIES = 5.0
# An operation of a coefficient that a user writes.
OPERATION_NS = 25.0
# Paths of the bounds that a report has of an early-exercise option, as in `pricing.exercise.bounds`.
BOUND_PATHS = 3.0 * 8.0 * (4096.0 + 64.0 * 256.0)
# A solver step of a flow by state, and by parameter of its field, for value and trace, which takes a tangent a column
# where it is exact (`surrogate.flows.flow`); tensors that a backward pass keeps of a node and step.
FLOW_STATE_NS, FLOW_PARAMETER_NS, FLOW_TENSORS = 6000.0, 0.5, 20.0
EXACT_COLUMNS = 10
# A pruned flow is trained once more after every stage.
FLOW_TRAININGS = 1.0 + FLOW_STAGES


def normals(process: Process, dates: int, steps: int) -> float:
    """Normals of one path.

    Args:
        steps: of an estimator's own grid.
    """
    grid = size(max(dates, steps))
    match process:
        case Bachelier():
            return process.assets * grid
        case BlackScholes():
            return process.assets * (grid + len(process.dividends))
        case Heston():
            return 2.0 * process.assets * (max(grid, process.facts.grid or 1) + 1.0)
        case LocalVolatility() | ItoDiffusion():
            return process.assets * max(grid, process.facts.grid or 1)
        case Merton():
            return 3.0 * process.assets * grid
        case _:
            assert_never(process)


def normal_ns(process: Process, estimator: Estimator) -> float:
    """Of one normal on a path, for its value alone."""
    match process:
        case Heston():
            own = GRID_NS
        case LocalVolatility():
            own = SURFACE_NS
        case ItoDiffusion():
            own = PLAIN_NS + OPERATION_NS * process.operations
        case Bachelier() | BlackScholes() | Merton():
            own = PLAIN_NS
        case _:
            assert_never(process)
    match estimator:
        case Pathwise() | Smoothed():
            return own if process.facts.grid is not None else SUM_NS if process.facts.shared_noise else PLAIN_NS
        case Survival():
            return STEP_NS
        case Conditional() | Bridge() | LikelihoodRatio() | Frozen() | Automatic():
            return own
        case _:
            assert_never(estimator)


def branches(problem: PricingProblem, estimator: Estimator) -> float:
    """How many formulas or continuations a path has."""
    payoff = problem.payoff
    match payoff:
        case WorstOf() | BestOf():
            return size(payoff.assets)
        case Pieces():
            return size(len(payoff.knots))
        case Autocall():
            return size(len(payoff.dates)) if isinstance(estimator, Survival) else 1.0
        case Bermudan():
            return size(payoff.assets) if payoff.option.facts.ranked else 1.0
        case Call() | Put() | Digital() | Asian() | ForwardStart() | Barrier():
            return 1.0
        case _:
            assert_never(payoff)


def basis(problem: PricingProblem, estimator: Estimator) -> float:
    """Polynomials of an exercise rule, over its dates."""
    if not isinstance(estimator, Frozen):
        return 0.0
    inputs = problem.process.assets
    return size(math.comb(inputs + max(estimator.degrees(inputs)), max(estimator.degrees(inputs))))


def path_seconds(problem: PricingProblem, spec: LabelSpec, order: int) -> float:
    """One path of one sample with the derivatives of an order."""
    estimator, dates = settle(problem, spec.estimator), len(problem.payoff.facts.dates)
    value = _normals(problem, estimator) * normal_ns(problem.process, estimator)
    rule = BASIS_NS * dates * basis(problem, estimator)
    factor = ORDER_FACTORS[order] + DIRECTION_FACTOR * size(spec.directions) * (order == 2)
    return 1e-9 * factor * (value * branches(problem, estimator) + rule)


def _normals(problem: PricingProblem, estimator: Estimator) -> float:
    """Of one path on the problem's own grid."""
    steps = estimator.steps if isinstance(estimator, Bridge) else 1
    return normals(gridded(problem).process, len(problem.payoff.facts.dates), steps)


def simulate(problem: PricingProblem, spec: LabelSpec, order: int) -> list[Work]:
    """Labels of an order at all samples, those that are held out among them."""
    estimator = settle(problem, spec.estimator)
    samples = size(spec.samples) + spec.unseen(fitted=isinstance(estimator, Frozen))
    seconds = samples * spec.paths * spec.replicates * path_seconds(problem, spec, order)
    if order == 2 and spec.direction_law == "pca":
        seconds += samples * spec.paths * path_seconds(problem, spec, 1)
    row = label_numbers(problem.box.dimension, size(spec.directions), order)
    paths = Work(
        seconds=seconds,
        memory=_path_memory(problem, spec, order) + FLOAT * COPIES * samples * row,
        disk=FLOAT * 2.0 * samples * row,
    )
    return [paths, _prepare(problem, spec), sample(spec.sampler, samples, problem.box.dimension)]


def label_numbers(features: int, directions: float, order: int) -> float:
    """Numbers of one sample with its labels."""
    return features + 1.0 + features * (order >= 1) + 2.0 * directions * features * (order >= 2)


def _path_memory(problem: PricingProblem, spec: LabelSpec, order: int) -> float:
    """Tensors of a batch or of one part of a sample's paths, and the normals and their rotation, by every thread."""
    estimator = settle(problem, spec.estimator)
    count = _normals(problem, estimator)
    facts = problem.process.facts
    tensors, threads = held(facts, order), min(LABEL_THREADS, spec.replicates)
    numbers = 4.0 * count * branches(problem, estimator) + basis(problem, estimator)
    one = spec.paths * numbers
    batch = min(max(batch_numbers(facts, order), one), size(spec.samples) * one)
    together = min(batch * tensors, max(PART_NUMBERS, 2.0 * numbers * tensors))
    return FLOAT * (threads * (together + 3.0 * spec.paths * count) + 4.0 * count**2)


def _prepare(problem: PricingProblem, spec: LabelSpec) -> Work:
    """What is done once: factors of correlations, the rotation of the pilot's paths, the rule of early exercise."""
    estimator, assets = settle(problem, spec.estimator), size(problem.process.assets)
    count = _normals(problem, estimator)
    seconds = 1e-9 * FACTOR_NS * spec.samples * assets**3
    if spec.draws.rotation == "gradient_pca":
        seconds += spec.draws.pilot * path_seconds(problem, spec, 1) + 1e-9 * AXES_NS * count**3
    memory = FLOAT * (4.0 * count**2 + 2.0 * assets**2 + PILOT_TENSORS * spec.draws.pilot * (count + assets))
    if isinstance(estimator, Frozen):
        terms, dates = basis(problem, estimator), len(problem.payoff.facts.dates)
        once = path_seconds(problem, spec, 0) + 1e-9 * REGRESSION_NS * dates * terms**2
        seconds += 2.0 * estimator.paths * once + BOUND_PATHS * path_seconds(problem, spec, 0)
        memory += FLOAT * (3.0 * estimator.paths * (terms + count) + terms**2)
    return Work(seconds=seconds, memory=memory)


def sample(sampler: Sampler, samples: float, features: int) -> Work:
    """Where labels are made."""
    match sampler:
        case TableSampler():
            return _learn_states(sampler.flow, len(sampler.states), features)
        case UniformSampler() | DiffusedSampler() | MoneynessSampler():
            return Work(seconds=1e-9 * 1e4 * samples, memory=FLOAT * 4.0 * samples * features)
        case _:
            assert_never(sampler)


def _learn_states(flow: FlowSpec, states: int, columns: int) -> Work:
    """A flow through the table, and again after every stage of its pruning."""
    widths = (columns + 1, *flow.hidden, columns)
    parameters = size(sum(before * after for before, after in pairwise(widths)))
    trainings = 1.0 if flow.sparsity is None else FLOW_TRAININGS
    carried = 1.0 + (columns if columns <= EXACT_COLUMNS else 1.0)
    once = FLOW_STATE_NS + FLOW_PARAMETER_NS * parameters * carried
    kept = FLOW_TENSORS * min(states, Adam().batch) * flow.steps * (sum(flow.hidden) + columns) * carried
    return Work(
        seconds=1e-9 * trainings * size(flow.epochs) * flow.steps * states * once,
        memory=FLOAT * (kept + 8.0 * parameters),
    )


def read_rows(rows: float, columns: float) -> Work:
    """Rows of a dataset: split, compared and written again."""
    cells = rows * columns
    return Work(seconds=1e-9 * CELL_NS * cells, memory=FLOAT * 6.0 * cells, disk=FLOAT * 2.0 * cells)

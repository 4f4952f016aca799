"""What it takes to prove, judge and export what was learnt. Torch-free.

Constants are nanoseconds of one core, from `benchmarks/cost.py`.
"""

from __future__ import annotations

from app.cost.training import Task
from app.cost.work import FLOAT, Work, size
from app.specification.build import BuildSpec
from pricing.specs.problem import PricingProblem
from surrogate.report.record import known
from surrogate.spec import EvaluationSpec

# Value, gradient and Hessian at one point: by parameter and input, and by node and pair of inputs.
SWEEP_NS, PAIR_NS = 0.3, 2.0
# An independent value with its derivatives by a formula, and by pair of features.
FORMULA_NS, FORMULA_PAIR_NS = 25e3, 1000.0
# A point by replicates of a law that is exact; by time steps, grids and exercise rules.
REPLICATES_SECONDS, STEPS_SECONDS = 0.3, 1.0
# What such a reference takes at least, and where nobody says how many points (`surrogate.evaluation.points`).
SETTING_UP, UNASKED_SECONDS = 5.0, 240.0
# Enclosures of shapes, and of the distance from a dense network, have a budget of their own each.
PROOF_SECONDS = 1.5
# Points that a graph is compared with its network at (`surrogate.export.parity`), by torch and by the runtime.
PARITY_POINTS = 10_000.0
# Entries of their Hessians at once, as there.
PARITY_ENTRIES = float(1 << 24)
# Points of one batch of Hessians (`surrogate.evaluation.accuracy`).
ROWS = 1024.0
# Hessians of all points that are held at once: predicted, referenced, their errors and differences.
HESSIANS = 6.0
# Copies of a network's numbers: read, standardised, enclosed, written.
NETWORKS = 6.0


def sweep_seconds(task: Task, points: float) -> float:
    """Value, gradient and Hessian at points."""
    d = task.inputs
    return 1e-9 * points * (SWEEP_NS * task.parameters * (1.0 + d) + PAIR_NS * (task.nodes + 1.0) * d * d)


def judge(build: BuildSpec, task: Task) -> list[Work]:
    """Certificates, evaluation and export."""
    points, d = size(build.evaluation.most(build.box.dimension)), size(build.box.dimension)
    formula = 1e-9 * points * (FORMULA_NS + FORMULA_PAIR_NS * d * d) if build.problem is not None else 0.0
    reference = 0.0 if build.problem is None else reference_seconds(build.problem, build.evaluation)
    network = FLOAT * task.parameters
    compared = min(PARITY_POINTS, max(1.0, PARITY_ENTRIES / (d * d)))
    proofs = PROOF_SECONDS * (1.0 if build.pruning is None else 2.0)
    return [
        Work(
            seconds=proofs + sweep_seconds(task, 4.0 * ROWS),
            memory=4.0 * NETWORKS * network + FLOAT * ROWS * 4.0 * task.nodes * min(task.inputs, 64.0),
        ),
        Work(
            seconds=reference + formula + sweep_seconds(task, points),
            memory=FLOAT * (HESSIANS * points * d * d + 2.0 * ROWS * task.nodes * (1.0 + d)) + NETWORKS * network,
        ),
        Work(
            seconds=2.0 * sweep_seconds(task, PARITY_POINTS) * (2.0 if build.export.float32 else 1.0),
            memory=FLOAT * compared * (HESSIANS * d * d + 2.0 * task.nodes * (1.0 + d)) + NETWORKS * network,
            disk=NETWORKS * network,
        ),
    ]


def reference_seconds(problem: PricingProblem, evaluation: EvaluationSpec) -> float:
    """What the reference takes beside formulas: `pricing.references` chooses it when torch is there."""
    each = point_seconds(problem)
    if not each:
        return 0.0
    asked, budget = known(evaluation.samples), known(evaluation.seconds)
    wanted = UNASKED_SECONDS if asked is None else SETTING_UP + each * size(asked)
    if budget is None:
        return wanted
    return budget if asked is None else min(wanted, budget)


def point_seconds(problem: PricingProblem) -> float:
    """What the reference takes at a point, 0 where a formula gives it."""
    process, payoff = problem.process.facts, problem.payoff.facts
    if process.grid is not None or payoff.decided == "holder":
        return STEPS_SECONDS
    few = problem.process.assets <= 2 if process.positive else not payoff.ranked
    return 0.0 if few and (problem.process.assets == 1 or payoff.decided == "maturity") else REPLICATES_SECONDS

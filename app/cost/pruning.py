"""What it takes to prune: what every stage scores and solves, and the training after it. Torch-free.

Constants are nanoseconds of one core, from `benchmarks/cost.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from app.cost.training import Task, pass_seconds, train
from app.cost.work import FLOAT, Work, size
from pruning.counting.traits import TRAITS
from pruning.spec import SHARED, MethodName, PruningSpec
from surrogate.spec import SobolevLoss, TrainingSpec

# A number of the row matrix: made, and one product with it. A pair of weights in a factorisation, by row or weight.
ENTRY_NS, PRODUCT_NS, FACTOR_NS = 4.0, 0.5, 0.03
# Copies of the row matrix: rows, scaled, factor; of a matrix of weight x weight.
MATRICES, SQUARES = 3.0, 4.0
# Products of CHITA's descent under its three ridges, and what its search on a small support takes.
DESCENT, ELIMINATION_SECONDS = 300.0, 3.0
# Trials of the combinatorial surgeon.
TRIALS = 50.0
# Rounds of methods that score in rounds, and inputs of the kernel, where none are given (`pruning.methods`).
ROUNDS, SAP_ROUNDS, MFAC_ROUNDS, KERNEL_INPUTS = 100, 20, 16, 256.0
# An interval pass over one sub-box: by parameter, and by node held; the affine kind carries every input along.
INTERVAL_NS, INTERVAL_NUMBERS = 8.0, 16.0
# Outputs whose significance is enclosed: gamma takes a sweep an input.
GREEKS = 3.0
# Block of the greedy surgeon (`pruning.quadratic.greedy`).
GREEDY_BLOCK = 512.0
# Singular values of a layer, for every number of parts and every width that is tried.
SINGULAR_NS, LAYOUTS = 20.0, 20.0
# What a stage takes by itself: a look at the samples, a cut, a report.
STAGE_SECONDS = 0.05
# Stages of a long run that stand for all of them.
STAGES = 8

Score = Callable[[PruningSpec, Task], Work]


def _looked(spec: PruningSpec, task: Task) -> Task:
    """The samples of a stage."""
    return replace(task, samples=min(task.samples, size(spec.samples)))


def by_size(spec: PruningSpec, task: Task) -> Work:
    """Weights in the order of a number that they have."""
    seconds = 1e-9 * 20.0 * task.parameters + pass_seconds(_looked(spec, task), 0)
    return Work(seconds=seconds, memory=task.data + FLOAT * 6.0 * task.parameters)


def by_passes(spec: PruningSpec, task: Task, *, rounds: int = 1, draws: bool = False, kernel: bool = False) -> Work:
    """Derivatives of the loss, or of a kernel, at the samples, in rounds."""
    looked = _looked(spec, replace(task, samples=KERNEL_INPUTS) if kernel and not spec.at_samples else task)
    shares = max(1.0, SHARED / spec.inputs_per_draw) if kernel else 1.0
    passes = size(spec.rounds or rounds) * (size(spec.draws) if draws else 1.0) * shares * 4.0
    # Drawing new weights is work of its own, whatever the inputs.
    once = pass_seconds(looked, 1) + 1e-9 * 20.0 * task.parameters + 2e-3
    return Work(
        seconds=passes * once,
        memory=task.data + FLOAT * (looked.samples * task.nodes * 16.0 + 8.0 * task.parameters),
    )


def _rows(spec: PruningSpec, task: Task) -> float:
    """Rows of the matrix, one a residual."""
    return min(task.samples, size(spec.samples)) * (2.0 if spec.rows == "sobolev" else 1.0)


def _matrix(spec: PruningSpec, task: Task, *, solve: float, squares: bool) -> Work:
    """A row matrix, and what is solved with it."""
    entries = _rows(spec, task) * task.parameters
    square = task.parameters**2 if squares else 0.0
    return Work(
        seconds=1e-9 * (ENTRY_NS * entries + solve),
        memory=task.data + FLOAT * (MATRICES * entries + SQUARES * square),
    )


def by_inverse(spec: PruningSpec, task: Task, *, rounds: int = 1) -> Work:
    """The inverse of the curvature, in the smaller of its two forms, block by block."""
    rows, block = _rows(spec, task), min(task.parameters, size(spec.block or task.parameters))
    small = min(rows, block)
    solve = size(spec.rounds or rounds) * task.parameters * small * (rows + small)
    work = _matrix(spec, task, solve=FACTOR_NS * solve, squares=False)
    return replace(work, memory=work.memory + FLOAT * SQUARES * small**2)


def by_removal(spec: PruningSpec, task: Task) -> Work:
    """One weight after the other, with the inverse of a block kept up to date."""
    block = min(task.parameters, size(spec.block or GREEDY_BLOCK))
    solve = task.parameters * block * (_rows(spec, task) + 4.0 * block)
    work = _matrix(spec, task, solve=FACTOR_NS * solve, squares=False)
    return replace(work, memory=work.memory + FLOAT * SQUARES * block**2)


def by_exchange(spec: PruningSpec, task: Task) -> Work:
    """Effects of every pair of weights, and random trials with swaps."""
    solve = task.parameters**2 * (FACTOR_NS * _rows(spec, task) + TRIALS * ENTRY_NS)
    return _matrix(spec, task, solve=solve, squares=True)


def by_regression(spec: PruningSpec, task: Task) -> Work:
    """Sparse regression: a descent of products with the rows, and a search where few weights are to stay."""
    work = _matrix(spec, task, solve=DESCENT * PRODUCT_NS * _rows(spec, task) * task.parameters, squares=False)
    return replace(work, seconds=work.seconds + ELIMINATION_SECONDS)


def by_enclosure(spec: PruningSpec, task: Task) -> Work:
    """Intervals of every node and adjoint over the sub-boxes."""
    carried = (1.0 + task.inputs) * (1.0 if spec.enclosure == "interval" else 1.0 + task.inputs)
    swept = 1.0 + GREEKS * task.inputs * ("gamma" in spec.targets) + ("delta" in spec.targets)
    boxes = size(spec.splits) * swept * (carried if spec.enclosure == "affine" else 1.0)
    return Work(
        seconds=1e-9 * INTERVAL_NS * boxes * task.parameters * GREEKS,
        memory=task.data + FLOAT * (boxes * INTERVAL_NUMBERS * task.nodes + 8.0 * task.parameters),
    )


def by_sensitivity(spec: PruningSpec, task: Task) -> Work:
    """The share of every weight in every sum, sample by sample."""
    looked = _looked(spec, task)
    return Work(
        seconds=1e-9 * ENTRY_NS * 2.0 * looked.samples * task.parameters,
        memory=task.data + FLOAT * (looked.samples * task.nodes * 6.0 + 8.0 * task.parameters),
    )


def by_rank(_: PruningSpec, task: Task) -> Work:
    """Singular values of every layer, for every layout."""
    width = task.parameters**0.5
    return Work(
        seconds=1e-9 * SINGULAR_NS * LAYOUTS * task.parameters * width,
        memory=task.data + FLOAT * 8.0 * task.parameters,
    )


def by_training(spec: PruningSpec, task: Task) -> Work:
    """Training that prunes and regrows on its way."""
    loss = SobolevLoss(order=0) if spec.fine_tuning is None else spec.fine_tuning.loss
    dynamics = TrainingSpec(loss=loss, optimisers=(spec.dynamics.optimiser,))
    (work,) = train(task, dynamics, chosen=False)
    return replace(work, memory=work.memory + FLOAT * 4.0 * task.parameters)


# What a stage of a method takes before anything is trained.
METHOD_COSTS: Mapping[MethodName, Score] = {
    "magnitude": by_size,
    "magnitude_layerwise": by_size,
    "magnitude_neuron": by_enclosure,
    "salience": by_passes,
    "salience_per_sample": by_passes,
    "random": by_size,
    "random_neuron": by_enclosure,
    "significance": by_enclosure,
    "obd": by_passes,
    "obs": by_inverse,
    "obs_greedy": by_removal,
    "woodfisher": by_inverse,
    "woodtaylor": by_inverse,
    "mfac": partial(by_inverse, rounds=MFAC_ROUNDS),
    "cbs": by_exchange,
    "chita": by_regression,
    "sipp": by_sensitivity,
    "sipp_random": by_sensitivity,
    "sipp_hybrid": by_sensitivity,
    "pfp": by_sensitivity,
    "pfp_top": by_sensitivity,
    "pfp_random": by_sensitivity,
    "alds": by_rank,
    "snip": by_passes,
    "snip_iterative": partial(by_passes, rounds=ROUNDS),
    "grasp": by_passes,
    "synflow": partial(by_passes, rounds=ROUNDS),
    "ntk_sap": partial(by_passes, rounds=SAP_ROUNDS, draws=True, kernel=True),
    "ntk_sap_exact": partial(by_passes, rounds=SAP_ROUNDS, draws=True, kernel=True),
    "set": by_training,
    "rigl": by_training,
}


def trains_first(spec: PruningSpec) -> bool:
    """Whether a trained network is pruned, and not the one that training starts from."""
    return TRAITS[spec.method].phase == "after"


def prune(task: Task, spec: PruningSpec, training: TrainingSpec, *, chosen: bool) -> list[Work]:
    """Every stage: its score on the network, and the fine-tuning of what is left.

    Args:
        training: of the build, which runs here where the method prunes before.
        chosen: whether the ridge is chosen where the specification leaves it open.
    """
    phase = TRAITS[spec.method].phase
    stages = spec.stages if phase == "after" else 1
    tuning = _whole(training, spec.fine_tuning) if phase == "before" else spec.fine_tuning
    works, seen = list[Work](), min(stages, STAGES)
    for stage in range(seen):
        before, after = kept(task, spec, stage / seen), kept(task, spec, (stage + 1) / seen)
        scored = METHOD_COSTS[spec.method](spec, before)
        trained = [] if tuning is None else train(after, tuning, chosen=chosen)
        once = [replace(scored, seconds=scored.seconds + STAGE_SECONDS), *trained]
        works += [_of_stages(work, stages / seen) for work in once]
    return works


def kept(task: Task, spec: PruningSpec, share: float) -> Task:
    """The network on its way to the target, in a straight line."""
    target = task.parameters
    if spec.parameters is not None:
        target = min(size(spec.parameters), task.parameters)
    elif spec.sparsity is not None:
        target = (1.0 - spec.sparsity) * task.parameters + task.nodes
    left = task.parameters + share * (min(target, task.parameters) - task.parameters)
    return replace(task, parameters=left)


def _of_stages(work: Work, count: float) -> Work:
    return replace(work, seconds=count * work.seconds)


def _whole(training: TrainingSpec, fine_tuning: TrainingSpec | None) -> TrainingSpec:
    """Training, and the optimisers of the fine-tuning after its own (`app.pipeline.prune.recipe`)."""
    if fine_tuning is None:
        return training
    optimisers = (*training.optimisers, *fine_tuning.optimisers)
    return TrainingSpec(loss=fine_tuning.loss, optimisers=optimisers, ridge=fine_tuning.ridge)

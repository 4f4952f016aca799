"""What a whole job takes: every step's parts, from its specification and what is known of what it names. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from msgspec.structs import replace

from app.cost import labels, pruning, training
from app.cost.judging import judge, sweep_seconds
from app.cost.training import Task, task_of
from app.cost.work import FLOAT, Estimate, Work, size, total
from app.specification.build import BuildSpec
from app.specification.choices import first_choice, most_seconds
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.exchange import copies

# What a later round takes of memory and disk, over the first one's.
LATER = 4.0
# Processes of a job beside those that label, train and prune: certify, evaluate, export, publish.
AFTER = 4


@dataclass(frozen=True, kw_only=True)
class Named:
    """What is known of what a job names.

    Args:
        rows: of its dataset.
        teacher_parameters: of the network that gives its labels.
    """

    rows: int = 0
    teacher_parameters: int = 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The parts of a job and their sum, and what they are of.

    Args:
        build: the specification that its steps follow.
    """

    spec: JobSpec
    build: BuildSpec
    named: Named
    parts: tuple[Work, ...]
    estimate: Estimate


def cost_of(spec: JobSpec, build: BuildSpec, named: Named) -> Cost:
    """What a job takes.

    Args:
        build: the specification that its steps follow, the Box of its dataset in it.
    """
    works = parts(spec, build, named)
    processes = AFTER + (2 if build.pruning is None else 3)
    return Cost(spec=spec, build=build, named=named, parts=tuple(works), estimate=total(works, processes=processes))


def parts(spec: JobSpec, build: BuildSpec, named: Named) -> list[Work]:
    """Every part of a job, as `cost_of`."""
    if build.chooses:
        return choose(build)
    task = what_is_learnt(build, named)
    works = [*make_labels(build, named, task), *judge(build, task)]
    match spec:
        case BuildSpec() | RetrainJobSpec():
            return works + learn(build, task)
        case PruneJobSpec():
            return works + prune(build, task)
        case _:
            assert_never(spec)


def choose(build: BuildSpec) -> list[Work]:
    """A build that chooses by itself: the seconds that all rounds may take, or the first one, and what follows."""
    first = first_choice(build.pricing).choice
    begun = build.with_choice(first)
    task, works = what_is_learnt(begun, Named()), a_round(begun)
    rounds = max(most_seconds(build.level, build.box.dimension), sum(work.seconds for work in works))
    most = {part: LATER * max(getattr(work, part) for work in works) for part in ("memory", "disk")}
    return [Work(seconds=rounds, **most), *prune(begun, task), *judge(begun, task)]


def a_round(build: BuildSpec) -> list[Work]:
    """Labels and training of one round of such a build, its choice in it."""
    task, dense = what_is_learnt(build, Named()), replace(build, pruning=None)
    return [*make_labels(dense, Named(), task), *learn(dense, task)]


def what_is_learnt(build: BuildSpec, named: Named) -> Task:
    """Sizes of the samples and of the network.

    Features that exact scaling takes away are counted: which they are is known when torch is.
    """
    simulated = build.dataset is None or build.labels.teacher is not None
    order: int = build.labels.order if simulated else 1
    if build.polynomial is not None:
        order = build.polynomial.order
    samples = size(max(1, build.labels.samples if simulated else named.rows))
    if simulated and build.problem is not None and build.labels.teacher is None:
        samples *= copies(build.problem, build.labels.samples)
    return task_of(
        build.network,
        samples=samples,
        inputs=build.box.dimension,
        directions=size(build.labels.directions) if order == 2 else 0.0,
        order=order,
    )


def make_labels(build: BuildSpec, named: Named, task: Task) -> list[Work]:
    """Rows of a dataset, answers of a teacher, or a simulation."""
    columns = 2.0 + 2.0 * build.box.dimension
    rows = [] if build.dataset is None else [labels.read_rows(size(named.rows), columns)]
    if build.labels.teacher is not None:
        return [*rows, teach(build, named, task)]
    return rows if build.problem is None or rows else labels.simulate(build.problem, build.labels, task.order)


def teach(build: BuildSpec, named: Named, task: Task) -> Work:
    """Values, deltas and curvatures of a published network, at samples drawn as any others."""
    drawn = labels.sample(build.labels.sampler, task.samples, build.box.dimension)
    known = Task(
        samples=task.samples,
        inputs=task.inputs,
        directions=task.directions,
        order=task.order,
        parameters=size(named.teacher_parameters),
        nodes=size(named.teacher_parameters) ** 0.5,
    )
    return Work(
        seconds=drawn.seconds + sweep_seconds(known, task.samples),
        memory=drawn.memory + FLOAT * task.samples * task.inputs**2 * 3.0 + 3.0 * task.data,
        disk=2.0 * task.data,
    )


def learn(build: BuildSpec, task: Task) -> list[Work]:
    """What is trained or solved, and pruned."""
    if build.polynomial is not None:
        return [training.solve(build.polynomial, samples=task.samples, inputs=build.box.dimension)]
    works = list[Work]()
    if build.pruning is None or pruning.trains_first(build.pruning):
        works += training.train(task, build.training, chosen=build.dataset is not None)
    return works + prune(build, task)


def prune(build: BuildSpec, task: Task) -> list[Work]:
    """What is pruned and trained again."""
    if build.pruning is None:
        return []
    return pruning.prune(task, build.pruning, build.training, chosen=build.dataset is not None)

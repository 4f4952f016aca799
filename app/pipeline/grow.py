"""The step of a build that chooses by itself: rounds of labels and training, each judged on fresh labels."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace
from torch import Tensor, from_numpy

from app.cost.job import a_round
from app.pipeline.derived import canonical, input_box
from app.pipeline.facts import Chosen, TrainOrder
from app.pipeline.folder import JobFolder
from app.pipeline.label import label
from app.pipeline.simulated import label_unseen
from app.pipeline.tensors import as_seen, read_trained
from app.pipeline.train import train
from app.specification.build import BuildSpec
from app.specification.choices import (
    AIMS,
    GAIN,
    PATIENCE,
    Next,
    bent,
    first_choice,
    grown,
    most_seconds,
    seconds,
    worst,
)
from pricing.labels import Labels
from pricing.labels import load as load_labels
from pricing.specs.problem import PricingProblem
from pricing.types import Progress
from surrogate.dataset import Dataset
from surrogate.errors import TrainingDiverged
from surrogate.evaluation.buckets import barrier_distance, event_distance, masks
from surrogate.evaluation.fresh import fresh_errors
from surrogate.learning.watching import Heard, planned, unheard
from surrogate.report.choices import Choices, Round
from surrogate.spec import LevenbergMarquardt

# What an error is at least, of the noise, where every sample has random numbers of its own: what remains of it over
# a few hundred samples.
OWN_PATHS = 0.1


def grow(folder: JobFolder, progress: Progress, heard: Heard = unheard) -> None:
    """Label and train in rounds that grow, and leave the files of the best one.

    A round that a crash has cut short is begun again, from the rounds before it.

    Raises:
        InvalidSpec, NonFiniteLabels, TrainingDiverged: of the first round, as of `label` and `train`.
    """
    order = folder.order.read()
    assert isinstance(order, TrainOrder)
    build = order.spec
    level = build.level
    aims, inputs = AIMS[level], input_box(build).dimension
    most = most_seconds(level, inputs)
    step: Next | None = first_choice(build.pricing, inputs=inputs)
    rounds, folders, spent, ended = list[Round](), list[JobFolder](), 0.0, "nothing may grow any more"
    while step is not None:
        chosen = build.with_choice(step.choice)
        cost = sum(work.seconds for work in a_round(chosen))
        limit = seconds(level, step.choice)
        if rounds and spent + cost > limit:
            ended = f"the next round would take about {cost:.0f} s, and {limit:.0f} s are for all of them"
            break
        begun = spent / most

        def report(done: float, begun: float = begun, part: float = cost / most) -> None:
            progress(min(1.0, begun + done * part))

        folders.append(folder.round(len(rounds)))
        try:
            rounds.append(run(folders, chosen, step, report, heard))
        except TrainingDiverged as error:
            if not rounds:
                raise
            ended = str(error)
            break
        spent += cost
        _, multiple = worst(rounds[-1].errors, aims)
        if multiple <= 1.0:
            ended = "every error on fresh labels is small enough"
            break
        if stalled(rounds, aims):
            ended = f"{PATIENCE} rounds did not help"
            break
        before = rounds[-2] if len(rounds) > 1 else None
        step = grown(step.choice, rounds[-1], before, inputs=inputs, aims=aims)
    taken = min(range(len(rounds)), key=lambda place: worst(rounds[place].errors, aims)[1])
    folder.take_learnt(folders[taken])
    choices = Choices(rounds=tuple(rounds), taken=taken, ended=ended)
    folder.chosen.write(Chosen(build=folders[taken].build(), choices=choices))
    for done in folders:
        shutil.rmtree(done.path, ignore_errors=True)


def run(folders: Sequence[JobFolder], build: BuildSpec, step: Next, progress: Progress, heard: Heard) -> Round:
    """One round, in the last of the folders, and how it went."""
    folder, before = folders[-1], folders[-2] if len(folders) > 1 else None
    folder.begin(TrainOrder(spec=build))
    if before is not None and before.build().labels == build.labels:
        folder.take_labels(before)
    else:
        label(folder, lambda done: progress(0.5 * done))
    train(folder, lambda done: progress(0.5 + 0.5 * done), heard)
    return judge(folder, build, step.reason)


def judge(folder: JobFolder, build: BuildSpec, reason: str) -> Round:
    """How good the network of a round is, on fresh labels and on those that it has learnt."""
    network, problem = read_trained(folder), canonical(build)
    unseen, learnt = fresh_labels(folder, build), load_labels(folder.labels.path)
    box, common = input_box(build), build.labels.draws.sharing == "common"
    compare = partial(fresh_errors, network, widths=from_numpy(box.upper - box.lower))
    fresh = compare(
        as_seen(unseen, build),
        off_by_one(unseen, build),
        places(problem, unseen),
        whole=as_seen(unseen, build, whole=True),
        least=1.0 if common else OWN_PATHS,
    )
    known = compare(as_seen(learnt, build), None, places(problem, learnt), whole=as_seen(learnt, build, whole=True))
    (optimiser,) = build.training.optimisers
    return Round(
        samples=build.labels.samples,
        paths=build.labels.paths,
        hidden=build.network.hidden,
        iterations=optimiser.long if isinstance(optimiser, LevenbergMarquardt) else planned(optimiser),
        order=build.training.loss.order,
        errors=fresh.errors,
        learnt=known.errors,
        noise=fresh.noise,
        reason=reason,
    )


def fresh_labels(folder: JobFolder, build: BuildSpec) -> Labels:
    """Labels that judge, with curvatures where there are any: those held out, or such where these have none."""
    labels, _ = bent(build.pricing, build.labels)
    if labels.order == build.labels.order:
        return load_labels(folder.unseen.path)
    return label_unseen(replace(build, labels=labels), build.labels.unseen(fitted=False))


def off_by_one(labels: Labels, build: BuildSpec) -> Dataset:
    """Labels as the network sees them, each off by one standard error. Shape: -> x (batch, input)."""
    pairs = {"value": labels.value_error, "gradient": labels.gradient_error, "curvature": labels.curvature_error}
    moved = {name: getattr(labels, name) + error for name, error in pairs.items() if error is not None}
    return as_seen(dataclasses.replace(labels, **moved), build)


def places(problem: PricingProblem, labels: Labels) -> list[Tensor]:
    """Samples by their distance to the deciding event, and to a barrier. Shape: -> batch of bool each."""
    features = labels.features.numpy()
    distances = [event_distance(problem, features)]
    if "barrier" in problem.payoff.parameters:
        distances.append(barrier_distance(problem, features))
    return [from_numpy(mask) for where in distances for mask in masks(where)]


def stalled(rounds: Sequence[Round], aims: Mapping[str, float]) -> bool:
    """Whether the last rounds did not help."""
    multiples = [worst(each.errors, aims)[1] for each in rounds]
    return len(rounds) > PATIENCE and min(multiples[-PATIENCE:]) > GAIN * min(multiples[:-PATIENCE])

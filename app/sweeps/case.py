"""One case of a sweep: a function of a folder that leaves its network and its record there, all or nothing."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from msgspec import UNSET
from msgspec.structs import asdict, replace

from app.errors import EXPECTED
from app.files import replacing, write_json
from app.pipeline.derived import generator, reduction_of
from app.pipeline.facts import StartSeconds, order_of
from app.pipeline.folder import JobFolder
from app.pipeline.label import label
from app.pipeline.provenance import versions
from app.pipeline.prune import prune_build, recipe
from app.pipeline.tensors import read_trained, read_training_data
from app.pipeline.train import train
from app.sweeps import memory
from app.sweeps.record import Failed, Measured, Preserved, Scores, Skipped
from app.sweeps.spec import SEPARATE, Case, start_of
from pricing.domain import Box
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pruning.compact import compact
from pruning.errors import ImpossibleSparsity
from pruning.stage import size
from pruning.studies.shifts import NOMINAL, Domain, domains
from pruning.studies.similarity import similarity
from surrogate.artifact.files import to_json
from surrogate.evaluation.accuracy import Prediction, accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.network import Network
from surrogate.learning.training import fit, silent
from surrogate.spec import NetworkSpec

CASES, STARTS = "cases", "starts"
GREEKS = ("value", "delta", "gamma")


def key(decides: Mapping[str, Any]) -> str:
    """The sha256 of all that decides a file, versions of the libraries included."""
    return hashlib.sha256(to_json({**decides, "versions": versions()})).hexdigest()


def record_path(case: Case, folder: Path) -> Path:
    """Where a case's record is kept; the label is only a name and decides nothing."""
    decides = dump(case)
    del decides["label"]
    return folder / CASES / f"{key(decides)}.json"


def start_path(case: Case, folder: Path) -> Path:
    """The folder of the labels and the dense network that a case starts from."""
    return folder / STARTS / key(start_of(case))


def run_case(plain: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The record of a case as plain data; it is written unless the case failed, so that the next run tries again.

    Nothing is raised: another process or machine runs this, and a sentence travels better than an exception.
    """
    case = load(Case, plain)
    record = _record(case, folder)
    if not isinstance(record, Failed):
        path = record_path(case, folder)
        path.parent.mkdir(exist_ok=True)
        write_json(path, dump(record))
    return dump(record)


def _record(case: Case, folder: Path) -> Measured | Skipped | Failed:
    """The case carried out, or what kept it from being."""
    try:
        return _measured(case, folder)
    except (ImpossibleSparsity, InvalidSpec) as error:
        return Skipped(sentence=str(error))
    except EXPECTED as error:
        return Failed(sentence=str(error))
    except Exception as error:  # noqa: BLE001 (the process boundary: the others go on, stderr gets the traceback)
        traceback.print_exc(file=sys.stderr)
        return Failed(sentence=f"internal error: {type(error).__name__}: {error}")


def _measured(case: Case, folder: Path) -> Measured:
    """Make the network, write its graph, and judge it."""
    memory.reset_peak()
    start = JobFolder(start_path(case, folder))
    made = _made(case, start)
    peak = memory.peak()
    network, box, reduction = made.network, case.build.box, reduction_of(case.build)
    model = to_onnx(network, box=box, metadata={}, reduction=reduction)
    check_parity(model, network, box, reduction=reduction)
    path = record_path(case, folder).with_suffix(".onnx")
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(model)
    places = _places(case)
    answers = [predict(network, domain.shown, reduction) for domain in places]
    judged = _judged(places, answers, box)
    return Measured(
        sparsity=made.sparsity,
        parameters=network.parameters,
        weights=size(network, "weights"),
        widths=list(network.widths),
        onnx_nodes=len(onnx.load_from_string(model).graph.node),
        bound=made.bound,
        accuracy=judged.pop(NOMINAL),
        shifted=judged,
        seconds=made.seconds,
        peak_memory_bytes=peak,
        preserved=UNSET if case.kind == "dense" else _preserved(case, places, answers, read_trained(start)),
    )


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A network with what its making took; ``sparsity`` is None where nothing is removed."""

    network: Network
    seconds: dict[str, float]
    sparsity: float | None = None
    bound: float | None = None


def _made(case: Case, start: JobFolder) -> _Made:
    """The network that the case asks for, from the labels and the dense network of its seed."""
    if case.kind == "dense":
        seconds = _start(case, start)
        return _Made(network=compact(read_trained(start)), seconds=asdict(seconds))
    if case.network is not None:
        return _from_scratch(case, case.network, start)
    return _pruned(case, start)


def _start(case: Case, start: JobFolder) -> StartSeconds:
    """Make labels and dense network of a seed, unless they are there; what they took."""
    known = start.start_seconds.read_if_there()
    if known is not None:
        return known
    start.begin(order_of(case.build))
    began = time.perf_counter()
    label(start, silent)
    labelled = time.perf_counter()
    train(start, silent)
    seconds = StartSeconds(labels=labelled - began, training=time.perf_counter() - labelled)
    start.start_seconds.write(seconds)
    return seconds


def _from_scratch(case: Case, network: NetworkSpec, start: JobFolder) -> _Made:
    """A network trained on the same labels."""
    data, began = read_training_data(start, case.build), time.perf_counter()
    seeded = generator(SEPARATE if case.kind == "separate" else "training", seed=case.build.seed)
    trained = fit(data, network, case.training or case.build.training, generator=seeded)
    seconds = time.perf_counter() - began
    return _Made(network=compact(trained.network), seconds={"training": seconds})


def _pruned(case: Case, start: JobFolder) -> _Made:
    """The build of the case pruned, as a build with that pruning would be.

    Raises:
        ImpossibleSparsity, InvalidSpec: a combination that cannot be.
    """
    build = replace(case.build, pruning=case.pruning)
    tuned = recipe(start, build).fine_tuning is not None
    data, clock = read_training_data(start, build), _Clock()
    network, report = prune_build(start, build, data=data, progress=clock.report if tuned else silent)
    return _Made(network=network, seconds=clock.seconds(), sparsity=report["sparsity"], bound=report["bound"])


class _Clock:
    """Tells pruning from fine-tuning by the progress: only fine-tuning moves it, and it reports its start."""

    def __init__(self) -> None:
        self.share, self.last = 0.0, time.perf_counter()
        self.spent = {"pruning": 0.0, "fine_tuning": 0.0}

    def report(self, share: float) -> None:
        """Take the share of the whole that is done."""
        now = time.perf_counter()
        self.spent["fine_tuning" if share > self.share else "pruning"] += now - self.last
        self.share, self.last = share, now

    def seconds(self) -> dict[str, float]:
        """Both parts, with what came after the last report."""
        self.report(self.share)
        return self.spent


def _places(case: Case) -> tuple[Domain, ...]:
    """Where the case is judged; all cases of a seed at the same points."""
    problem, seed = case.build.pricing, case.build.seed
    shape = (case.build.evaluation.usual, problem.box.dimension)
    return domains(
        problem,
        case.shifts,
        uniforms=stream("evaluation", seed=seed).random(shape),
        noise=stream("noise", seed=seed).random(shape),
    )


def _judged(places: Sequence[Domain], answers: Sequence[Prediction], box: Box) -> dict[str, dict[str, Scores]]:
    """The scores of each output against the reference, by domain."""
    judged = {}
    for domain, predicted in zip(places, answers, strict=True):
        scores = accuracy(predicted, reference(domain.problem, domain.asked), box)
        judged[domain.name] = {
            greek: Scores(r2=scores[greek].r2, rmse=scores[greek].rmse, max_error=scores[greek].max_error)
            for greek in GREEKS
        }
    return judged


def _preserved(
    case: Case, places: Sequence[Domain], answers: Sequence[Prediction], dense: Network
) -> dict[str, Preserved]:
    """How alike the answers are to the dense network's; another market shows both the points of the Box again."""
    found, reduction = {}, reduction_of(case.build)
    for domain, predicted in zip(places, answers, strict=True):
        if domain.name == NOMINAL or not np.array_equal(domain.shown, places[0].shown):
            others = predict(dense, domain.shown, reduction)
            alike = similarity(predicted, others, points=domain.shown, box=case.build.box)
            found[domain.name] = Preserved(**vars(alike))
    return found

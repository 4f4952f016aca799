"""One case of a sweep: a function of a folder that leaves its network and its record there, all or nothing."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from msgspec.structs import replace

from app.errors import EXPECTED
from app.files import read_json, replacing, write_json
from app.pipeline import steps
from app.pipeline.plan import order, place
from app.pipeline.provenance import versions
from app.specification.build import require_labels
from app.sweeps import memory
from app.sweeps.spec import Case, start_of
from pricing.draws import stream, uniforms
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pruning.compact import compact
from pruning.errors import ImpossibleSparsity
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.shifts import NOMINAL, domains
from pruning.spec import PruningSpec
from pruning.stage import size
from surrogate.artifact.files import to_json
from surrogate.dataset import Dataset
from surrogate.evaluation.accuracy import accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.export.onnx_reader import read_network
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.network import Network
from surrogate.learning.training import fit, silent
from surrogate.spec import TrainingSpec

CASES, STARTS = "cases", "starts"
GREEKS = ("value", "delta", "gamma")
SCORES = ("r2", "rmse", "max_error")


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
    """The record of a case; it is written unless the case failed, so that the next run tries again.

    Nothing is raised: another process or machine runs this, and a sentence travels better than an exception.
    """
    case = load(Case, plain)
    try:
        record = {"status": "done", "sentence": None, **_measured(case, folder)}
    except (ImpossibleSparsity, InvalidSpec) as error:
        record = {"status": "skipped", "sentence": str(error)}
    except EXPECTED as error:
        return {"status": "failed", "sentence": str(error)}
    except Exception as error:  # noqa: BLE001 (the process boundary: the others go on, stderr gets the traceback)
        traceback.print_exc(file=sys.stderr)
        return {"status": "failed", "sentence": f"internal error: {type(error).__name__}: {error}"}
    path = record_path(case, folder)
    path.parent.mkdir(exist_ok=True)
    write_json(path, record)
    return record


def _measured(case: Case, folder: Path) -> dict[str, Any]:
    """Make the network, write its graph, and judge it."""
    start = start_path(case, folder)
    memory.reset_peak()
    if case.kind == "dense":
        _start(case, start)
    data = steps.training_data(start, case.build)
    made = _made(case, start, data)
    peak = memory.peak()
    network, box, reduction = compact(made.network), case.build.box, steps.reduction_of(case.build)
    model = to_onnx(network, box=box, metadata={}, reduction=reduction)
    check_parity(model, network, box, reduction=reduction)
    path = record_path(case, folder).with_suffix(".onnx")
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(model)
    judged = _judged(case, network)
    return {
        "sparsity": made.sparsity,
        "parameters": network.parameters,
        "weights": size(network, "weights"),
        "widths": list(network.widths),
        "onnx_nodes": len(onnx.load_from_string(model).graph.node),
        "bound": made.bound,
        "accuracy": judged.pop(NOMINAL),
        "shifted": judged,
        "seconds": made.seconds,
        "peak_memory_bytes": peak,
    }


@dataclass(frozen=True, kw_only=True)
class _Made:
    """A network with what its making took; ``sparsity`` is None where nothing is removed."""

    network: Network
    seconds: Mapping[str, float]
    sparsity: float | None = None
    bound: float | None = None


def _start(case: Case, start: Path) -> None:
    """Labels and dense network of a seed, unless they are there."""
    if (start / "seconds.json").exists():
        return
    place(order(case.build), start)
    began = time.perf_counter()
    steps.label(start, silent)
    labelled = time.perf_counter()
    steps.train(start, silent)
    write_json(start / "seconds.json", {"labels": labelled - began, "training": time.perf_counter() - labelled})


def _made(case: Case, start: Path, data: Dataset) -> _Made:
    """The network that the case asks for."""
    build, began = case.build, time.perf_counter()
    if case.network is not None:
        generator = steps.generator("training", seed=build.seed)
        trained = fit(data, case.network, case.training or build.training, generator=generator)
        return _Made(network=trained.network, seconds={"training": time.perf_counter() - began})
    dense = read_network((start / "trained.onnx").read_bytes())
    if case.pruning is None:
        return _Made(network=dense, seconds=read_json(start / "seconds.json"))
    return pruned_case(case, case.pruning, dense, data)


def pruned_case(case: Case, spec: PruningSpec, dense: Network, data: Dataset) -> _Made:
    """The dense network pruned, or the untrained one of its seed for a method that prunes before or during training.

    Before training: pruned in one step, then trained as the dense network was and fine-tuned as the others are. During
    training: the method trains by its ``dynamics``, then the same fine-tuning.

    Raises:
        ImpossibleSparsity, InvalidSpec: a combination that cannot be.
    """
    require_labels(spec, case.build.labels)
    method = METHODS[spec.method]
    if spec.retraining == "rewind" and method.granularity == "nodes":
        raise InvalidSpec("retraining: 'rewind' needs a method that removes weights and keeps the shape")
    first = steps.initial(case.build, data)
    if method.phase != "after":
        spec = replace(spec, stages=1)
    if method.phase == "before":
        spec = replace(spec, fine_tuning=_whole_recipe(case.build.training, spec.fine_tuning))
    clock = _Clock()
    pruned = prune(
        dense if method.phase == "after" else first,
        data,
        spec,
        box=steps.input_box(case.build),
        start=first if spec.retraining == "rewind" else None,
        generator=steps.generator("pruning", seed=case.build.seed),
        progress=clock.report if spec.fine_tuning is not None else None,
    )
    seconds = clock.seconds()
    return _Made(
        network=pruned.network, seconds=seconds, sparsity=pruned.report["sparsity"], bound=pruned.report["bound"]
    )


def _whole_recipe(training: TrainingSpec, fine_tuning: TrainingSpec | None) -> TrainingSpec:
    """Training with the fine-tuning's optimisers after it, on the loss of the last of them."""
    if fine_tuning is None:
        return training
    return replace(fine_tuning, optimisers=(*training.optimisers, *fine_tuning.optimisers))


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


def _judged(case: Case, network: Network) -> dict[str, dict[str, dict[str, float]]]:
    """R2, RMSE and largest error of each output against the closed form, by domain."""
    problem, seed = case.build.pricing, case.build.seed
    shape = (case.build.evaluation.samples, problem.box.dimension)
    places = domains(
        problem,
        case.shifts,
        uniforms=uniforms("sobol", *shape, generator=stream("evaluation", seed=seed)),
        noise=stream("noise", seed=seed).random(shape),
    )
    judged, reduction = {}, steps.reduction_of(case.build)
    for domain in places:
        found = predict(network, domain.shown, reduction)
        scores = accuracy(found, reference(domain.problem, domain.asked), problem.box)
        judged[domain.name] = {greek: {score: getattr(scores[greek], score) for score in SCORES} for greek in GREEKS}
    return judged

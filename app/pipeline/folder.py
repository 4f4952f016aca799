"""The folder of a job: a property a file, each written all or nothing. Torch-free.

No other module knows the names of the files, so this is the whole protocol between the steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from app.files import read_json, replacing, write_json
from app.pipeline.facts import Chosen, Order, Parent, SpentSeconds, StartSeconds, TrainOrder, load_order
from app.specification.build import BuildSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from surrogate.artifact.manifest import Certificate
from surrogate.report.curves import HeldOutLabels, TrainingCurves
from surrogate.report.report import AnyReport, LabelFacts, plain_report, read_labels, read_report
from surrogate.report.sources import AxesFacts, PruningFacts, RidgeFacts

Content = TypeVar("Content")


@dataclass(frozen=True)
class JsonFile(Generic[Content]):
    """A file of plain data and how it is understood."""

    path: Path
    parse: Callable[[dict[str, Any]], Content]
    plain: Callable[[Content], Any] = msgspec.to_builtins

    def read(self) -> Content:
        """What the file says."""
        return self.parse(read_json(self.path))

    def read_if_there(self) -> Content | None:
        """What the file says, None where no step has written it."""
        return self.read() if self.path.exists() else None

    def write(self, content: Content) -> None:
        """Put the content in the place of what was there."""
        write_json(self.path, self.plain(content))


@dataclass(frozen=True)
class BinaryFile:
    """A file of bytes."""

    path: Path

    def read(self) -> bytes:
        """Its bytes."""
        return self.path.read_bytes()

    def write(self, content: bytes) -> None:
        """Put the content in the place of what was there."""
        with replacing(self.path) as partial:
            partial.write_bytes(content)


@dataclass(frozen=True)
class JobFolder:
    """Where the steps of one job leave their files for the steps after them."""

    path: Path

    def begin(self, order: Order) -> None:
        """Create the folder, if it is not there, with its order."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.order.write(order)

    def build(self) -> BuildSpec:
        """The specification that the steps follow: the order's own, or the parent's with what the order changes."""
        order = self.order.read()
        if not isinstance(order, TrainOrder):
            return self.parent.read().build
        chosen = self.chosen.read_if_there()
        return order.spec if chosen is None else chosen.build

    def registry(self, wanted: str) -> Path:
        """The root of the registry that holds what a field of the specification names.

        Raises:
            InvalidSpec: it is not known.
        """
        root = self.order.read().registry
        if root is None:
            raise InvalidSpec(f"{wanted}: the registry that holds it is not known; give `registry`", path=wanted)
        return Path(root)

    def prunes(self) -> bool:
        """Whether a step prunes: not what is trained again from a version's weights, which keeps what was pruned."""
        return self.build().pruning is not None and not self.start.path.exists()

    @property
    def order(self) -> JsonFile[Order]:
        """What is asked for."""
        return JsonFile(self.path / "order.json", load_order)

    @property
    def spent(self) -> JsonFile[SpentSeconds]:
        """How long the job has run."""
        return self._json("spent.json", SpentSeconds)

    @property
    def parent(self) -> JsonFile[Parent]:
        """What a prune or retrain job takes over."""
        return self._json("parent.json", Parent)

    def round(self, number: int) -> JobFolder:
        """The folder of one round of a build that chooses by itself."""
        return JobFolder(self.path / f"round_{number}")

    def take_labels(self, other: JobFolder) -> None:
        """Have the labels of another folder, without copying them."""
        for name in ("labels", "label_facts", "unseen", "unseen_facts"):
            self._take(other, name)

    def take_learnt(self, other: JobFolder) -> None:
        """Have the labels of another folder and what was learnt from them, without copying them."""
        self.take_labels(other)
        for name in ("trained", "axes", "training"):
            self._take(other, name)

    def _take(self, other: JobFolder, name: str) -> None:
        theirs, ours = getattr(other, name).path, getattr(self, name).path
        ours.unlink(missing_ok=True)
        if theirs.exists():
            os.link(theirs, ours)

    @property
    def chosen(self) -> JsonFile[Chosen]:
        """What a build has chosen by itself, where it is told nothing of labels, network and training."""
        return self._json("chosen.json", Chosen)

    @property
    def labels(self) -> BinaryFile:
        """What is learnt from: the arrays of `pricing.labels.Labels`, or of the rows of a dataset."""
        return BinaryFile(self.path / "labels.npz")

    @property
    def held_out(self) -> BinaryFile:
        """Rows of a dataset that are judged on and not learnt from."""
        return BinaryFile(self.path / "held_out.npz")

    @property
    def unseen(self) -> BinaryFile:
        """Labels beside those that are learnt from, in the same form: the training is watched by them."""
        return BinaryFile(self.path / "unseen.npz")

    @property
    def unseen_facts(self) -> JsonFile[HeldOutLabels]:
        """What the training is watched by beside what is learnt from, if there is anything."""
        return self._json("unseen.json", HeldOutLabels)

    @property
    def label_facts(self) -> JsonFile[LabelFacts]:
        """How the labels were made."""
        return JsonFile(self.path / "labels.json", read_labels)

    @property
    def start(self) -> BinaryFile:
        """The network that training starts from, as ONNX; only where it is a parent's."""
        return BinaryFile(self.path / "start.onnx")

    @property
    def trained(self) -> BinaryFile:
        """The trained network, or the parent's, as ONNX."""
        return BinaryFile(self.path / "trained.onnx")

    @property
    def axes(self) -> JsonFile[AxesFacts]:
        """What the surrogate sees, where it does not see all features."""
        return self._json("axes.json", AxesFacts)

    @property
    def ridge(self) -> JsonFile[RidgeFacts]:
        """The ridge of the trained network, where one was chosen."""
        return self._json("ridge.json", RidgeFacts)

    @property
    def training(self) -> JsonFile[TrainingCurves]:
        """The losses of the training, where something was trained."""
        return self._json("training.json", TrainingCurves)

    @property
    def fine_tuning(self) -> JsonFile[TrainingCurves]:
        """The losses of what was trained while pruning, where something was."""
        return self._json("fine_tuning.json", TrainingCurves)

    @property
    def pruned(self) -> BinaryFile:
        """The pruned network, as ONNX; only where something is pruned."""
        return BinaryFile(self.path / "pruned.onnx")

    @property
    def pruning(self) -> JsonFile[PruningFacts]:
        """The report of `pruning.prune.prune`."""
        return self._json("pruning.json", PruningFacts)

    @property
    def certificate(self) -> JsonFile[Certificate]:
        """What is proven."""
        return self._json("certificate.json", Certificate)

    @property
    def report(self) -> JsonFile[AnyReport]:
        """How good the result is, as it is published."""
        return JsonFile(self.path / "report.json", read_report, plain_report)

    @property
    def artifact(self) -> Path:
        """The folder of what is published (`surrogate.artifact.files`)."""
        return self.path / "artifact"

    @property
    def start_seconds(self) -> JsonFile[StartSeconds]:
        """In the folder that a sweep's cases start from: its last file."""
        return self._json("seconds.json", StartSeconds)

    def _json(self, name: str, kind: type[Content]) -> JsonFile[Content]:
        return JsonFile(self.path / name, partial(load, kind))

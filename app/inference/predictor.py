"""Loaded model versions: their ONNX Runtime sessions, and what they answer. Torch-free.

Values alone, and everything but gamma, have sessions of their own: the same nodes of the same file without the rest of
it, and the same numbers.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from app.errors import Unavailable
from app.files import read_json
from app.inference.derived import Derived, Further, read_further
from app.registry.registry import Registry
from pricing.domain import Box
from pricing.types import Array
from surrogate.artifact.files import MANIFEST, MODEL, verify
from surrogate.artifact.manifest import read_box
from surrogate.errors import CorruptArtifact
from surrogate.export.subgraph import part_for
from surrogate.runtime import CPU, CUDA, Session, has_cuda, open_session

Provider = Literal["auto", "cpu", "cuda"]
GammaForm = Literal["full", "diagonal", "parallel"]
# Outputs by name. Shape: value (batch,), delta (batch, feature), gamma (batch, feature, feature), any other (batch,) or
# (batch, coordinate).
Answer = dict[str, Array]
# What is answered where nothing else is asked for.
DEFAULT_OUTPUTS = ("value", "delta", "gamma")
# Threads of a call: parallelism comes from chunks and processes (measured: it scales better).
THREADS = 1


@dataclass(frozen=True, eq=False)
class Predictor:
    """A loaded model version; ``features`` outside ``box`` are extrapolated.

    Args:
        sizes: every output with the numbers that it has a row.
        sessions: by the outputs that they compute, all of them at every call; the quickest first, the whole graph last.
        further: what is made of these outputs.
    """

    name: str
    version: int
    box: Box
    sizes: Mapping[str, int]
    sessions: Mapping[frozenset[str], Session]
    further: Further

    @property
    def provider(self) -> str:
        """The execution provider that the runtime chose."""
        return str(next(iter(self.sessions.values())).get_providers()[0])

    def run(self, features: Array, outputs: Sequence[str] = DEFAULT_OUTPUTS) -> Answer:
        """The outputs asked for. Shape: batch feature -> see `Answer`. Safe to call from several threads."""
        session = next(session for computed, session in self.sessions.items() if computed.issuperset(outputs))
        return dict(zip(outputs, session.run(outputs, {"features": features}), strict=True))

    def needed(self, outputs: Sequence[str], derived: Sequence[Derived]) -> tuple[str, ...]:
        """The outputs to run for some of them and for what is made of them, in the model's order."""
        wanted = {*outputs, *(one.source for one in derived)}
        return tuple(name for name in self.sizes if name in wanted)


def first_infinite(arrays: Sequence[Array]) -> int | None:
    """The first row that is not finite everywhere; None where all are. Shape: batch, and what each has."""
    finite = np.all([np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays], axis=0)
    return None if finite.all() else int(np.argmin(finite))


def rows_of(answer: Answer, rows: slice) -> Answer:
    """Some of the rows, as views. Shape: see `Answer`."""
    return {name: array[rows] for name, array in answer.items()}


def gamma_form(gamma: Array, form: GammaForm) -> Array:
    """H, its diagonal, or 1'H 1. Shape: batch feature feature -> batch feature feature, batch feature or batch."""
    if form == "full":
        return gamma
    if form == "diagonal":
        return np.ascontiguousarray(np.einsum("nii->ni", gamma))
    with np.errstate(over="ignore", invalid="ignore"):  # whoever shows it refuses the row
        parallel: Array = gamma.sum(axis=(1, 2))
    return parallel


def load_predictor(folder: Path, *, provider: Provider) -> Predictor:
    """Verify a version folder and open its model.

    Raises:
        CorruptArtifact: files are missing, differ from their hashes, or are no graph that the runtime takes.
        Unavailable: ``provider="cuda"`` where the runtime cannot use it.
    """
    verify(folder)
    manifest = read_json(folder / MANIFEST)
    box = read_box(manifest)
    model = (folder / MODEL).read_bytes()
    session = partial(open_session, threads=THREADS, providers=execution_providers(provider))
    try:
        whole = session(model)
        sizes = {output.name: math.prod(output.shape[1:]) for output in whole.get_outputs()}
        quicker = [frozenset({"value"}), frozenset(sizes) - {"gamma"}]
        sessions = {outputs: session(part_for(model, outputs)) for outputs in quicker} | {frozenset(sizes): whole}
    except Exception as error:  # the runtime's own exceptions have no common base
        raise CorruptArtifact(f"onnxruntime cannot load {folder / MODEL}: {error}") from error
    if provider == "cuda" and CUDA not in whole.get_providers():
        raise Unavailable("provider 'cuda': the runtime found no CUDA device that it can use; use 'auto' or 'cpu'")
    further = read_further(manifest, box, tuple(sizes))
    return Predictor(folder.parent.name, int(folder.name), box, sizes, sessions, further)


def execution_providers(provider: Provider) -> list[str]:
    """The providers to offer the runtime, best first.

    Raises:
        Unavailable: ``"cuda"`` where the runtime has no CUDA.
    """
    if provider == "cuda" and not has_cuda():
        raise Unavailable("provider 'cuda' needs the onnxruntime-gpu package and a CUDA device; use 'auto' or 'cpu'")
    return [CUDA, CPU] if has_cuda() and provider != "cpu" else [CPU]


class Predictors:
    """The most recently used model versions, at most ``capacity`` of them; ``tell`` hears how many after each load."""

    def __init__(
        self,
        registry: Registry,
        *,
        provider: Provider,
        capacity: int,
        tell: Callable[[int], object] = lambda _: None,
    ) -> None:
        execution_providers(provider)
        self._registry = registry
        self._provider = provider
        self._capacity = capacity
        self._tell = tell
        self._tasks: OrderedDict[tuple[str, int], asyncio.Task[Predictor]] = OrderedDict()
        self._asked: dict[tuple[str, int | str], asyncio.Task[Predictor]] = {}

    async def get(self, name: str, version: int | str) -> Predictor:
        """The predictor of a version or alias; concurrent first requests load it once.

        Raises:
            UnknownModel, UnknownVersion, CorruptArtifact: see the registry and `load_predictor`.
        """
        task = self._asked.get((name, version)) or self._ask(name, version)
        return task.result() if task.done() else await asyncio.shield(task)

    def _ask(self, name: str, version: int | str) -> asyncio.Task[Predictor]:
        """The task that loads or has loaded a version; what the registry says is good for this turn of the loop."""
        key = (name, self._registry.resolve(name, version))
        task = self._tasks.pop(key, None)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            folder = self._registry.folder(*key)
            task = asyncio.create_task(asyncio.to_thread(load_predictor, folder, provider=self._provider))
            task.add_done_callback(lambda _: self._tell(len(self.loaded())))
        self._tasks[key] = task  # at the end, where the most recently used is
        if len(self._tasks) > self._capacity:
            self._tasks.popitem(last=False)
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._asked.clear)
        self._asked[name, version] = task
        return task

    def loaded(self) -> list[Predictor]:
        """The predictors ready to answer."""
        done = (task for task in self._tasks.values() if task.done() and not task.cancelled())
        return [task.result() for task in done if task.exception() is None]

"""Answers of a folder's graphs in the runtime of this interpreter, as hexadecimal floats in JSON.

    python answer.py FOLDER RUNTIME < inputs.json > answers.json

It runs where the library does not: with numpy and one runtime alone. A graph that fails has its error as its answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# Outputs by name.
Answers = Mapping[str, Any]
Run = Callable[[Mapping[str, Any]], Answers]


def onnxruntime(model: bytes) -> Run:
    """With default options."""
    import onnxruntime as ort  # type: ignore[import-untyped,unused-ignore]

    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(None, dict(feed)), strict=True))


def reference(model: bytes) -> Run:
    """ONNX's own evaluator, in numpy."""
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(model)  # type: ignore[arg-type,unused-ignore]
    names = list(session.output_names)
    return lambda feed: dict(zip(names, session.run(None, dict(feed)), strict=True))


def slimmed(model: bytes) -> Run:
    """ONNX Runtime, after onnxslim."""
    import onnx
    import onnxslim  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return onnxruntime(onnxslim.slim(onnx.load_from_string(model)).SerializeToString())


def torched(model: bytes) -> Run:
    """onnx2torch, but for two operators on boxes: they need torchvision, in a build that fits torch."""
    import onnx
    import torch

    absent = ModuleType("torchvision.ops")
    absent.roi_align = None  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": ModuleType("torchvision"), "torchvision.ops": absent}
    from onnx2torch import convert  # type: ignore[import-not-found,import-untyped,unused-ignore]

    graph = onnx.load_from_string(model)
    module, names = convert(graph).eval(), [output.name for output in graph.graph.output]

    def run(feed: Mapping[str, Any]) -> Answers:
        with torch.no_grad():
            found = module(*(torch.from_numpy(array) for array in feed.values()))
        outputs: Sequence[Any] = (found,) if isinstance(found, torch.Tensor) else found
        return {name: array.numpy() for name, array in zip(names, outputs, strict=True)}

    return run


RUNTIMES: Mapping[str, Callable[[bytes], Run]] = {
    "onnxruntime": onnxruntime,
    "reference": reference,
    "onnxslim": slimmed,
    "onnx2torch": torched,
}


def answers(model: bytes, runtime: str, given: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """Flat lists of hexadecimal floats by output, or what went wrong."""
    import numpy as np

    feed = {given["name"]: np.array(given["rows"], dtype=given["dtype"]).reshape(-1, given["width"])}
    try:
        found = RUNTIMES[runtime](model)(feed)
    except Exception as error:  # noqa: BLE001  # runtimes have no common one, and each is an answer to be compared
        return f"{type(error).__name__}: {error}"[:500]
    return {name: [float(number).hex() for number in np.asarray(array).ravel()] for name, array in found.items()}


def main() -> None:
    """Read, run, write."""
    folder, runtime, inputs = Path(sys.argv[1]), sys.argv[2], json.load(sys.stdin)
    found = {name: answers((folder / f"{name}.onnx").read_bytes(), runtime, given) for name, given in inputs.items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""How far a published file's answers are from the float64 network in other runtimes, and in less precision.

Rows: ONNX Runtime and ONNX's own evaluator on the float64 and the float32 file; OpenVINO on both, in its default
precision and with the hint of float32, where it is installed (``pip install openvino``). Columns: the largest
difference from ONNX Runtime's float64, as a share of the largest entry of value, delta and gamma. The networks are the
bundled model's and a 7-32-32-1 one with random weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import numpy.typing as npt
import torch
from onnx.reference import ReferenceEvaluator

from app.settings import bundled_models
from app.specification.toml_files import read_build_spec
from pricing.domain import Box
from surrogate.export.onnx_reader import read_network
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise
from surrogate.runtime import open_session

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
OUTPUTS = ("value", "delta", "gamma")
Array = npt.NDArray[np.floating]
Answers = Mapping[str, Array]
Run = Callable[[bytes, Array], Answers]
HINTS = {"OpenVINO": {}, "OpenVINO, float32 hint": {"INFERENCE_PRECISION_HINT": "f32"}}


def onnx_runtime(model: bytes, x: Array) -> Answers:
    """With default options."""
    return dict(zip(OUTPUTS, open_session(model).run(list(OUTPUTS), {"features": x}), strict=True))


def evaluator(model: bytes, x: Array) -> Answers:
    """ONNX's own, in numpy."""
    return dict(zip(OUTPUTS, ReferenceEvaluator(model).run(list(OUTPUTS), {"features": x}), strict=True))


def open_vino(model: bytes, x: Array, *, hints: Mapping[str, str]) -> Answers:
    """On the processor."""
    import openvino  # type: ignore[import-not-found]

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(BytesIO(model)), "CPU", dict(hints))
    found = compiled([x])
    return {name: np.asarray(found[compiled.output(name)]) for name in OUTPUTS}


def networks() -> Iterator[tuple[str, Network, Box]]:
    """What is exported."""
    box = read_build_spec(EXAMPLE).box
    yield "bundled", read_network((bundled_models() / "bachelier-basket-7" / "1" / "model.onnx").read_bytes()), box
    yield "7-32-32-1", initialise((7, 32, 32, 1), "silu", generator=torch.Generator().manual_seed(0)), box


def rows(points: int) -> Iterator[dict[str, Any]]:
    """A row a network, runtime and file."""
    runtimes: dict[str, Run] = {"ONNX Runtime": onnx_runtime, "ONNX reference evaluator": evaluator}
    if importlib.util.find_spec("openvino") is not None:
        for name, hints in HINTS.items():
            runtimes[name] = lambda model, x, hints=hints: open_vino(model, x, hints=hints)  # type: ignore[misc]
    for name, network, box in networks():
        draws = np.random.default_rng(0).uniform(size=(points, box.dimension))
        x = box.lower + (box.upper - box.lower) * draws
        right = onnx_runtime(to_onnx(network, box=box, metadata={}), x)
        for dtype in (torch.float64, torch.float32):
            model = to_onnx(network.to(dtype), box=box, metadata={}, dtype=dtype)
            for runtime, run in runtimes.items():
                found = run(model, x.astype(np.float32 if dtype == torch.float32 else np.float64))
                off = {o: float(np.abs(found[o] - right[o]).max() / np.abs(right[o]).max()) for o in OUTPUTS}
                yield {"network": name, "file": str(dtype).removeprefix("torch."), "runtime": runtime, **off}


def main() -> None:
    """Answer and compare."""
    parser = argparse.ArgumentParser(description="A file's answers in several runtimes and precisions.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="a few points, for CI: shows that it runs")
    arguments = parser.parse_args()
    found = list(rows(16 if arguments.smoke else 4096))
    if arguments.json:
        print(json.dumps({"rows": found}))
        return
    print("| network | file | runtime | value | delta | gamma |\n|---|---|---|---|---|---|")
    for row in found:
        cells = " | ".join(f"{row[output]:.1e}" for output in OUTPUTS)
        print(f"| {row['network']} | {row['file']} | {row['runtime']} | {cells} |")
    if importlib.util.find_spec("openvino") is None:
        print("\nNot tried, because it isn't installed: OpenVINO.")


if __name__ == "__main__":
    main()

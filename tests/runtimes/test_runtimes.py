"""A published file answers alike in the runtimes that people have: to the bit in ONNX Runtime since 1.15."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from app.settings import bundled_models
from tests.runtimes.answer import RUNTIMES
from tests.runtimes.cases import graphs
from tests.runtimes.environments import HERE, ask, node_folder, python_folder

ROWS = 17
# The folder of the graphs, and for each the name, type, width and rows of its input.
Inputs = tuple[Path, dict[str, Any]]
Array = npt.NDArray[np.float64]
# Largest difference, as a share of the largest entry of an output. Exp, Log and Tanh are those of the runtime's build.
ROUNDED = {"float64": 1e-12, "float32": 1e-4}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Graphs of every kind, and the bundled model."""
    folder = tmp_path_factory.mktemp("graphs")
    models = [*graphs(), ("bundled", (bundled_models() / "bachelier-basket-7" / "1" / "model.onnx").read_bytes())]
    described = {}
    for name, model in models:
        (folder / f"{name}.onnx").write_bytes(model)
        graph = onnx.load_from_string(model).graph
        kind = graph.input[0].type.tensor_type
        width = kind.shape.dim[1].dim_value
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
        rows = np.random.default_rng(0).uniform(0.7, 1.4, (ROWS, width)).astype(dtype).astype(float)
        described[name] = {"name": graph.input[0].name, "dtype": dtype, "width": width, "rows": rows.tolist()}
    return folder, described


@pytest.fixture(scope="module")
def today(inputs: Inputs) -> dict[str, Any]:
    """The answers of the runtime that the library is installed with."""
    return python_answers("onnxruntime", inputs)


def python_answers(runtime: str, inputs: Inputs, *, installed: str | None = None) -> dict[str, Any]:
    """Of a runtime of this interpreter, perhaps from a folder of its own."""
    folder, described = inputs
    path = {} if installed is None else {"PYTHONPATH": str(python_folder(installed))}
    return ask([sys.executable, str(HERE / "answer.py"), str(folder), runtime], described, **path)


def numbers(answer: Mapping[str, Any] | str) -> dict[str, Array]:
    """By output."""
    assert not isinstance(answer, str), answer
    return {
        key: np.array([float.fromhex(v) if isinstance(v, str) else v for v in values], dtype=np.float64)
        for key, values in answer.items()
    }


def farthest(found: Mapping[str, Any] | str, right: Mapping[str, Any] | str) -> float:
    """The largest difference of an output, as a share of its largest entry."""
    ours, theirs = numbers(right), numbers(found)
    assert ours.keys() == theirs.keys()
    assert all(theirs[key].shape == ours[key].shape and np.isfinite(theirs[key]).all() for key in ours)
    return max(float(np.abs(theirs[key] - ours[key]).max() / np.abs(ours[key]).max()) for key in ours)


@pytest.mark.parametrize("version", ["1.15", "1.20", "1.25"])
def test_older_runtimes_give_the_same_bits(version: str, inputs: Inputs, today: dict[str, Any]) -> None:
    """SiLU and polynomials in float64 do, to the last one; what has a logarithm or a hyperbolic tangent nearly."""
    found = python_answers("onnxruntime", inputs, installed=f"onnxruntime {version}")
    for name, right in today.items():
        far = farthest(found[name], right)
        exact = name.startswith(("silu", "masked", "polynomial", "bundled")) and inputs[1][name]["dtype"] == "float64"
        assert far <= (0.0 if exact else ROUNDED[inputs[1][name]["dtype"]]), name


@pytest.mark.parametrize(("runtime", "installed"), [("reference", None), ("onnxslim", "onnxslim"), ("onnx2torch",) * 2])
def test_other_tools_read_the_file(runtime: str, installed: str | None, inputs: Inputs, today: dict[str, Any]) -> None:
    assert runtime in RUNTIMES
    found = python_answers(runtime, inputs, installed=installed)
    for name, right in today.items():
        assert farthest(found[name], right) <= ROUNDED[inputs[1][name]["dtype"]], name


@pytest.mark.parametrize("runtime", ["onnxruntime-node", "onnxruntime-web"])
def test_javascript_reads_the_file(runtime: str, inputs: Inputs, today: dict[str, Any]) -> None:
    folder, described = inputs
    found = ask(["node", str(node_folder() / "answer.mjs"), str(folder), runtime], described)
    for name, right in today.items():
        assert farthest(found[name], right) <= ROUNDED[described[name]["dtype"]], name

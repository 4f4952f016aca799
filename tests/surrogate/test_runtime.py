from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.settings import bundled_models

PROGRAM = """
import sys
from surrogate.runtime import onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""


def test_loading_a_model_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    model = bundled_models() / "bachelier-basket-7" / "1" / "model.onnx"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", PROGRAM, str(model)], env=environment | home, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []

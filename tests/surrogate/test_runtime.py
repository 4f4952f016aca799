from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.settings import bundled_models
from surrogate.runtime import CPU, CUDA, LOG_ERRORS, has_cuda, open_session

MODEL = bundled_models() / "bachelier-basket-7" / "1" / "model.onnx"
PROGRAM = """
import sys
from pathlib import Path
from surrogate.runtime import open_session
open_session(Path(sys.argv[1]).read_bytes())
"""


def test_loading_a_model_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", PROGRAM, str(MODEL)], env=environment | home, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


def test_a_session_has_the_threads_that_are_asked_for_and_answers_the_same() -> None:
    features = np.random.default_rng(0).uniform(0.8, 1.2, (100, 7))
    answers = []
    for threads in (0, 1, 2):
        session = open_session(MODEL.read_bytes(), threads=threads)
        options = session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, threads)
        assert options.log_severity_level == LOG_ERRORS
        answers.append(session.run(["value"], {"features": features})[0])
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_the_processor_is_the_provider_where_nothing_else_is_asked_for() -> None:
    assert open_session(MODEL.read_bytes()).get_providers() == [CPU]
    if has_cuda():
        assert open_session(MODEL.read_bytes(), providers=[CUDA, CPU]).get_providers()[-1] == CPU


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(Exception, match=r"(?i)protobuf"):
        open_session(b"no graph")

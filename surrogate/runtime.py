"""ONNX Runtime as it is used everywhere: without its telemetry, quiet, on stated threads. Torch-free.

Unless told otherwise before it is loaded, the library keeps an identifier and a queue of events in the home directory
and looks for its maker's server. A pricing service tells nobody anything.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from onnxruntime import InferenceSession, SessionOptions, get_available_providers

Session: TypeAlias = InferenceSession

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# Severity 3 is "error": the runtime's warnings about graph placement are not for the log of a service.
LOG_ERRORS = 3


def open_session(model: bytes, *, threads: int = 0, providers: Sequence[str] = (CPU,)) -> Session:
    """A session of a graph.

    Args:
        threads: within an operator and between operators; 0 leaves them to the runtime, which takes all cores.
        providers: the best first.

    Raises:
        Exception: the runtime's own, which have no common base: bytes that are no graph, or one that it does not run.
    """
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = LOG_ERRORS
    return Session(model, options, providers=list(providers))


def has_cuda() -> bool:
    """Whether this installation of the runtime was built for CUDA."""
    return CUDA in get_available_providers()

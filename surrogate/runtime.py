"""ONNX Runtime without its telemetry: import it from here. Torch-free.

Unless told otherwise before it is loaded, the library keeps an identifier and a queue of events in the home directory
and looks for its maker's server. A pricing service tells nobody anything.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]

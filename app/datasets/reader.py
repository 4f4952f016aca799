"""One file of labels, read in a process that may die: ``python -P -m app.datasets.reader FILE FOLDER LIMITS``.

Decompressors and Arrow's parser are written in C and C++; what they do with a damaged file, this process does. Before
the file is opened its memory and processor time are limited, and its parent's death is its own. It leaves every array
of the table as ``.npy`` in FOLDER, and on stdout ``{"names": [...]}`` or ``{"error": kind, "message": ...}``.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from app.datasets.files import read_labels
from app.datasets.table import Limits
from app.errors import AppError, InvalidRequest, TooLarge

# Characters of an error of a library that are told.
TOLD = 200
PR_SET_PDEATHSIG = 1
# The parent knows the first from the other deaths of this process.
OUT_OF_MEMORY = "the file needs more than {memory} bytes of memory to be read, the limit (read_memory)"


def confine(limits: Limits) -> None:
    """Limit memory and processor time of this process, and let it end with its parent.

    The address space counts what is reserved and never used, so that what the interpreter has reserved comes on top.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        reserved = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (reserved + limits.memory, reserved + limits.memory))
    seconds = int(limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(path: Path, folder: Path, limits: Limits) -> dict[str, Any]:
    """What is said of a file; the numbers of one that is read are left in the folder."""
    try:
        table = read_labels(path, limits)
        for name, array in table.arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    except AppError as error:
        return refused(error)
    except MemoryError:
        return refused(TooLarge(OUT_OF_MEMORY.format(memory=limits.memory), bound=limits.memory))
    except Exception as error:  # noqa: BLE001 (the process boundary: libraries fail in their own ways at damaged files)
        told = f"{type(error).__name__}: {str(error)[:TOLD]}"
        return refused(InvalidRequest(f"the file is damaged and cannot be read ({told}); export it again"))
    return {"names": list(table.names)}


def refused(error: AppError) -> dict[str, Any]:
    """An error as it is told to the parent."""
    return {"error": type(error).__name__, "message": str(error), "fields": error.fields}


def main(arguments: list[str]) -> None:
    """Read the file that the command line names."""
    path, folder, limits = Path(arguments[0]), Path(arguments[1]), Limits(**json.loads(arguments[2]))
    confine(limits)
    # Text of the file may hold what is no text: escaped, it is at least JSON.
    sys.stdout.write(json.dumps(answer(path, folder, limits)))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

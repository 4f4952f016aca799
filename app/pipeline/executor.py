"""Where the cases of a sweep and the batches of an evaluation run: processes of this machine, or a Dask cluster.

Both are ``concurrent.futures``.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any

from app.errors import Unavailable

# Read when a worker imports its libraries: cases are many enough, and one thread gives the same bits anywhere.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
INSTALL_CLUSTER = "pip install -c constraints.txt '.[train,cluster]'"


@contextmanager
def open_executor(workers: int, dask: str | None = None) -> Iterator[Executor]:
    """An executor of so many processes, or of the Dask cluster at an address such as ``tcp://10.0.0.5:8786``.

    When the block is left by an exception, what has not started is dropped and local workers are ended.

    Raises:
        Unavailable: a cluster is asked for and its library is not installed.
        OSError: nobody answers at the address.
    """
    with _cluster(dask) if dask is not None else _processes(workers) as executor:
        yield executor


@contextmanager
def open_map(workers: int) -> Iterator[Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]]:
    """``map`` over so many processes, which start when it is first asked."""
    with ExitStack() as stack:
        opened = list[Executor]()

        def apply(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
            if not opened:
                opened.append(stack.enter_context(open_executor(workers)))
            return opened[0].map(function, items)

        yield apply


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    from loky import get_reusable_executor

    executor = get_reusable_executor(workers, timeout=None, initializer=_ignore_interrupts, env=ONE_THREAD)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=True, kill_workers=True)
        raise
    executor.shutdown(wait=True)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise Unavailable(f"{error}: SOBOLITE_DASK needs {INSTALL_CLUSTER}, here and on the cluster") from error
    # Leaving the client gives up what it has submitted: a worker ends the case in its hands and takes no other.
    with Client(address) as client:  # type: ignore[no-untyped-call]
        yield client.get_executor(pure=False)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole group of a terminal; only the parent decides when a worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

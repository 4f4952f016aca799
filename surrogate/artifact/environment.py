"""On what machine and with what code a version was made. Torch-free; `app.pipeline.environment` looks it up."""

from __future__ import annotations

from surrogate.report.record import Record


class Environment(Record, frozen=True, kw_only=True):
    """What the last bits of a model may depend on beside its specification and the versions of libraries.

    It is a file of its own beside the manifest, which is the same on every machine, and knows no time: the registry
    writes when and for whom a version was published.

    Args:
        processor: name of its model.
        architecture: of its instructions.
        instruction_set: what each library dispatches to on it.
        system: operating system, kernel and C library.
        python: implementation and version.
        threads: of one operation.
        commit: of the source tree, where that is a git checkout.
        changed: whether files of the packages were other than in the commit.
    """

    processor: str
    architecture: str
    instruction_set: dict[str, str]
    system: str
    python: str
    threads: int
    commit: str | None = None
    changed: bool | None = None

"""Errors of the app package, and the one table from an exception of any package to its HTTP status."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Mapping
from typing import Any

from pricing.errors import InvalidSpec, OutOfDomain, PricingError
from pruning.errors import ImpossibleSparsity, PruningError
from surrogate.errors import CorruptArtifact, SurrogateError


class AppError(Exception):
    """Anything that the app refuses to do; ``fields`` (path, bound, ...) are added to the problem document."""

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.fields = fields


class UnknownModel(AppError, LookupError):
    """A model name that is not in the registry."""


class UnknownVersion(AppError, LookupError):
    """A version, alias or file that the model does not have."""


class UnknownDataset(AppError, LookupError):
    """A dataset that was never imported."""


class UnknownJob(AppError, LookupError):
    """A job id that was never submitted."""


class JobConflict(AppError):
    """A request that does not fit the state of its job."""


class DatasetInUse(AppError):
    """A dataset that a version or a job refers to."""


class TooCostly(AppError, ValueError):
    """A job that would take more time or memory than this deployment gives one."""


class NotPublished(AppError, ValueError):
    """A surrogate that misses what is required of it."""


class NotGated(AppError):
    """A version that misses what was required of it, for an alias that clients price by."""


class NotJson(AppError, ValueError):
    """A request body that is not JSON at all."""


class InvalidRequest(AppError, ValueError):
    """A request that the route does not take; ``path`` names the place."""


class UnsupportedBody(AppError):
    """A content type or encoding that the route does not read."""


class Misdirected(AppError):
    """A request for a name that is not this server's."""


class Foreign(AppError):
    """A request that changes something, sent by a page of another site."""


class Unauthorized(AppError):
    """A request without the server's token."""


class TooLarge(AppError):
    """A body, or the answer that it asks for, beyond its limit."""


class NonFiniteAnswer(AppError, ArithmeticError):
    """A surrogate that is not finite at the features given, far outside its Box."""


class Unavailable(AppError):
    """What this machine or installation does not have: CUDA, torch, a free port."""


class RegistryUnavailable(Unavailable):
    """A registry folder that cannot be read or written."""


class StorageFull(AppError):
    """No room for what is to be written, or too little to begin with it."""


class Overloaded(AppError):
    """More work waiting than the queue holds."""


class DeadlineExceeded(AppError, TimeoutError):
    """The client's deadline passed before its answer was ready."""


# What adds the parts that jobs need to an installation that only serves.
INSTALL_TRAINING = "pip install -c constraints.txt '.[train]'"
# What says by itself what is wrong: a command or a job tells it in its one sentence, without a traceback.
EXPECTED = (AppError, PricingError, SurrogateError, PruningError, OSError)

STATUS: Mapping[type[Exception], int] = {
    NotJson: 400,
    Unauthorized: 401,
    Foreign: 403,
    UnknownModel: 404,
    UnknownVersion: 404,
    UnknownDataset: 404,
    UnknownJob: 404,
    JobConflict: 409,
    NotGated: 409,
    DatasetInUse: 409,
    TooLarge: 413,
    UnsupportedBody: 415,
    Misdirected: 421,
    InvalidRequest: 422,
    TooCostly: 422,
    NonFiniteAnswer: 422,
    InvalidSpec: 422,
    OutOfDomain: 422,
    ImpossibleSparsity: 422,
    CorruptArtifact: 500,
    Unavailable: 503,
    RegistryUnavailable: 503,
    Overloaded: 503,
    DeadlineExceeded: 504,
    StorageFull: 507,
}

# Errors of the system that more room on the disk, or a larger quota, would mend.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def no_room(error: BaseException) -> bool:
    """Whether the operating system or SQLite found no room to write."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in NO_ROOM


def disk_full(error: BaseException | None) -> StorageFull | None:
    """The refusal in place of a failure that a full disk is behind, itself or any of its causes; None of any other."""
    while error is not None:
        reason = getattr(error, "orig", error)  # SQLAlchemy's errors hold the driver's
        if no_room(reason):
            return StorageFull(
                f"the disk is full ({reason}); nothing was kept of this request. Delete jobs and datasets that are no "
                "longer needed, or give the registry more room"
            )
        error = error.__cause__ or error.__context__
    return None

"""What a worker does once a second: it looks after jobs that nobody runs, and after what is past its age."""

from __future__ import annotations

import time

import structlog

from app.errors import AppError
from app.jobs import reserve
from app.jobs.database import JobDatabase
from app.jobs.retention import sweep
from app.jobs.takeover import Running, reap
from app.registry.database import available
from app.settings import Settings

# How often what is past its age is deleted.
SWEEP_SECONDS = 3600.0

log = structlog.get_logger()


class Rounds:
    """As long as the job database can be used; one that cannot is waited for."""

    def __init__(self, settings: Settings, database: JobDatabase, running: Running, me: str) -> None:
        self._settings, self._database, self._running, self._me = settings, database, running, me
        self._swept = -SWEEP_SECONDS
        self._trouble = ""

    def go(self) -> None:
        """Once.

        Raises:
            RegistryUnavailable: another database is in the place of the one that was opened.
        """
        try:
            with available(self._database.path):
                self._database.require(writing=True)
                reap(self._settings.registry / ".workers", self._me, self._running)
        except AppError as failure:
            if self._database.is_replaced():
                raise
            if str(failure) != self._trouble:
                log.error("the job database cannot be used", reason=str(failure))
            self._trouble = str(failure)
            return
        reserve.keep(self._settings.registry)
        if self._trouble:
            self._trouble = ""
            log.info("the job database can be used again")
        if time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._swept = time.monotonic()
            sweep(self._settings)

"""Deployment settings from the environment, as in ``SOBOLITE_REGISTRY=/srv/models``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MEBIBYTE = 1 << 20
# Characters of a token that nobody guesses.
LEAST_TOKEN = 16


def bundled_models() -> Path:
    """The models that come with the package: ``app/bundled`` if installed, ``models`` beside ``app`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "models"


class Settings(BaseSettings):
    """All that differs between deployments; defaults suit one machine with two cores and more."""

    model_config = SettingsConfigDict(env_prefix="SOBOLITE_", frozen=True, extra="forbid")

    registry: Path = Field(
        default_factory=lambda: user_data_path("sobolite"), description="folder of models, metadata and jobs"
    )
    bundled: Path = Field(default_factory=bundled_models, description="models imported into the registry at start")
    provider: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes CUDA where it is present")
    loaded_models: int = Field(default=32, ge=1, description="model versions kept in memory")
    chunk_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="threads for requests of many rows"
    )
    batch_rows: int = Field(default=1024, ge=1, description="most rows of one merged call on the event loop")
    max_rows: int = Field(default=1 << 16, ge=1, description="most rows of one request")
    body_bytes: int = Field(default=16 * MEBIBYTE, ge=1024, description="largest body of a price request")
    control_bytes: int = Field(
        default=MEBIBYTE, ge=1024, description="largest body of any other request but a dataset's"
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="names besides localhost, 127.0.0.1 and [::1] that clients use, by commas; * takes any"
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins of other sites whose pages may change something, by commas"
    )
    token: SecretStr | None = Field(
        default=None, description="what every request but health must bring; at least 16 characters"
    )
    dataset_rows: int = Field(default=1 << 20, ge=1, description="most rows of an imported dataset")
    dataset_bytes: int = Field(
        default=256 * MEBIBYTE, ge=1024, description="largest dataset file, and the numbers that it unpacks to"
    )
    response_bytes: int = Field(
        default=128 * MEBIBYTE, ge=1024, description="largest answer, estimated before it is computed"
    )
    queue_requests: int = Field(default=1024, ge=1, description="price requests in progress before 503")
    queue_bytes: int = Field(default=512 * MEBIBYTE, ge=1024, description="bodies and answers in progress before 503")
    drain_seconds: float = Field(
        default=1.0,
        ge=0.0,
        le=600.0,
        description="after SIGTERM: time not ready but answering, for load balancers to notice",
    )
    jobs_at_once: int = Field(default=1, ge=1, description="jobs that one worker runs at the same time")
    job_threads: int = Field(
        default=1, ge=1, description="threads of a job's step; another number may change a model's last bits"
    )
    sweep_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="cases of a sweep that run at the same time"
    )
    dask: str | None = Field(
        default=None,
        description="scheduler of a Dask cluster for sweeps, tcp://host:port; its workers see the sweep's folder",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("hosts", "origins", mode="before")
    @classmethod
    def _by_commas(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(name.strip().lower() for name in given.split(",") if name.strip())

    @field_validator("token")
    @classmethod
    def _token_can_be_sent(cls, given: SecretStr | None) -> SecretStr | None:
        token = "" if given is None else given.get_secret_value()
        if not token:
            return None
        if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(f"token must be {LEAST_TOKEN} or more printable ASCII characters without spaces")
        return given

    @model_validator(mode="after")
    def _queue_holds_one_request(self) -> Settings:
        if self.queue_bytes < self.body_bytes + self.response_bytes:
            raise ValueError("queue_bytes must hold at least one body_bytes and one response_bytes")
        return self

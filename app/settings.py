"""Deployment settings from the environment, as in ``SOBOLITE_REGISTRY=/srv/models``."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.processors import processors
from pricing.specs.memory import LABEL_THREADS

MEBIBYTE = 1 << 20
PREFIX = "SOBOLITE_"
# What Kubernetes sets in every container for a service that is called sobolite.
OF_KUBERNETES = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")
# A name or address without a port, in brackets where it has colons, and what stands for any; a page's scheme and host.
HOST = re.compile(r"\*|\[[0-9a-f:.]+\]|[a-z0-9._-]+")
ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
# How the settings of that name are spelt.
SPELT = {
    "hosts": (HOST, "names such as prices.example, without scheme or port"),
    "origins": (ORIGIN, "as a browser says them, https://desk.example or http://10.0.0.7:3000, without a path"),
}
# A prefix that a proxy takes off, with or without the slashes around it.
ROOT_PATH = re.compile(r"/?(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+)*/?)?")
# The most that each kind of number may be: far beyond any use, and nothing that counts with it overflows.
THREADS, MANY, ROWS, BYTES, DAY, DAYS = 4096, 1_000_000, 1_000_000_000, 1 << 50, 86_400, 36_600
# Where a Dask scheduler listens.
SCHEDULER = re.compile(r"(tcp|tls|ucx|ws|wss)://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")
# Characters of a token that nobody guesses.
LEAST_TOKEN = 16


def bundled_models() -> Path:
    """The models that come with the package: ``app/bundled`` if installed, ``models`` beside ``app`` in a checkout."""
    package = Path(__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parent / "models"


class Settings(BaseSettings):
    """All that differs between deployments; defaults suit one machine with two cores and more."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, allow_inf_nan=False
    )

    registry: Path = Field(
        default_factory=lambda: user_data_path("sobolite"), description="folder of models, metadata and jobs"
    )
    bundled: Path = Field(default_factory=bundled_models, description="models imported into the registry at start")
    provider: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes CUDA where it is present")
    loaded_models: int = Field(default=32, ge=1, le=MANY, description="model versions kept in memory")
    chunk_threads: int = Field(
        default_factory=processors, ge=1, le=THREADS, description="threads for requests of many rows"
    )
    batch_rows: int = Field(default=1024, ge=1, le=ROWS, description="most rows of one merged call on the event loop")
    max_rows: int = Field(default=1 << 16, ge=1, le=ROWS, description="most rows of one request")
    body_bytes: int = Field(default=16 * MEBIBYTE, ge=1024, le=BYTES, description="largest body of a price request")
    control_bytes: int = Field(
        default=MEBIBYTE, ge=1024, le=BYTES, description="largest body of any other request but a dataset's"
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
    dataset_rows: int = Field(default=1 << 20, ge=1, le=ROWS, description="most rows of an imported dataset")
    dataset_bytes: int = Field(
        default=256 * MEBIBYTE,
        ge=1024,
        le=BYTES,
        description="largest dataset file, and the numbers that it unpacks to",
    )
    read_seconds: float = Field(
        default=60.0, gt=0.0, le=3600.0, description="to read a dataset file, then it is refused"
    )
    read_memory: int = Field(
        default=2048 * MEBIBYTE, ge=64 * MEBIBYTE, le=BYTES, description="bytes that reading a dataset file may take"
    )
    response_bytes: int = Field(
        default=128 * MEBIBYTE, ge=1024, le=BYTES, description="largest answer, estimated before it is computed"
    )
    queue_requests: int = Field(default=1024, ge=1, le=MANY, description="price requests in progress before 503")
    queue_bytes: int = Field(
        default=512 * MEBIBYTE,
        ge=1024,
        le=BYTES,
        description="bodies and answers of 64 KiB and more in progress before 503",
    )
    drain_seconds: float = Field(
        default=1.0,
        ge=0.0,
        le=600.0,
        description="after SIGTERM: time not ready but answering, for load balancers to notice",
    )
    root_path: str = Field(default="", description="path under which a proxy shows the service, as serve --root-path")
    proxies: str | None = Field(
        default=None,
        description="addresses and networks, comma-separated, of proxies whose X-Forwarded-For and -Proto are believed",
    )
    grace_seconds: float = Field(
        default=10.0, ge=1.0, le=600.0, description="after the drain: until everything that is still open is cut"
    )
    header_seconds: float = Field(
        default=10.0, gt=0.0, le=DAY, description="time for the header of a request, else 408"
    )
    header_bytes: int = Field(default=1 << 15, ge=1024, le=BYTES, description="largest header of a request, else 431")
    body_seconds: float = Field(
        default=30.0,
        gt=0.0,
        le=DAY,
        description="time for the body of a request beside what least_rate allows, else 408",
    )
    write_seconds: float = Field(
        default=30.0, gt=0.0, le=DAY, description="time in which a client takes nothing of its answer before it is cut"
    )
    least_rate: int = Field(
        default=1 << 14, ge=1, le=BYTES, description="bytes a second of a body or an answer below which its time runs"
    )
    idle_seconds: int = Field(
        default=75, ge=1, le=DAY, description="time an open connection waits for its next request: above a proxy's own"
    )
    limit_concurrency: int = Field(
        default=4096,
        ge=2,
        le=MANY,
        description="connections of one API process; beyond, those that wait longest are closed",
    )
    jobs_at_once: int = Field(default=1, ge=1, le=THREADS, description="jobs that one worker runs at the same time")
    job_threads: int = Field(
        default=1,
        ge=1,
        le=THREADS,
        description="threads of a job's step; another number may change a model's last bits",
    )
    job_seconds: float = Field(
        default=4 * 3600.0,
        gt=0.0,
        le=366 * DAY,
        description="most seconds of a job: estimated before it is queued, measured after",
    )
    job_memory: int = Field(
        default=8192 * MEBIBYTE,
        ge=MEBIBYTE,
        le=BYTES,
        description="most memory of a job's step, bytes: estimated before it is queued, measured after",
    )
    queued_jobs: int = Field(default=100, ge=1, le=MANY, description="jobs that wait before 503")
    least_free_disk: int = Field(
        default=1024 * MEBIBYTE,
        ge=0,
        le=BYTES,
        description="bytes that jobs and datasets leave free on the disk, else 507",
    )
    job_days: float = Field(
        default=0.0, ge=0.0, le=DAYS, description="days after which an ended job is deleted; 0 keeps all"
    )
    dataset_days: float = Field(
        default=0.0,
        ge=0.0,
        le=DAYS,
        description="days after which a dataset that nothing refers to is deleted; 0 keeps all",
    )
    sweep_workers: int = Field(
        default_factory=processors, ge=1, le=THREADS, description="cases of a sweep that run at the same time"
    )
    label_threads: int = Field(
        default_factory=lambda: min(LABEL_THREADS, processors()),
        ge=1,
        le=THREADS,
        description="threads that make labels, a replicate each; the same bits for any number, and memory for each",
    )
    evaluation_workers: int = Field(
        default_factory=lambda: min(2, processors()),
        ge=1,
        le=THREADS,
        description="processes that make the reference of an evaluation that takes long; the same bits for any number",
    )
    dask: str | None = Field(
        default=None,
        description="scheduler of a Dask cluster for sweeps, tcp://host:port; its workers see the sweep's folder",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="before")
    @classmethod
    def _no_misspelt_names(cls, values: object) -> object:
        require_known_names()
        return values

    @field_validator("registry", "bundled")
    @classmethod
    def _in_home(cls, path: Path) -> Path:
        try:
            return path.expanduser()
        except RuntimeError as error:
            raise ValueError(f"{path}: no such user has a home folder; write the whole path") from error

    @field_validator("bundled")
    @classmethod
    def _is_a_folder(cls, path: Path) -> Path:
        if not path.is_dir():
            raise ValueError(f"bundled must be a folder, and {path} is none; an empty one bundles nothing")
        return path

    @field_validator("dask")
    @classmethod
    def _a_scheduler(cls, given: str | None) -> str | None:
        if given is not None and not SCHEDULER.fullmatch(given):
            raise ValueError(f"dask must be a scheduler's address as tcp://10.0.0.7:8786, got {given[:80]!r}")
        return given

    @field_validator("root_path")
    @classmethod
    def _slash_before_it_and_none_after(cls, given: str) -> str:
        if not ROOT_PATH.fullmatch(given):
            raise ValueError(f"root_path must be as /sobolite or /a/b, got {given[:80]!r}")
        return f"/{given.strip('/')}" if given.strip("/") else ""

    @field_validator("proxies")
    @classmethod
    def _addresses(cls, proxies: str | None) -> str | None:
        for entry in (proxies or "").split(",") if proxies is not None else ():
            try:
                ipaddress.ip_network(entry.strip())
            except ValueError as error:
                raise ValueError(
                    f"proxies must be addresses or networks such as 10.0.0.7,10.1.0.0/16; got {entry.strip()[:80]!r}"
                ) from error
        return proxies

    @field_validator("hosts", "origins", mode="before")
    @classmethod
    def _by_commas(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(name.strip().lower() for name in given.split(",") if name.strip())

    @field_validator("hosts", "origins")
    @classmethod
    def _as_requests_say_them(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        pattern, form = SPELT[str(info.field_name)]
        for name in names:
            if not pattern.fullmatch(name):
                raise ValueError(f"{info.field_name} must be {form}; got {name[:80]!r}")
        return names

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


def require_known_names() -> None:
    """See that the environment has no name with our prefix that is no setting.

    Raises:
        ValueError: it has; names the nearest setting.
    """
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name, value in os.environ.items():
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper() or name.upper() in known or not value or OF_KUBERNETES.fullmatch(rest):
            continue
        (nearest, *_) = difflib.get_close_matches(name.upper(), sorted(known), 1, cutoff=0.0)
        raise ValueError(f"the environment has {name}, which is no setting; did you mean {nearest}?")


def told(error: ValidationError) -> str:
    """What is wrong with settings, a sentence for each, with the value where the sentence does not tell it."""
    sentences = []
    for fault in error.errors():
        name = f"{PREFIX}{'.'.join(map(str, fault['loc'])).upper()}: " if fault["loc"] else ""
        ours = fault["type"] == "value_error"
        got = "" if ours or fault["loc"] == ("token",) else f", got {str(fault['input'])[:80]!r}"
        sentences.append(f"{name}{fault['msg'].removeprefix('Value error, ')}{got}")
    return "; ".join(sentences)

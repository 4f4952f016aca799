from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from msgspec import UNSET
from msgspec.structs import replace

from app import cli
from app.datasets import store
from app.datasets.table import Limits
from app.jobs.database import open_database
from app.jobs.queue import Jobs
from app.main import create_app
from app.pipeline.build import build
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec
from app.sweeps.record import Measured, Preserved, Scores, Skipped
from app.sweeps.run import Outcome
from app.sweeps.spec import FromScratch, SweepSpec, read_sweep_spec
from pricing.domain import Feature
from pricing.specs.base import load
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array
from pruning.spec import PruningSpec
from pruning.studies.shifts import InputNoise
from surrogate.artifact.files import Artifact
from surrogate.artifact.make import make_artifact
from surrogate.artifact.manifest import Provenance
from surrogate.evaluation.evaluate import evaluate
from surrogate.functions.network import Network, initialise
from surrogate.spec import EvaluationSpec
from tests.app.sweeping import run_here, write

# Runs in about a second: a call on two assets, a network of three neurons.
TINY = """
name = "tiny"
seed = 1

[problem]
maturity = 1.0
process = { kind = "bachelier", volatilities = [0.2, 0.3], correlation = [[1.0, 0.5], [0.5, 1.0]] }
payoff = { kind = "call", weights = [0.5, 0.5], strike = 1.0 }
features = [{ name = "spot", lower = [0.5, 0.5], upper = [1.5, 1.5] }]

[labels]
samples = 32
paths = 32
replicates = 2
draws = { pilot = 32 }

[network]
hidden = [3]

[training]
optimisers = [{ kind = "levenberg_marquardt", starts = 1, short = 3, finalists = 1, long = 3 }]

[evaluation]
samples = 64

# Three neurons, three steps: good for nothing.
[accuracy]
value = -1e6
delta = -1e6
gamma = -1e6
worst_bucket = -1e6
points = 1
"""


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """A build specification as TOML."""
    return TINY


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    """A build specification as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A build specification as plain data."""
    return tomllib.loads(TINY)


@pytest.fixture(scope="session")
def tiny_build() -> BuildSpec:
    """A build specification; nothing in it is pruned."""
    return load(BuildSpec, tomllib.loads(TINY))


@pytest.fixture
def tiny_polynomial(tiny: dict[str, Any]) -> BuildSpec:
    """A build of a polynomial along one axis."""
    rest = {name: value for name, value in tiny.items() if name not in ("network", "training")}
    return load(BuildSpec, rest | {"labels": tiny["labels"] | {"order": 1}, "polynomial": {"degree": 3, "axes": 1}})


@pytest.fixture(scope="session")
def tiny_registry(tiny_build: BuildSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry, not to be changed: version 1 of ``tiny`` is the tiny build, version 2 has half of its nodes."""
    folder = tmp_path_factory.mktemp("published")
    registry = Registry(folder / "registry")
    registry.publish("tiny", build(tiny_build, folder / "whole"), job_id="whole")
    half = replace(tiny_build, pruning=PruningSpec(method="magnitude_neuron", sparsity=0.5))
    registry.publish("tiny", build(half, folder / "half"), job_id="half")
    registry.close()
    return registry.root


@pytest.fixture
def job_settings(tmp_path: Path) -> Settings:
    """Settings of an empty registry without bundled models."""
    (tmp_path / "bundled").mkdir(exist_ok=True)
    return Settings(registry=tmp_path / "registry", bundled=tmp_path / "bundled")


@pytest.fixture
def jobs(job_settings: Settings) -> Iterator[Jobs]:
    """The job database with nobody working on it."""
    opened = Jobs(job_settings)
    yield opened
    opened.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a registry that is not there yet."""
    return tmp_path / "registry"


@pytest.fixture(scope="session")
def label_arrays() -> Callable[..., dict[str, Array]]:
    """Makes somebody else's labels: one path a row of a call on two assets, ``each`` rows at a point."""

    def arrays(points: int = 200, each: int = 1) -> dict[str, Array]:
        generator = np.random.default_rng(1)
        x = np.repeat(generator.uniform(0.5, 1.5, (points, 2)), each, axis=0)
        level = (x + 0.2 * generator.standard_normal(x.shape)) @ np.array([0.5, 0.5]) - 1.0
        return {"x": x, "y": np.maximum(level, 0.0), "dydx": (level > 0.0)[:, None] * np.array([0.5, 0.5])}

    return arrays


@pytest.fixture
def import_arrays(root: Path, tmp_path: Path) -> Callable[[dict[str, Array]], str]:
    """Stores labels in the registry and tells their id."""

    def stored(arrays: dict[str, Array]) -> str:
        path = tmp_path / "labels.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]  # allow_pickle is not among them
        return store.import_file(path, root, Limits(rows=10_000, size=1 << 24))[0].dataset

    return stored


@pytest.fixture
def stored(import_arrays: Callable[[dict[str, Array]], str], label_arrays: Callable[..., dict[str, Array]]) -> str:
    """The id of a dataset in the registry."""
    return import_arrays(label_arrays())


@pytest.fixture(scope="session")
def dataset_build() -> Callable[..., dict[str, Any]]:
    """Specifies a build from a dataset, as plain data."""
    optimiser = {"kind": "levenberg_marquardt", "starts": 2, "short": 5, "finalists": 1, "long": 5}

    def specify(identifier: str, **other: Any) -> dict[str, Any]:
        learnt = {"network": {"hidden": [2]}, "training": {"optimisers": [optimiser]}}
        return {"name": "given", "seed": 1, "dataset": {"id": identifier}, **learnt, **other}

    return specify


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def problem() -> PricingProblem:
    """A call on three assets with spots from 0.5 to 1.5."""
    return PricingProblem(
        process=Bachelier(
            volatilities=(0.2, 0.2, 0.3), correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        ),
        payoff=Call(weights=(0.5, 0.3, 0.2), strike=1.0),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.5,) * 3, upper=(1.5,) * 3),),
    )


@pytest.fixture(scope="session")
def network() -> Network:
    """An untrained network on the problem's features: serving does not care how well it prices."""
    return initialise((3, 5, 4, 1), "silu", generator=torch.Generator().manual_seed(20))


@pytest.fixture(scope="session")
def artifact(network: Network, problem: PricingProblem) -> Artifact:
    """The network as it is published, without a float32 variant."""
    report = evaluate(network, problem, EvaluationSpec(samples=64), seed=1)
    provenance = Provenance(build={}, seed=1, simulated_paths=1024)
    return make_artifact(network, name="basket", problem=problem, report=report, provenance=provenance)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, artifact: Artifact) -> Path:
    """A registry that holds version 1 of the model ``basket``; a copy is quicker than its making."""
    root = tmp_path_factory.mktemp("template")
    registry = Registry(root)
    registry.publish("basket", artifact, job_id="first")
    registry.close()
    open_database(root)
    return root


@pytest.fixture
def settings(tmp_path: Path, template: Path) -> Settings:
    """Settings of a registry that holds version 1 of the model ``basket``."""
    shutil.copytree(template, tmp_path / "registry")
    (tmp_path / "bundled").mkdir(exist_ok=True)
    return Settings(registry=tmp_path / "registry", bundled=tmp_path / "bundled", drain_seconds=0.0)


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[FastAPI]:
    """The running application."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(served: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application; a failure of the server is an answer, not an exception."""
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="session")
def sweep_of_three(problem: PricingProblem) -> tuple[SweepSpec, list[Outcome], list[dict[str, float] | None]]:
    """A sweep with measurements that are made up: dense, two pruned and one from scratch for each of two seeds.

    Parameters and gamma R2 by seed: dense 100, 0.99999; "a" 40, 0.9999 and 0.99995; "b & c" 20, 0.9998 and 0.99999;
    from scratch 30, 0.9999; "a" has no network of 5 parameters on seed 1. "a" is unlike the dense network by
    twice what its gammas lack of 1, and nobody measured how alike "b & c" is.
    """
    spec = SweepSpec(
        build=BuildSpec(name="three", seed=0, problem=problem),
        methods=({"method": "magnitude", "label": "a"}, {"method": "chita", "label": "b & c"}),
        parameters=(40,),
        seeds=(0, 1),
        deltas=(0.0, 1.0),
        shifts=(InputNoise(level=0.01),),
        from_scratch=FromScratch(hidden=((2,),)),
    )
    sizes = {"dense": 100, "a": 40, "b & c": 20, "from scratch": 30}
    gammas = {
        "dense": (0.99999, 0.99999),
        "a": (0.9999, 0.99995),
        "b & c": (0.9998, 0.99999),
        "from scratch": (0.9999, 0.9999),
    }
    outcomes: list[Outcome] = []
    for place, seed in enumerate(spec.seeds):
        for case in spec.cases(seed):
            r2, size = gammas[case.label][place], sizes[case.label]
            alike = dict.fromkeys(("value", "delta", "gamma"), 2.0 * r2 - 1.0)
            preserved = Preserved(
                r2=alike, agreement=dict.fromkeys(alike, 0.25 + 0.5 * place), overlap=1.0 - 0.5 * place
            )
            near, far = (Scores(r2=r2, rmse=factor * (1.0 - r2), max_error=1e-3) for factor in (1.0, 1.1))
            record = Measured(
                sparsity=None,
                parameters=size,
                weights=size,
                widths=[3, 2, 1],
                onnx_nodes=20 + size,
                bound=None,
                accuracy=dict.fromkeys(("value", "delta", "gamma"), near),
                shifted={"noise 0.01": dict.fromkeys(("value", "delta", "gamma"), far)},
                seconds={"pruning": 1.0, "fine_tuning": 2.0},
                peak_memory_bytes=1 << 28,
                preserved={"nominal": preserved} if case.label == "a" else UNSET,
            )
            outcomes.append(Outcome(case=case, record=record))
    lost = replace(outcomes[-1].case, label="a", network=None, pruning=PruningSpec(method="magnitude", parameters=5))
    outcomes.append(Outcome(case=lost, record=Skipped(sentence="too small <for> it")))
    latencies: list[dict[str, float] | None] = [
        {"1": 1e-5, "1024": 1e-8 * made.parameters} if isinstance(made := outcome.record, Measured) else None
        for outcome in outcomes
    ]
    return spec, outcomes, latencies


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """The command line tells its registry to the processes that it starts; the next test must not hear of it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs a command line in this process, in an empty registry without bundled models."""
    monkeypatch.setenv("SOBOLITE_REGISTRY", str(tmp_path / "registry"))
    (tmp_path / "bundled").mkdir(exist_ok=True)
    monkeypatch.setenv("SOBOLITE_BUNDLED", str(tmp_path / "bundled"))

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["sobolite", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def built(run: Callable[..., Result], tiny_file: Path) -> Any:
    """The answer of a build of the tiny model."""
    result = run("build", tiny_file, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.fixture(scope="session")
def sweep_spec(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> SweepSpec:
    return read_sweep_spec(write(tmp_path_factory.mktemp("spec"), tiny_text))


@pytest.fixture(scope="session")
def swept(sweep_spec: SweepSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], Path]:
    """A finished sweep, not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    return run_here(sweep_spec, folder), folder


@pytest.fixture
def sweep_folder(swept: tuple[list[Outcome], Path], tmp_path: Path) -> Path:
    """A copy of the finished sweep's folder."""
    return Path(shutil.copytree(swept[1], tmp_path / "sweep"))

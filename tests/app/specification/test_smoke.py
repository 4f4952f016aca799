from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from app.pipeline.build import build
from app.specification.build import BuildSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from pricing.specs.base import dump, load
from surrogate.runtime import open_session

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_builds_and_its_file_answers_in_its_box(example: Path, tmp_path: Path) -> None:
    spec = smoke(read_build_spec(example))
    made = build(spec, tmp_path)
    assert made.manifest.name == spec.name == example.stem.replace("_", "-")
    session = open_session(made.model)
    lower, upper = (
        np.concatenate([getattr(feature, bound) for feature in made.manifest.features]) for bound in ("lower", "upper")
    )
    points = lower + (upper - lower) * np.random.default_rng(0).random((64, len(lower)))
    for answer in session.run(None, {"features": points}):
        assert np.isfinite(answer).all()


def test_a_smoke_build_keeps_what_it_is_about() -> None:
    spec = read_build_spec(EXAMPLES[0])
    small = smoke(spec)
    assert (small.problem, small.network, small.seed) == (spec.problem, spec.network, spec.seed)
    assert small.labels.samples <= 64
    assert smoke(small) == small


def test_a_smoke_build_holds_out_no_more_than_it_has() -> None:
    spec = read_build_spec(EXAMPLES[0])
    more = replace(spec, labels=replace(spec.labels, held_out=spec.labels.samples))
    assert smoke(more).labels.held_out == smoke(more).labels.samples
    assert smoke(spec).labels.held_out is UNSET


def numbers(plain: Any, path: str = "") -> dict[str, float]:
    """Every number of a specification by its path."""
    if isinstance(plain, dict):
        return {place: n for name, part in plain.items() for place, n in numbers(part, f"{path}.{name}").items()}
    if isinstance(plain, list | tuple):
        return {place: n for i, part in enumerate(plain) for place, n in numbers(part, f"{path}[{i}]").items()}
    return {path: plain} if isinstance(plain, int | float) and not isinstance(plain, bool) else {}


HESTON = {
    "kind": "heston",
    "correlation": [[1.0]],
    "initial_variances": [0.04],
    "mean_reversions": [1.5],
    "long_variances": [0.04],
    "variance_volatilities": [0.3],
    "spot_variance_correlations": [-0.7],
    "steps": 4096,
}
BLACK_SCHOLES = {"kind": "black_scholes", "correlation": [[1.0]], "volatilities": [0.2]}
CALL = {"kind": "call", "weights": [1.0], "strike": 100.0}
DATES = [(i + 1) / 1024 for i in range(1024)]
LABELS = {"samples": 1 << 20, "paths": 1 << 14, "replicates": 64}
STATES = [[100.0 + i % 7] for i in range(20_000)]
FLOW = {"hidden": [512] * 8, "steps": 1000, "epochs": 100, "sparsity": 0.9}
OPTIMISERS = [
    {"kind": "adam", "epochs": 1_000_000},
    {"kind": "lbfgs", "iterations": 1_000_000},
    {"kind": "levenberg_marquardt", "starts": 10**6, "short": 10**6, "finalists": 10**6, "long": 10**6},
]
PRUNING = {
    "sparsity": 0.9,
    "stages": 1000,
    "samples": 1 << 22,
    "splits": 4096,
    "fine_tuning": {"optimisers": OPTIMISERS},
}
# What costs, as much of it as is accepted.
LARGE: dict[str, dict[str, Any]] = {
    "labels and evaluation": {"labels": LABELS, "evaluation": {"samples": 1 << 20}},
    "pilot and directions": {"labels": {"draws": {"pilot": 1 << 24}, "directions": 64, "held_out": 512}},
    "grid": {"process": HESTON, "labels": {"order": 1}},
    "bridge": {
        "payoff": {"kind": "barrier", "strike": 100.0, "barrier": 80.0, "direction": "down", "knock": "out"},
        "labels": {"estimator": {"kind": "bridge", "steps": 4096}},
    },
    "dates": {"payoff": {"kind": "asian", "weights": [1.0], "strike": 100.0, "dates": DATES}, "labels": LABELS},
    "exercise": {
        "payoff": {"kind": "bermudan", "option": CALL, "dates": DATES},
        "labels": {"order": 1, "estimator": {"kind": "frozen", "paths": 1 << 24, "degree": 8}},
    },
    "flow": {"labels": {"order": 1, "sampler": {"kind": "table", "states": STATES, "flow": FLOW}}},
    "network": {"network": {"hidden": [4096] * 32}, "training": {"optimisers": OPTIMISERS[:2]}},
    "optimisers": {"training": {"optimisers": (OPTIMISERS * 16)[:16]}},
    "polynomial": {"polynomial": {"degree": 24}},
    "stages": {"pruning": {"method": "chita", "block": 1 << 30, **PRUNING}},
    "rounds": {"pruning": {"method": "ntk_sap_exact", "sparsity": 0.5, "rounds": 100, "draws": 100}},
    "dynamics": {"pruning": {"method": "rigl", "sparsity": 0.5, "dynamics": {"optimiser": OPTIMISERS[0]}}},
    "shared weights": {"pruning": {"method": "ntk_sap", "sparsity": 0.5, "rounds": 100, "kernel_sharing": 1}},
}
# Numbers that say how long something takes, and the most of them.
MOST = {
    "samples": 64, "paths": 1024, "replicates": 2, "pilot": 64, "directions": 4, "held_out": 64, "steps": 8,
    "epochs": 2, "iterations": 3, "starts": 2, "short": 2, "finalists": 1, "long": 2, "degree": 9, "stages": 1,
    "rounds": 2, "draws": 1, "splits": 1, "block": 256,
}  # fmt: skip


def large(case: dict[str, Any]) -> BuildSpec:
    """A build of a call on one asset with what the case says."""
    process, payoff = case.get("process", BLACK_SCHOLES), case.get("payoff", CALL)
    problem = {"process": process, "payoff": payoff, "maturity": 1.0}
    problem["features"] = [{"name": "spot", "lower": [70.0], "upper": [130.0]}]
    rest = {name: part for name, part in case.items() if name not in ("process", "payoff")}
    return load(BuildSpec, {"name": "large", "seed": 1, "problem": problem, **rest})


@pytest.mark.parametrize("case", LARGE.values(), ids=LARGE)
def test_whatever_costs_is_held_to_a_bound(case: dict[str, Any]) -> None:
    spec = large(case)
    small = smoke(spec)
    idle = {"seed"} if small.polynomial is None else {"seed", "training"}  # a polynomial is not trained
    found = numbers({name: part for name, part in dump(small).items() if name not in idle})
    beyond = {
        path: n for path, n in found.items() if n > MOST.get(path.rpartition(".")[2].partition("[")[0], float("inf"))
    }
    assert beyond == {}
    assert len(small.training.optimisers) <= 4
    assert small.network.parameters(1) <= 100_000
    assert smoke(small) == small
    assert load(BuildSpec, dump(small)) == small


@pytest.mark.parametrize(("dates", "paths"), [(DATES[15::16], 64), (DATES[3::4], 16), (DATES, 8)])
def test_long_paths_are_fewer(dates: list[float], paths: int) -> None:
    payoff = {"kind": "asian", "weights": [1.0], "strike": 100.0, "dates": dates}
    assert smoke(large({"payoff": payoff})).labels.paths == paths


@pytest.mark.parametrize("target", [{"sparsity": 0.999}, {"parameters": 40}])
def test_a_smaller_network_is_pruned_by_what_it_can_spare(target: dict[str, Any]) -> None:
    """A target of the whole network, kept where that is kept, may be impossible for the smaller one."""
    pruning = {"method": "magnitude_neuron", "initial_sparsity": 0.01, **target}
    adam = {"optimisers": OPTIMISERS[:1]}
    kept, cut = (
        smoke(large({"network": {"hidden": [width] * 4}, "training": adam, "pruning": pruning})).pruning
        for width in (64, 1024)
    )
    assert kept is not None
    assert cut is not None
    assert (kept.sparsity, kept.parameters) == (target.get("sparsity"), target.get("parameters"))
    assert (cut.sparsity, cut.parameters, cut.initial_sparsity) == (0.5, None, 0.0)

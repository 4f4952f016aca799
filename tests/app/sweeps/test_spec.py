from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.sweeps.spec import DENSE, SCRATCH, SEPARATE, Case, SweepSpec, read_sweep_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.sampler import TableSampler
from pruning.studies.shifts import DEFAULT_SHIFTS, Correlation

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "sweeps").glob("*.toml"))


@pytest.fixture
def sweep(tiny: dict[str, Any]) -> dict[str, Any]:
    """A sweep specification as plain data."""
    return {"build": tiny, "methods": ["magnitude", {"method": "obs", "ridge": 0.1}], "parameters": [20, 10]}


def test_cases_are_methods_by_targets_for_each_seed(sweep: dict[str, Any]) -> None:
    sweep |= {"sparsities": [0.5], "seeds": [3, 4], "from_scratch": {"hidden": [[2], [1, 1]]}}
    spec = load(SweepSpec, sweep)
    cases = spec.cases(4)
    assert [(case.label, case.target) for case in cases] == [
        (DENSE, "3"),
        *(
            (method, target)
            for method in ("magnitude", "obs")
            for target in ("sparsity 0.5", "20 parameters", "10 parameters")
        ),
        (SCRATCH, "2"),
        (SCRATCH, "1-1"),
    ]
    assert {case.build.seed for case in cases} == {4}
    assert [case.kind for case in cases] == ["dense", *["pruned"] * 6, *["from scratch"] * 2]


def test_the_dense_network_may_be_trained_a_second_time(sweep: dict[str, Any]) -> None:
    spec = load(SweepSpec, sweep | {"separate": True})
    *others, again = spec.cases(4)
    assert others == list(load(SweepSpec, sweep).cases(4))
    assert (again.label, again.kind, again.target) == (SEPARATE, "separate", "3")
    assert (again.network, again.training) == (spec.build.network, spec.build.training)


def test_what_an_earlier_case_did_not_have_is_left_out_of_its_key(sweep: dict[str, Any]) -> None:
    case = load(SweepSpec, sweep | {"from_scratch": {"hidden": [[2]]}}).cases(0)[-1]
    assert set(dump(case)) == {"label", "build", "shifts", "pruning", "network", "training"}
    assert load(Case, dump(case)) == case


def test_the_usual_shifts_are_those_that_the_problem_allows(sweep: dict[str, Any]) -> None:
    assert load(SweepSpec, sweep).places == load(SweepSpec, sweep).cases(0)[0].shifts == DEFAULT_SHIFTS
    assert load(SweepSpec, sweep | {"shifts": []}).places == ()
    sweep["build"]["problem"]["features"].append({"name": "correlation", "lower": [0.0], "upper": [0.9]})
    told = load(SweepSpec, sweep)
    assert [shift for shift in DEFAULT_SHIFTS if shift not in told.places] == [Correlation(share=0.1)]
    with pytest.raises(InvalidSpec, match=r"correlation is a feature of this problem.* - at `shifts\[1\]`"):
        load(SweepSpec, sweep | {"shifts": [{"kind": "edges"}, {"kind": "correlation", "share": 0.5}]})


def test_a_method_may_have_options_and_a_label_of_its_own(sweep: dict[str, Any]) -> None:
    sweep["pruning"] = {"ridge": 0.01, "stages": 3}
    sweep["methods"].append({"method": "obs", "label": "obs, one shot", "stages": 1})
    found = dict(load(SweepSpec, sweep).prunings())
    assert [(found[label].ridge, found[label].stages) for label in ("magnitude", "obs", "obs, one shot")] == [
        (0.01, 3),
        (0.1, 3),
        (0.01, 1),
    ]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"methods": []}, "methods"),
        ({"methods": ["magnitude", "magnitude"]}, "methods"),
        ({"methods": ["magnitude", "magnitud"]}, r"methods\[1\].method"),
        ({"methods": [{"method": "obs", "rigde": 1.0}]}, r"methods\[0\]"),
        ({"methods": [{"method": "obs", "ridge": -1.0}]}, r"methods\[0\].ridge"),
        ({"methods": [{"method": "obs", "sparsity": 0.5}]}, r"methods\[0\].sparsity"),
        ({"methods": [{"label": "nameless"}]}, r"methods\[0\]"),
        ({"methods": [{"method": "obs", "label": DENSE}]}, r"methods\[0\]"),
        ({"methods": [{"method": "obs", "label": SEPARATE}]}, r"methods\[0\]"),
        ({"pruning": {"parameters": 5}}, "pruning.parameters"),
        ({"parameters": []}, "parameters"),
        ({"parameters": [0]}, "parameters"),
        ({"sparsities": [1.5]}, "sparsities"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, r"seeds\[0\]"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"shifts": [{"kind": "edges"}, {"kind": "edges"}]}, "shifts"),
        ({"shifts": [{"kind": "noise", "level": -1.0}]}, r"shifts\[0\].level"),
        ({"shifts": [{"kind": "correlation", "share": 1.0}]}, r"shifts\[0\].share"),
        ({"from_scratch": {"hidden": [[0]]}}, r"from_scratch.hidden\[0\]"),
        ({"gamma_r2": 1.5}, "gamma_r2"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(sweep: dict[str, Any], change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec, match=f"at `{path}"):
        load(SweepSpec, sweep | change)


def test_the_builds_own_pruning_is_refused_in_place_and_left_out_of_a_file(
    sweep: dict[str, Any], tiny_file: Path
) -> None:
    pruning = '\n[pruning]\nmethod = "magnitude"\nsparsity = 0.5\n'
    with pytest.raises(InvalidSpec, match=r"build\.pruning"):
        load(SweepSpec, sweep | {"build": sweep["build"] | tomllib.loads(pruning)})
    tiny_file.write_text(tiny_file.read_text() + pruning)
    path = tiny_file.with_name("sweep.toml")
    path.write_text('build = "tiny.toml"\nmethods = ["obs"]\nsparsities = [0.5]\n')
    assert read_sweep_spec(path).build.pruning is None
    path.write_text('build = "missing.toml"\nmethods = ["obs"]\nsparsities = [0.5]\n')
    with pytest.raises(InvalidSpec, match="cannot read"):
        read_sweep_spec(path)


@pytest.mark.parametrize("inline", [False, True])
def test_a_table_of_states_is_read_beside_the_file_that_names_it(inline: bool, tiny_file: Path) -> None:
    folder = tiny_file.parent
    (folder / "sweeps").mkdir()
    (folder / "history.csv").write_text("spot[0],spot[1]\n0.9,1.1\n0.1,1.2\n")
    table = "../history.csv" if inline else "history.csv"
    build = tiny_file.read_text().replace("[labels]", f'[labels]\nsampler = {{ kind = "table", table = "{table}" }}')
    tiny_file.write_text(build)
    path = folder / "sweeps" / "sweep.toml"
    head = 'methods = ["obs"]\nsparsities = [0.5]\n'
    path.write_text(head + (_within_build(build) if inline else 'build = "../tiny.toml"\n'))
    sampler = read_sweep_spec(path).build.labels.sampler
    assert isinstance(sampler, TableSampler)
    assert sampler.states == ((0.9, 1.1), (0.1, 1.2))


def _within_build(text: str) -> str:
    """A build's TOML as the table [build] of a sweep."""
    return "[build]\n" + re.sub(r"^(\[+)", r"\1build.", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_sweeps(path: Path) -> None:
    assert len(read_sweep_spec(path).cases(0)) > 1

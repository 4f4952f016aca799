from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.specification.jobs import JobKind
from app.specification.schema import components, document, fields, structs, summary
from pricing.specs.european import WorstOf
from pricing.specs.payoff import Asian
from pricing.specs.process import Heston
from pricing.specs.sampler import TableSampler

ROOT = Path(__file__).parents[3]
PROBLEMS = [path for path in sorted((ROOT / "examples").glob("*.toml")) if "problem" in tomllib.loads(path.read_text())]
OURS = ("app.specification", "pricing.specs")


@pytest.mark.parametrize("struct", [s for s in structs() if s.__module__.startswith(OURS)], ids=lambda s: s.__name__)
def test_every_field_says_what_it_is(struct: Any) -> None:
    assert summary(struct)
    assert set(struct.__struct_fields__) == set(fields(struct))


def test_fields_are_described_by_the_struct_and_by_what_it_inherits() -> None:
    assert fields(WorstOf)["strike"].startswith("K, a performance like R")
    assert fields(Heston)["rate"] == "r per year, continuously compounded, until the first of `rate_pieces`."
    assert fields(Asian)["dates"].startswith("averaging dates still to come as shares of the maturity")
    assert fields(TableSampler)["states"].endswith('`table = "history.csv"` (or .npz) beside it stands for them.')
    assert summary(Heston).endswith("for equal\nrho (Heston 1993).")


@pytest.mark.parametrize("kind", ["train", "prune"])
def test_a_schema_stands_on_its_own(kind: JobKind) -> None:
    schema = json.loads(json.dumps(document(kind)))
    definitions = schema["$defs"]
    assert set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))) == set(definitions)
    sampler = definitions["LabelSpec"]["properties"]["sampler"]
    assert sampler["description"] == "where in the Box labels are made."
    assert set(sampler["discriminator"]["mapping"]) == {"uniform", "diffused", "moneyness", "table"}
    assert definitions["FlowSpec"]["properties"]["hidden"]["default"] == [32, 32]
    assert definitions["FlowSpec"]["additionalProperties"] is False


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_the_examples_fit_the_schema(path: Path) -> None:
    definitions = components("{name}")
    build = tomllib.loads(path.read_text())
    assert misfits(build, definitions["BuildSpec"], definitions) == []
    build["problem"]["payoff"]["srike"] = 1.0
    del build["name"]
    assert misfits(build, definitions["BuildSpec"], definitions) == ["lacks name", "problem.payoff.srike"]


def misfits(data: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> list[str]:
    """Where tables have fields that the schema has not, or lack some that it requires."""
    if "anyOf" in schema:
        tried = [misfits(data, part, definitions, path) for part in chosen(data, schema)]
        return min(tried, key=len)
    if "$ref" in schema:
        return misfits(data, definitions[schema["$ref"]], definitions, path)
    if isinstance(data, list):
        return [fault for item in data for fault in misfits(item, schema["items"], definitions, path)]
    if not isinstance(data, dict):
        return []
    place = f"{path}." if path else ""
    if "properties" not in schema:  # any names, one kind of value
        kind = schema["additionalProperties"]
        return [fault for name, part in data.items() for fault in misfits(part, kind, definitions, place + name)]
    found = [f"lacks {place}{name}" for name in schema["required"] if name not in data]
    for name, part in data.items():
        known = schema["properties"].get(name)
        found += [place + name] if known is None else misfits(part, known, definitions, place + name)
    return found


def chosen(data: Any, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives that a table may be: that of its kind, where they differ by kind."""
    if "discriminator" in schema and isinstance(data, dict):
        return [{"$ref": schema["discriminator"]["mapping"][data["kind"]]}]
    return [part for part in schema["anyOf"] if part != {"type": "null"}]

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_the_schema_of_a_specification(run: Run) -> None:
    train, prune = (json.loads(run("schema", *kind).out) for kind in ([], ["prune"]))
    assert (train["$ref"], prune["$ref"]) == ("#/$defs/BuildSpec", "#/$defs/PruneJobSpec")
    assert run("schema", "--markdown").out.startswith("# What a specification says\n")
    assert run("schema", "sell").code == 2

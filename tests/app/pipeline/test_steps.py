from __future__ import annotations

from pathlib import Path
from typing import Any

from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import WEIGHTS, plan
from app.pipeline.steps import STEPS, run_step
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from surrogate.artifact.manifest import Version
from surrogate.learning.training import silent

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_the_plan_names_steps_that_exist(tiny: dict[str, Any]) -> None:
    prune = load_spec("prune", {"model": "tiny", "pruning": PRUNING})
    alone = {name: tiny[name] for name in ("name", "seed", "problem")}
    plans = (prune, load_spec("train", tiny), load_spec("train", alone))
    assert {step for spec in plans for step in plan(spec)} == set(STEPS) == set(WEIGHTS)


def test_every_step_may_be_run_again_and_only_the_last_has_a_result(
    tiny_build: BuildSpec, root: Path, tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path / "job")
    folder.begin(order_of(tiny_build, registry=root, job="a"))
    for step in plan(tiny_build):
        results = [run_step(step, folder, silent) for _ in range(2)]
        assert results == [Version(model="tiny", version=1) if step == "publish" else None] * 2
    registry = Registry(root)
    assert registry.versions("tiny") == [1]
    registry.close()

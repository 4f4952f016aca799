from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.errors import Unavailable, UnknownVersion
from app.inference.predictor import Predictors, execution_providers, gamma_form, load_predictor, rows_of
from app.registry.registry import Registry
from app.settings import Settings
from pricing.specs.problem import PricingProblem
from surrogate.artifact.files import MODEL, Artifact
from surrogate.errors import CorruptArtifact
from surrogate.functions.network import Network, value_gradient_hessian
from surrogate.runtime import CPU

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings.registry)


async def test_answers_are_the_networks(registry: Registry, network: Network, problem: PricingProblem) -> None:
    predictor = load_predictor(registry.folder("basket", 1), provider="cpu")
    assert (predictor.name, predictor.version, predictor.provider) == ("basket", 1, CPU)
    assert predictor.box == problem.box
    features = np.random.default_rng(1).uniform(0.5, 1.5, (50, 3))
    answer = predictor.run(features)
    expected = value_gradient_hessian(network, torch.from_numpy(features))
    for ours, theirs in zip((answer["value"], answer["delta"], answer["gamma"]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("outputs", [("value",), ("delta",), ("value", "delta"), ("gamma",), ("value", "gamma")])
def test_whichever_outputs_are_asked_for_they_are_the_same_numbers(
    registry: Registry, outputs: tuple[str, ...]
) -> None:
    """Sessions of fewer nodes answer for fewer outputs, to the last bit as the whole graph does."""
    predictor = load_predictor(registry.folder("basket", 1), provider="cpu")
    assert [set(computed) for computed in predictor.sessions] == [{"value"}, {"value", "delta"}, set(predictor.sizes)]
    features = np.random.default_rng(2).uniform(0.5, 1.5, (300, 3))
    whole, answer = predictor.run(features), predictor.run(features, outputs)
    assert tuple(answer) == outputs
    for name in outputs:
        np.testing.assert_array_equal(answer[name], whole[name])


async def test_one_load_for_requests_at_once_and_none_after(registry: Registry) -> None:
    predictors = Predictors(registry, provider="auto", capacity=2)
    assert predictors.loaded() == []
    got = await asyncio.gather(*(predictors.get("basket", version) for version in (1, "1", "champion", "latest")))
    assert len({id(one) for one in got}) == 1
    assert await predictors.get("basket", 1) is got[0]
    assert predictors.loaded() == [got[0]]


async def test_a_later_version_is_found_and_the_oldest_used_goes(registry: Registry, artifact: Artifact) -> None:
    predictors = Predictors(registry, provider="auto", capacity=2)
    first = await predictors.get("basket", "latest")
    with pytest.raises(UnknownVersion):
        await predictors.get("basket", 2)
    for job in ("second", "third"):
        Registry(registry.root).publish("basket", artifact, job_id=job)
    assert (await predictors.get("basket", 2)).version == 2
    assert await predictors.get("basket", 1) is first
    assert (await predictors.get("basket", "latest")).version == 3
    assert sorted(one.version for one in predictors.loaded()) == [1, 3]
    assert await predictors.get("basket", 1) is first


async def test_the_registry_is_asked_again_in_the_next_turn_of_the_loop(registry: Registry, artifact: Artifact) -> None:
    predictors = Predictors(registry, provider="auto", capacity=2)
    first = await predictors.get("basket", "latest")
    await asyncio.sleep(0)
    assert await predictors.get("basket", "latest") is first
    Registry(registry.root).publish("basket", artifact, job_id="second")
    assert await predictors.get("basket", "latest") is first  # the turn in which it was asked goes on
    await asyncio.sleep(0)
    assert (await predictors.get("basket", "latest")).version == 2


async def test_altered_files_are_refused_until_restored(registry: Registry) -> None:
    predictors = Predictors(registry, provider="auto", capacity=2)
    model = registry.folder("basket", 1) / MODEL
    good = model.read_bytes()
    model.write_bytes(good[:-1])
    for _ in range(2):
        with pytest.raises(CorruptArtifact, match=MODEL):
            await predictors.get("basket", 1)
    assert predictors.loaded() == []
    model.write_bytes(good)
    assert (await predictors.get("basket", 1)).version == 1


async def test_a_whole_file_that_is_no_graph_is_refused(registry: Registry, artifact: Artifact) -> None:
    number = registry.publish("broken", replace(artifact, model=b"whole, hashed, and no graph"), job_id="broken")
    with pytest.raises(CorruptArtifact, match="onnxruntime cannot load"):
        load_predictor(registry.folder("broken", number), provider="cpu")


def test_providers() -> None:
    """`auto` ends in the processor everywhere; CUDA is asked for by name only where it exists."""
    assert execution_providers("cpu") == [CPU]
    assert execution_providers("auto")[-1] == CPU
    if len(execution_providers("auto")) == 1:
        with pytest.raises(Unavailable, match="onnxruntime-gpu"):
            execution_providers("cuda")
    else:
        assert execution_providers("cuda") == execution_providers("auto")


def test_gamma_forms() -> None:
    gamma, ones = np.random.default_rng(0).normal(size=(7, 3, 3)), np.ones(3)
    assert gamma_form(gamma, "full") is gamma
    assert (gamma_form(gamma, "diagonal") == [np.diag(hessian) for hessian in gamma]).all()
    np.testing.assert_allclose(gamma_form(gamma, "parallel"), [ones @ h @ ones for h in gamma], rtol=1e-13)


def test_rows_of_an_answer_are_views() -> None:
    answer = {"value": np.arange(5.0), "delta": np.ones((5, 2))}
    part = rows_of(answer, slice(1, 3))
    assert part["value"].tolist() == [1.0, 2.0]
    assert all(np.shares_memory(part[name], answer[name]) for name in answer)

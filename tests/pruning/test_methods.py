"""What methods of the mapping have to do with one another; what each owes its callers is in the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.methods import METHODS
from pruning.spec import MethodName, PruningSpec
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise

EvidenceOf = Callable[..., Evidence]


@pytest.fixture
def cut(trained: Network, dataset: Dataset, evidence_of: EvidenceOf) -> Callable[..., Cut]:
    """The trained network cut by a method of the mapping to a number of weights."""

    def make(method: MethodName, count: int, **fields: object) -> Cut:
        budget = Budget(unit="weights", count=count)
        return METHODS[method].prune(trained, budget, evidence_of(dataset, method=method, **fields))

    return make


def same(one: Cut, other: Cut) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.network.weights, other.network.weights, strict=True))


@pytest.mark.parametrize(("gradual", "at_once"), [("snip_iterative", "snip"), ("mfac", "woodfisher")])
def test_one_round_is_the_method_at_once(gradual: MethodName, at_once: MethodName, cut: Callable[..., Cut]) -> None:
    assert same(cut(gradual, 50, rounds=1), cut(at_once, 50))
    assert not same(cut(gradual, 50, rounds=7), cut(at_once, 50))


def test_of_one_weight_that_goes_all_brain_surgeons_think_alike(cut: Callable[..., Cut], trained: Network) -> None:
    count = size(trained, "weights") - 1
    joint, greedy = cut("obs", count), cut("obs_greedy", count)
    for a, b in zip(joint.network.weights, greedy.network.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_several_numbers_of_weights_at_once_are_what_they_are_one_by_one(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    """The largest number is cut alone either way; all meet their counts, in the order given."""
    counts = (30, 80, 60)
    for name, method in METHODS.items():
        if method.path is not None:
            evidence = evidence_of(dataset, method=name)
            together = method.path(trained, counts, evidence)
            assert [size(each.network, "weights") for each in together] == list(counts)
            alone = method.prune(trained, Budget(unit="weights", count=80), evidence_of(dataset, method=name))
            for a, b in zip(together[1].network.weights, alone.network.weights, strict=True):
                assert torch.equal(a != 0, b != 0)
                torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_a_method_can_keep_the_fewest_weights_that_it_says(
    trained: Network, dataset: Dataset, evidence_of: EvidenceOf
) -> None:
    for name in ("magnitude", "alds", "chita", "synflow"):
        method = METHODS[name]
        least = method.least_weights(trained)
        network = method.prune(trained, Budget(unit="weights", count=least), evidence_of(dataset, method=name)).network
        assert size(network, "weights") == least


@pytest.mark.parametrize("method", list(METHODS))
def test_only_an_own_answer_to_the_fewest_weights_differs_from_one_a_layer(method: MethodName) -> None:
    network = initialise((3, 5, 4, 1), "silu", generator=torch.Generator().manual_seed(0))
    assert (METHODS[method].least_weights(network) == 3) == (not METHODS[method].traits.factors)


@pytest.mark.parametrize("method", list(METHODS))
def test_facts_go_together(method: MethodName) -> None:
    facts = METHODS[method]
    if facts.traits.merges_layers:
        assert facts.granularity == "nodes"
    if facts.granularity == "nodes":
        assert "fold" in facts.options
        assert "protect_inputs" in facts.options
    if facts.phase == "during":
        assert facts.options == ("dynamics",)
    assert ("rows" in facts.options) <= ("samples" in facts.options)


def test_an_option_that_is_given_and_not_read_is_named() -> None:
    given = PruningSpec(method="magnitude", sparsity=0.5, stages=2, ridge=0.5, samples=8, enclosure="affine")
    assert METHODS["magnitude"].unread(given) == ("ridge", "enclosure")
    assert METHODS["chita"].unread(given) == ("enclosure",)


@pytest.mark.parametrize("method", list(METHODS))
def test_defaults_are_not_given(method: MethodName) -> None:
    assert METHODS[method].unread(PruningSpec(method=method, sparsity=0.5)) == ()

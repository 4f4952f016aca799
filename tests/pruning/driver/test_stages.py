from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pricing.types import Progress
from pruning.driver.stages import Course, Repaired, run
from pruning.stage import Budget, Cut, Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise
from surrogate.learning.training import silent

PATH = tuple(Budget(unit="weights", count=count) for count in (9, 6, 3))


@pytest.fixture
def given(generator: torch.Generator) -> Network:
    return initialise((3, 3, 1), "silu", generator=generator)


@pytest.fixture
def evidence(dataset: Dataset, evidence_of: Callable[..., Evidence]) -> Evidence:
    return evidence_of(dataset)


def halved(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
    """A cut that halves all weights and says that its bound is its budget."""
    return Cut(network=replace(network, weights=tuple(0.5 * w for w in network.weights)), bound=float(budget.count))


def left_alone(network: Network, evidence: Evidence, progress: Progress) -> Repaired:
    progress(1.0)
    return network, ()


def test_every_stage_goes_on_from_the_one_before_and_bounds_add_up(given: Network, evidence: Evidence) -> None:
    result = run(given, PATH, Course(look=lambda _: evidence, cut=halved, repair=left_alone), silent)
    assert torch.equal(result.network.weights[0], given.weights[0] / 8.0)
    assert result.bound == 9.0 + 6.0 + 3.0
    assert [stage.budget for stage in result.stages] == list(PATH)


def test_a_run_that_restarts_is_its_last_stage(given: Network, evidence: Evidence) -> None:
    course = Course(look=lambda _: evidence, cut=halved, repair=left_alone, restarts=True)
    result, alone = run(given, PATH, course, silent), run(given, PATH[-1:], course, silent)
    assert torch.equal(result.network.weights[0], alone.network.weights[0])
    assert result.bound == alone.bound == 3.0


def test_what_was_retrained_or_cut_without_a_bound_has_none(given: Network, evidence: Evidence) -> None:
    def retrained(network: Network, evidence: Evidence, progress: Progress) -> Repaired:
        return replace(network), (2.0, 1.0)

    def unproven(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
        cut = halved(network, budget, evidence, again=again)
        return cut if again else replace(cut, bound=None)

    repaired = run(given, PATH, Course(look=lambda _: evidence, cut=halved, repair=retrained), silent)
    assert repaired.bound is None
    assert [stage.losses for stage in repaired.stages] == [(2.0, 1.0)] * 3
    # Once lost, a bound is not found again.
    assert run(given, PATH, Course(look=lambda _: evidence, cut=unproven, repair=left_alone), silent).bound is None


def test_each_look_is_at_the_network_of_its_stage_and_only_the_first_cut_is_not_again(
    given: Network, evidence: Evidence
) -> None:
    seen, again_and_again = list[Network](), list[bool]()

    def look(network: Network) -> Evidence:
        seen.append(network)
        return evidence

    def cut(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
        again_and_again.append(again)
        assert network is seen[-1]
        return halved(network, budget, evidence, again=again)

    result = run(given, PATH, Course(look=look, cut=cut, repair=left_alone), silent)
    assert seen[0] is given
    assert seen[1:] == [stage.network for stage in result.stages[:-1]]
    assert again_and_again == [False, True, True]


def test_progress_is_that_of_the_whole(given: Network, evidence: Evidence) -> None:
    def slow(network: Network, evidence: Evidence, progress: Progress) -> Repaired:
        for share in (0.0, 0.5, 1.0):
            progress(share)
        return network, ()

    shares = list[float]()
    run(given, PATH, Course(look=lambda _: evidence, cut=halved, repair=slow), shares.append)
    assert shares == pytest.approx([0.0, 1 / 6, 1 / 3, 1 / 3, 1 / 2, 2 / 3, 2 / 3, 5 / 6, 1.0])


def test_a_stage_may_differentiate_wherever_it_is_called(given: Network, evidence: Evidence) -> None:
    def cut(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:
        weight = network.weights[0].clone().requires_grad_()
        torch.autograd.grad(weight.square().sum(), weight)
        return halved(network, budget, evidence, again=again)

    with torch.no_grad():
        assert run(given, PATH, Course(look=lambda _: evidence, cut=cut, repair=left_alone), silent).bound == 18.0

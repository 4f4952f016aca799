from __future__ import annotations

from typing import Any

import pytest

from app.specification.build import BuildSpec
from app.specification.choices import (
    AIMS,
    FAR,
    MOST_ITERATIONS,
    MOST_PATHS,
    MOST_SAMPLES,
    WIDE,
    WIDE_INPUTS,
    Choice,
    Next,
    first_choice,
    grown,
    is_wide,
)
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.sampler import MoneynessSampler, UniformSampler
from surrogate.report.choices import Round
from surrogate.spec import MAXIMUM_SECOND_ORDER, LevenbergMarquardt

AIM = AIMS["normal"]
PROCESS = {"kind": "black_scholes", "volatilities": [0.2], "correlation": [[1.0]]}


def problem(payoff: dict[str, Any], process: dict[str, Any] = PROCESS) -> dict[str, Any]:
    spot = {"name": "spot", "lower": [60.0], "upper": [140.0]}
    return {"maturity": 1.0, "process": process, "payoff": payoff, "features": [spot]}


CALL = problem({"kind": "call", "strike": 100.0, "weights": [1.0]})


def build(problem: dict[str, Any], **more: Any) -> BuildSpec:
    return load(BuildSpec, {"name": "a", "seed": 0, "problem": problem} | more)


def begun(given: dict[str, Any] = CALL) -> Choice:
    return first_choice(build(given).pricing).choice


def seen(choice: Choice, error: float, learnt: float, noise: float) -> Round:
    """A round whose gamma limits it."""
    small = dict.fromkeys(("value", "delta", "worst_bucket"), 0.0)
    return Round(
        samples=choice.labels.samples,
        paths=choice.labels.paths,
        hidden=choice.network.hidden,
        iterations=150,
        order=choice.training.loss.order,
        errors=small | {"gamma": error},
        learnt=small | {"gamma": learnt},
        noise=small | {"gamma": noise},
        reason="",
    )


def after(
    choice: Choice, error: float, learnt: float, noise: float, before: Round | None = None, inputs: int = 1
) -> Next | None:
    return grown(choice, seen(choice, error, learnt, noise), before, inputs=inputs, aims=AIM)


@pytest.mark.parametrize(
    ("given", "chooses"),
    [({}, True), ({"labels": {"samples": 256}}, False), ({"network": {"hidden": [4]}}, False)],
)
def test_a_build_chooses_where_nothing_is_said(given: dict[str, Any], chooses: bool) -> None:
    assert build(CALL, **given).chooses == chooses


def test_samples_go_to_strikes_and_stay_all_over_the_box_for_barriers() -> None:
    assert begun().labels.sampler == MoneynessSampler(share=0.75)
    barrier = {"kind": "barrier", "strike": 100.0, "barrier": 50.0, "direction": "down", "knock": "out", "side": "call"}
    assert isinstance(begun(problem(barrier)).labels.sampler, UniformSampler)


def test_labels_have_no_curvatures_where_those_would_be_wrong() -> None:
    heston = {
        "kind": "heston",
        "initial_variances": [0.04],
        "mean_reversions": [1.5],
        "long_variances": [0.04],
        "variance_volatilities": [0.5],
        "spot_variance_correlations": [-0.7],
        "correlation": [[1.0]],
    }
    barrier = {"kind": "barrier", "strike": 100.0, "barrier": 50.0, "direction": "down", "knock": "out", "side": "call"}
    first = first_choice(build(problem(barrier, heston)).pricing)
    assert first.choice.labels.order == first.choice.training.loss.order == 1
    assert "without curvatures" in first.reason


def test_a_problem_without_labels_is_refused_at_once() -> None:
    digital = {"kind": "barrier", "strike": 100.0, "barrier": 120.0, "direction": "up", "knock": "out", "side": "call"}
    cash = PROCESS | {"dividends": [{"asset": 0, "time": 0.5, "amount": 3.0}]}
    with pytest.raises(InvalidSpec, match="dividend"):
        build(problem(digital, cash))


def test_noise_asks_for_paths_a_gap_for_samples_and_neither_for_a_network() -> None:
    first = begun()
    noisy, gap, blunt = (after(first, 1e-2, *rest) for rest in ((1e-2, 8e-3), (3e-3, 0.0), (1e-2, 0.0)))
    assert noisy is not None
    assert noisy.choice.labels.paths == 4 * first.labels.paths
    assert gap is not None
    assert gap.choice.labels.samples == 2 * first.labels.samples
    assert blunt is not None
    assert blunt.choice.network.hidden > first.network.hidden


def test_samples_that_do_not_help_leave_it_to_paths() -> None:
    first = begun()
    wider = after(first, 1e-2, 1e-4, 1.5e-3)
    assert wider is not None
    assert wider.choice.labels.samples > first.labels.samples
    helpless = after(wider.choice, 1e-2, 1e-4, 1.5e-3, seen(first, 1e-2, 1e-4, 1.5e-3))
    assert helpless is not None
    assert helpless.choice.labels.paths > wider.choice.labels.paths
    helped = after(wider.choice, 5e-3, 1e-4, 0.8e-3, seen(first, 1e-2, 1e-4, 1.5e-3))
    assert helped is not None
    assert helped.choice.labels.samples > wider.choice.labels.samples


def test_every_way_ends() -> None:
    for learnt, noise in ((1.0, 0.9), (1e-3, 0.0), (1.0, 0.0)):
        step: Next | None = Next(begun(), "")
        for _ in range(40):
            assert step is not None
            choice = step.choice
            step = after(choice, 1.0, learnt, noise)
            if step is None:
                break
        assert step is None
        assert choice.labels.paths <= MOST_PATHS
        assert choice.labels.samples <= MOST_SAMPLES
        assert choice.network.parameters(1) <= MAXIMUM_SECOND_ORDER
        (optimiser,) = choice.training.optimisers
        assert isinstance(optimiser, LevenbergMarquardt)
        assert optimiser.long <= 2 * MOST_ITERATIONS


def test_many_assets_are_seen_along_their_axes() -> None:
    assets = 60
    spot = {"name": "spot", "lower": [60.0] * assets, "upper": [140.0] * assets}
    identity = [[float(i == j) for j in range(assets)] for i in range(assets)]
    basket = {
        "maturity": 1.0,
        "process": {"kind": "black_scholes", "volatilities": [0.2] * assets, "correlation": identity},
        "payoff": {"kind": "call", "strike": 100.0, "weights": [1.0 / assets] * assets},
        "features": [spot],
    }
    choice = begun(basket)
    assert choice.network.inputs == "differential_pca"


def test_a_network_of_many_inputs_far_from_its_aim_becomes_wide_and_then_wider() -> None:
    error, inputs = 1.1 * FAR * AIM["gamma"], WIDE_INPUTS + 1
    step = after(begun(), error, error, 0.0, inputs=inputs)
    assert step is not None
    assert is_wide(step.choice)
    assert step.choice.network.hidden == WIDE
    assert (step.choice.labels.order, step.choice.labels.draws.sharing) == (1, "shifted")
    more = after(step.choice, error, error, error, inputs=inputs)
    assert more is not None
    assert more.choice.labels == step.choice.labels
    assert more.choice.network.hidden > WIDE
    assert after(more.choice, error, error, error, inputs=inputs) is None
    for near, few in ((error / 2.0, inputs), (error, WIDE_INPUTS)):
        larger = after(begun(), near, near, 0.0, inputs=few)
        assert larger is not None
        assert not is_wide(larger.choice)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import UNSET

from pricing.domain import Feature
from pricing.specs.payoff import Barrier
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.evaluation.buckets import buckets, event_distance
from surrogate.evaluation.evaluate import evaluate, reference
from surrogate.functions.network import initialise
from surrogate.report.scores import FEWEST_POINTS
from surrogate.spec import EvaluationSpec


def test_few_points_have_errors_and_no_r2(call: PricingProblem) -> None:
    exact = reference(call, np.random.default_rng(8).uniform(0.6, 1.4, (40, 2)))
    where = np.arange(40.0)
    edges = ((0.0, float(FEWEST_POINTS - 1)), (float(FEWEST_POINTS - 1), np.inf))
    few, many = buckets(exact, exact, box=call.box, name="x", where=where, edges=edges)
    assert (few.samples, many.samples) == (FEWEST_POINTS - 1, 41 - FEWEST_POINTS)
    assert few["gamma"].r2 is few["gamma"].parallel_r2 is few["value"].r2 is None
    assert few["gamma"].max_error == few["gamma"].frobenius_error == 0.0
    assert many["delta"].r2 == 1.0
    assert few["value"].parallel_r2 is UNSET


@pytest.mark.parametrize("judges", [True, False])
def test_a_bucket_has_no_gamma_that_the_reference_does_not_know(judges: bool, call: PricingProblem) -> None:
    exact = reference(call, np.random.default_rng(10).uniform(0.6, 1.4, (40, 2)))
    edges, partly = ((0.0, 20.0), (20.0, np.inf)), replace(exact, judges=judges)
    (half, _) = buckets(exact, partly, box=call.box, name="x", where=np.arange(40.0), edges=edges)
    assert (half["gamma"].r2 is None) == (not judges)


def test_the_distance_is_that_of_the_forward_to_the_strike_in_its_deviations(call: PricingProblem) -> None:
    """F = sum_i w_i S_i e^(rate - yield), and at the strike the distance is 0."""
    growth = np.exp([0.04, 0.05])
    spots = np.array([[1.0, 1.0], [0.8, 1.2], [1.3, 0.7]])
    gap = np.abs((spots * growth) @ (0.7, 0.3) - 1.0)
    distance = event_distance(call, spots)
    np.testing.assert_allclose(distance / distance[0], gap / gap[0], rtol=1e-12)
    at_strike = spots[:1] / (growth @ (0.7, 0.3))
    assert event_distance(call, at_strike)[0] == pytest.approx(0.0, abs=1e-12)


def test_of_several_knots_the_nearest_counts() -> None:
    problem = PricingProblem(
        process=Bachelier(volatilities=(5.0,), correlation=((1.0,),)),
        payoff=Pieces(weights=(1.0,), knots=(80.0, 120.0), slopes=(-1.0, 0.0, 1.0)),
        maturity=1.0,
        features=(Feature(name="spot", lower=(60.0,), upper=(140.0,)),),
    )
    found = event_distance(problem, np.array([[80.0], [120.0], [105.0], [130.0]]))
    np.testing.assert_allclose(found, [0.0, 0.0, 3.0, 2.0], atol=1e-12)


def test_a_barrier_has_buckets_of_the_distance_to_it() -> None:
    problem = PricingProblem(
        process=Bachelier(volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Barrier(strike=1.0, barrier=0.8, direction="down", knock="out"),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.8,), upper=(1.6,)),),
    )
    student = initialise((1, 4, 1), "softplus", generator=torch.Generator().manual_seed(3))
    triggers = evaluate(student, problem, EvaluationSpec(samples=256), seed=1).accuracy.triggers
    assert triggers is not None
    near, shoulder, far = triggers
    assert near.bucket == "0 <= |b| < 0.5"
    # The Box is four deviations wide and begins at the barrier: an eighth, a quarter and the rest of its points, which
    # are independent: four standard deviations of a share.
    for bucket, share in ((near, 0.125), (shoulder, 0.25), (far, 0.625)):
        assert abs(bucket.samples - 256 * share) < 4.0 * np.sqrt(256 * share * (1.0 - share))

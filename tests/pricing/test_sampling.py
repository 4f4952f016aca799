from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm
from torch import Tensor

from pricing import monte_carlo, spread
from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references.bachelier_greeks import greeks
from pricing.sampling import path_numbers, sample_features, sample_inside
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.european import BestOf, Call, Put, Side, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, Sampler, TableSampler, UniformSampler
from tests.pricing.cases import problem_of, uncorrelated


def sampled(problem: PricingProblem, sampler: Sampler, samples: int = 4096) -> Tensor:
    return sample_features(problem, LabelSpec(samples=samples, sampler=sampler), seed=6)


def test_uniform_features_fill_the_box(long_short: PricingProblem) -> None:
    spec = LabelSpec(samples=1024, sampler=UniformSampler())
    x = sample_features(long_short, spec, seed=0).numpy()
    assert long_short.box.contains(x).all()
    share = (x - long_short.box.lower) / (long_short.box.upper - long_short.box.lower)
    for column in share.T:
        assert kstest(column, "uniform").statistic < 2.0 / 1024
    assert np.abs(np.corrcoef(share.T) - np.eye(3)).max() < 0.05


def test_diffused_features_have_the_law_of_the_process(seven: PricingProblem) -> None:
    """Basket standard deviation multiplier sigma_B sqrt(horizon) around the initial basket."""
    x = sampled(seven, DiffusedSampler(initial=(1.0,) * 7, horizon=1.0, multiplier=1.5)).numpy()
    assert isinstance(seven.payoff, Call)
    assert isinstance(seven.process, Bachelier)
    w = np.array(seven.payoff.weights)
    z = (x @ w - w.sum()) / (1.5 * 0.2)
    assert kstest(z, "norm").statistic < 1.95 / np.sqrt(4096)
    sigma = np.array(seven.process.volatilities)
    covariance = np.cov(x.T) / 1.5**2 / np.outer(sigma, sigma)
    np.testing.assert_allclose(covariance, np.array(seven.process.correlation), atol=0.05)


@pytest.mark.parametrize("kind", [Call, Put])
def test_moneyness_features_spread_the_forward_inside_the_box(kind: type[Call | Put], seven: PricingProblem) -> None:
    assert isinstance(seven.payoff, Call)
    problem = msgspec.structs.replace(seven, payoff=kind(weights=seven.payoff.weights, strike=1.1))
    x = sampled(problem, MoneynessSampler(bound=2.0)).numpy()
    assert problem.box.contains(x).all()
    d = greeks(problem, x).moneyness
    assert kstest(d / 4.0 + 0.5, "uniform").statistic < 2.0 / 4096
    assert x.std(axis=0).min() > 0.1  # no coordinate collapses onto the line of the basket


@pytest.mark.parametrize("kind", [WorstOf, BestOf])
@pytest.mark.parametrize("side", ["call", "put"])
def test_moneyness_features_of_ranked_assets(kind: type[WorstOf | BestOf], side: Side, seven: PricingProblem) -> None:
    """At most points a single asset decides the payoff; all the others are moved the same way."""
    payoff = kind(initial=(1.0,) * 7, strike=1.0, side=side)
    problem = msgspec.structs.replace(seven, payoff=payoff)
    x = sampled(problem, MoneynessSampler(bound=1.0), samples=512)
    assert problem.box.contains(x.numpy()).all()
    ranked = x.amin(dim=1) if kind is WorstOf else x.amax(dim=1)
    share = float((ranked > 1.0).double().mean())
    assert 0.3 < share < 0.7


def test_moneyness_features_reach_from_below_the_first_knot_to_above_the_last() -> None:
    """A strangle whose knots are eight deviations apart: d is uniform from -2 to 10, and each knot has its share."""
    problem = PricingProblem(
        process=Bachelier(volatilities=(5.0,), correlation=((1.0,),)),
        payoff=Pieces(weights=(1.0,), knots=(80.0, 120.0), slopes=(-1.0, 0.0, 1.0)),
        maturity=1.0,
        features=(Feature(name="spot", lower=(40.0,), upper=(160.0,)),),
    )
    x = sampled(problem, MoneynessSampler(bound=2.0))[:, 0].numpy()
    assert kstest((x - 70.0) / 60.0, "uniform").statistic < 2.0 / 4096


def test_moneyness_features_follow_knots_that_vary() -> None:
    problem = PricingProblem(
        process=Bachelier(volatilities=(1.0,), correlation=((1.0,),)),
        payoff=Pieces(weights=(1.0,), knots=(80.0, 100.0), slopes=(0.0, 1.0, 0.0)),
        maturity=1.0,
        features=(
            Feature(name="spot", lower=(40.0,), upper=(160.0,)),
            Feature(name="knot", lower=(70.0, 95.0), upper=(90.0, 125.0)),
        ),
    )
    x = sampled(problem, MoneynessSampler(bound=3.0)).numpy()
    share = (x[:, 0] - (x[:, 1] - 3.0)) / (x[:, 2] - x[:, 1] + 6.0)
    assert kstest(share, "uniform").statistic < 2.0 / 4096


def test_moneyness_targets_end_where_the_box_ends(long_short: PricingProblem) -> None:
    x = sampled(long_short, MoneynessSampler(bound=50.0)).numpy()
    assert long_short.box.contains(x).all()
    d = greeks(long_short, x).moneyness
    corners = np.array([[50.0, 40.0, 150.0], [150.0, 140.0, 50.0]])
    low, high = greeks(long_short, corners).moneyness
    assert kstest((d - low) / (high - low), "uniform").statistic < 2.0 / 4096


@pytest.mark.parametrize(
    ("strike", "maturity", "reason"),
    [(50.0, 1.0, "within 5 terminal standard deviations"), (1.1, 0.0, "need a random payoff")],
)
def test_moneyness_out_of_reach(strike: float, maturity: float, reason: str, seven: PricingProblem) -> None:
    assert isinstance(seven.payoff, Call)
    payoff = Call(weights=seven.payoff.weights, strike=strike)
    problem = msgspec.structs.replace(seven, payoff=payoff, maturity=maturity)
    with pytest.raises(InvalidSpec, match=reason):
        sampled(problem, MoneynessSampler())


def test_a_share_of_the_samples_moves_and_the_others_stay_all_over_the_box(long_short: PricingProblem) -> None:
    uniform = sample_features(long_short, LabelSpec(samples=64, sampler=UniformSampler()), seed=3)
    half, whole = (
        sample_features(long_short, LabelSpec(samples=64, sampler=MoneynessSampler(**given)), seed=3)
        for given in ({"share": 0.5}, {})
    )
    assert torch.equal(half[:32], whole[:32])
    assert half[32:].min() < uniform.quantile(0.1)
    assert torch.from_numpy(long_short.box.contains(half.numpy())).all()
    assert len({tuple(row) for row in half[32:].tolist()}) == 32


def test_diffused_initial_of_the_wrong_size(seven: PricingProblem) -> None:
    with pytest.raises(InvalidSpec, match="initial must have 7 spots, got 2"):
        sampled(seven, DiffusedSampler(initial=(1.0, 1.0)))


def test_the_moneyness_of_many_samples_is_met_batch_by_batch(
    seven: PricingProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many samples, no more of them are simulated at a time than fit a batch; the points are the same."""
    whole, sizes = sampled(seven, MoneynessSampler(bound=2.0)), set[int]()

    def seen(problem: PricingProblem, features: Tensor) -> Scenario:
        sizes.add(len(features))
        return scenario(problem, features)

    monkeypatch.setattr(monte_carlo, "BATCH_NUMBERS", 100 * path_numbers(seven))
    monkeypatch.setattr(spread, "scenario", seen)
    torch.testing.assert_close(sampled(seven, MoneynessSampler(bound=2.0)), whole, rtol=1e-12, atol=0)
    assert max(sizes) == 100


def test_unused_feature_is_left_alone() -> None:
    """A weight of zero gives the moneyness sampler no reason to move that asset."""
    process = Bachelier(volatilities=(0.2, 0.3), correlation=uncorrelated(2))
    problem = problem_of(process, Call(weights=(1.0, 0.0), strike=1.0), spots=(0.5, 1.5))
    x = sampled(problem, MoneynessSampler()).numpy()
    assert kstest(x[:, 1] - 0.5, "uniform").statistic < 2.0 / 4096


def test_states_outside_the_box_are_drawn_again(single: PricingProblem) -> None:
    """Normals around 1 with deviation 1/2 in [0.5, 1.5]: the truncated law, and its share of 68.27 %."""
    inside = sample_inside(single.box, lambda normals: 1.0 + 0.5 * normals, 4096, seed=2)
    x = inside.features.numpy()
    assert x.shape == (4096, 1)
    assert single.box.contains(x).all()
    assert inside.share == pytest.approx(0.6827, abs=2e-3)
    assert kstest(x[:, 0], truncnorm(-1.0, 1.0, loc=1.0, scale=0.5).cdf).statistic < 0.01
    again = sample_inside(single.box, lambda normals: 1.0 + 0.5 * normals, 4096, seed=2)
    assert torch.equal(again.features, inside.features)


@pytest.mark.parametrize("centre", [9.0, float("nan")])
def test_a_law_of_another_market_is_refused(centre: float, single: PricingProblem) -> None:
    with pytest.raises(InvalidSpec, match="0 of 1024 states drawn lie in the Box, at least 1% must"):
        sample_inside(single.box, lambda normals: centre + 0.5 * normals, 32, seed=2)


def test_a_table_alone_is_no_law(single: PricingProblem) -> None:
    with pytest.raises(InvalidSpec, match="needs a flow that has learnt its states"):
        sampled(single, TableSampler(states=((1.0,), (1.1,))))

"""Continuous barriers under Heston: a PDE's values and deltas, parity with the vanilla option, every limit."""

from collections.abc import Sequence

import numpy as np
import pytest
import QuantLib
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.estimators import bridge
from pricing.estimators.heston_barrier import on_its_own, with_the_asset
from pricing.labels import Labels, make_labels
from pricing.references.reference import reference
from pricing.simulation.scenario import scenario
from pricing.specs.draws import Draws
from pricing.specs.estimator import Bridge
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston
from pricing.specs.schedule import Piece
from tests.pricing import oracle
from tests.pricing.cases import CALL, CARRYING, CONTINUOUS, STOCHASTIC, asked, feature, points, problem_of

PROCESS = replace(STOCHASTIC, variance_volatilities=(0.4,), rate=0.03, dividend_yields=(0.01,), steps=16)
PARAMETERS = (
    "spot",
    "strike",
    "barrier",
    "initial_variance",
    "mean_reversion",
    "long_variance",
    "variance_volatility",
    "spot_variance_correlation",
    "maturity",
    "rate",
)
LOWER = {"spot_variance_correlation": -1.0}
UPPER = {"spot": 200.0, "strike": 200.0, "barrier": 200.0, "spot_variance_correlation": 1.0, "rate": 1.0}


def knocked(
    payoff: Barrier = CONTINUOUS, process: Heston | BlackScholes = PROCESS, names: Sequence[str] = ("spot",)
) -> PricingProblem:
    """A barrier with those parameters as features."""
    others = [feature(name, LOWER.get(name, 0.0), UPPER.get(name, 5.0)) for name in names if name != "spot"]
    return problem_of(process, payoff, *others, spots=(0.0, UPPER["spot"]))


def labelled(priced: PricingProblem, x: Tensor, *, paths: int = 256, replicates: int = 8) -> Labels:
    """Values and deltas by the rule."""
    spec = LabelSpec(paths=paths, replicates=replicates, order=1, directions=0, draws=Draws(pilot=64))
    return make_labels(priced, x, spec, seed=3)


def finite_differences(payoff: Barrier, spot: float) -> tuple[float, float]:
    """QuantLib's value and delta by a PDE, right to 1e-3 of either at this grid."""
    curves = oracle.curve(0.03), oracle.curve(0.01)
    process = QuantLib.HestonProcess(*curves, oracle.quote(spot), 0.04, 1.5, 0.04, 0.4, -0.7)
    kind = getattr(QuantLib.Barrier, f"{payoff.direction.title()}Out")
    plain = oracle.payoff(payoff.side, payoff.strike)
    option = QuantLib.BarrierOption(kind, payoff.barrier, 0.0, plain, oracle.exercise())
    option.setPricingEngine(QuantLib.FdHestonBarrierEngine(QuantLib.HestonModel(process), 100, 300, 80))
    return option.NPV(), option.delta()


@pytest.mark.parametrize(
    ("payoff", "spots"),
    [
        (CONTINUOUS, (90.5, 92.0, 97.0, 110.0)),
        (replace(CONTINUOUS, direction="up", side="put", barrier=110.0), (90.0, 108.0)),
    ],
)
def test_agrees_with_a_pde_close_to_the_barrier(payoff: Barrier, spots: tuple[float, ...]) -> None:
    priced = knocked(payoff)
    labels = labelled(priced, points(priced, spots), paths=1024)
    expected = np.array([finite_differences(payoff, spot) for spot in spots])
    # A bias of 16 steps of 1 %, on top of the noise.
    for label, error, right in (
        (labels.value, labels.value_error, expected[:, 0]),
        (asked(labels.gradient)[:, 0], asked(labels.gradient_error)[:, 0], expected[:, 1]),
    ):
        gap = np.abs(label.numpy() - right)
        assert (gap < 0.01 * np.abs(right) + 4.0 * asked(error).numpy()).all()


def test_the_drift_that_moves_with_the_asset_is_felt_at_the_barrier() -> None:
    priced = knocked(process=replace(PROCESS, steps=4))
    labels = labelled(priced, points(priced, (90.5,)), paths=4096)
    value, delta = finite_differences(CONTINUOUS, 90.5)
    # Four steps leave a bias of 2.3 %; without the change of measure it is 3.5 %.
    for label, error, right in (
        (labels.value, labels.value_error, value),
        (asked(labels.gradient)[:, 0], asked(labels.gradient_error)[:, 0], delta),
    ):
        assert abs(label.item() - right) < 0.028 * right + 4.0 * asked(error).item()


@pytest.mark.parametrize("direction", ["down", "up"])
def test_in_and_out_make_the_vanilla_option(direction: str) -> None:
    out = replace(CONTINUOUS, direction=direction, barrier=90.0 if direction == "down" else 125.0)
    priced = knocked(out)
    x = points(priced, (95.0, 110.0))
    kinds = [labelled(knocked(replace(out, knock=knock)), x, paths=1024) for knock in ("out", "in")]
    vanilla = reference(replace(priced, payoff=CALL), x.numpy())
    error = asked(kinds[0].value_error) + asked(kinds[1].value_error)
    right = torch.from_numpy(vanilla.value)
    # The bias of 16 steps of the vanilla option is below 0.2 % here.
    assert ((kinds[0].value + kinds[1].value - right).abs() < 2e-3 * right + 4.0 * error).all()


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("knock", ["out", "in"])
def test_without_variance_of_variance_it_is_black_scholes(direction: str, knock: str) -> None:
    payoff = replace(CONTINUOUS, direction=direction, knock=knock, barrier=90.0 if direction == "down" else 115.0)
    still = replace(PROCESS, variance_volatilities=(0.0,), steps=4)
    flat = replace(CARRYING, volatilities=(0.2,))
    names = ("spot", "barrier", "rate")
    x = points(knocked(payoff, still, names), (91.0, 105.0, 114.0))
    labels, right = labelled(knocked(payoff, still, names), x), reference(knocked(payoff, flat, names), x.numpy())
    for label, error, exact in (
        (labels.value, labels.value_error, right.value),
        (asked(labels.gradient), labels.gradient_error, right.gradient),
    ):
        assert (np.abs(label.numpy() - exact) <= 4.0 * asked(error).numpy() + 1e-9).all()


def test_derivatives_by_every_parameter_are_those_of_the_mean() -> None:
    priced = knocked(process=replace(PROCESS, steps=3), names=PARAMETERS)
    x = points(priced, (93.0, 104.0)).requires_grad_()
    contribution = bridge.contribution(priced, Bridge())
    normals = torch.randn(
        1, 64, contribution.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )

    def mean(features: Tensor) -> Tensor:
        return contribution.pilot(scenario(priced, features), normals).mean(dim=1)

    assert torch.autograd.gradcheck(mean, (x,), rtol=1e-4, atol=1e-5)


def test_a_correlation_of_zero_has_a_derivative() -> None:
    names = ("spot", "spot_variance_correlation")
    priced = knocked(process=replace(PROCESS, steps=4), names=names)
    x = torch.tensor([[95.0, rho] for rho in (-1e-4, 0.0, 1e-4)], dtype=torch.float64)
    labels = labelled(priced, x, replicates=1)
    slope = (labels.value[2] - labels.value[0]) / 2e-4
    torch.testing.assert_close(asked(labels.gradient)[1, 1], slope, rtol=1e-4, atol=1e-4)


def test_pieces_that_change_nothing_change_nothing() -> None:
    pieces = (Piece(start=0.4, value=1.0), Piece(start=5.0, value=9.0))
    x = points(knocked(), (91.0, 105.0))
    whole = labelled(knocked(), x, paths=1024)
    cut = labelled(knocked(process=replace(PROCESS, volatility_pieces=pieces)), x, paths=1024)
    error = (asked(whole.value_error).square() + asked(cut.value_error).square()).sqrt()
    assert ((whole.value - cut.value).abs() <= 4.0 * error + 1e-3 * whole.value).all()


def test_a_spot_beyond_the_barrier_is_knocked_at_once() -> None:
    priced = knocked()
    labels = labelled(priced, points(priced, (90.0, 80.0)), paths=8, replicates=1)
    assert labels.value.tolist() == [0.0, 0.0]
    assert asked(labels.gradient)[1].abs().max() == 0.0


@pytest.mark.parametrize("knock", ["out", "in"])
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("name", ["maturity", "spot", "barrier", "initial_variance", "variance_volatility"])
def test_limits_are_finite(knock: str, direction: str, name: str) -> None:
    payoff = replace(CONTINUOUS, knock=knock, direction=direction, barrier=90.0 if direction == "down" else 115.0)
    priced = knocked(payoff, names=PARAMETERS)
    x = points(priced, (85.0, 90.1, 100.0, 114.9))
    x[:, PARAMETERS.index(name)] = 0.0
    labels = labelled(priced, x, paths=8, replicates=1)
    assert torch.isfinite(labels.value).all()
    if name == "maturity":
        touched = (x[:, 0] <= payoff.barrier) if direction == "down" else (x[:, 0] >= payoff.barrier)
        cash = (x[:, 0] - 100.0).clamp(min=0.0) * (touched == (knock == "in"))
        torch.testing.assert_close(labels.value, cash)


def test_a_variance_of_much_noise_leaves_finite_labels() -> None:
    wild = replace(PROCESS, variance_volatilities=(2.0,), mean_reversions=(0.1,), spot_variance_correlations=(-0.95,))
    priced = knocked(process=wild, names=PARAMETERS)
    labels = labelled(priced, points(priced, (90.1, 100.0, 120.0)))
    assert (labels.value > 0.0).all()
    assert (labels.value < 40.0).all()


def test_the_two_parts_of_the_variance_have_its_moments() -> None:
    at = scenario(knocked(), torch.tensor([[100.0]], dtype=torch.float64))
    z = torch.linspace(-9.0, 9.0, 2001, dtype=torch.float64)[None, :, None]
    weight = torch.exp(-0.5 * z.square())
    weight = weight / weight.sum()
    v, h = torch.tensor([[[0.05]]], dtype=torch.float64), torch.tensor([[[0.1]]], dtype=torch.float64)
    own, common = on_its_own(at, v, z, h), with_the_asset(at, v, z, h)
    decay = np.exp(-0.15)
    assert float((weight * own).sum()) == pytest.approx(0.04 + 0.01 * decay, rel=1e-6)
    assert float((weight * common).sum()) == pytest.approx(0.05, rel=1e-6)
    squared = float((weight * (common - 0.05).square()).sum())
    assert squared == pytest.approx(0.28**2 * 0.05 * 0.1, rel=1e-5)
    assert float((weight * z * common).sum()) < 0.0

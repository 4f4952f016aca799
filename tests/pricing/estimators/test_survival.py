"""Discrete barriers and autocalls by one-step survival against quadrature, closed forms and plain simulation."""

from typing import Literal

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.estimators.survival import contribution
from pricing.labels import Labels, make_labels
from pricing.monte_carlo import value
from pricing.references.reference import Reference, reference
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import scenario
from pricing.specs.draws import Draws
from pricing.specs.estimator import Pathwise, Survival
from pricing.specs.european import WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Autocall, Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Process
from tests.pricing.cases import (
    CALL,
    CARRYING,
    CONTINUOUS,
    DIGITAL,
    GAUSSIAN,
    asked,
    doubles,
    feature,
    points,
    problem_of,
)

LEVELS = replace(GAUSSIAN, rate=0.03, convention="carry")
TWO = BlackScholes(volatilities=(0.25, 0.35), correlation=((1.0, -0.3), (-0.3, 1.0)), rate=0.03)
# Near the barriers at 90 and 115 and the triggers around 100, as near as 0.1 %.
SPOTS = (60.0, 89.9, 90.1, 99.9, 104.0, 114.9, 120.0)
FIVE = Autocall(
    initial=(100.0,),
    dates=(0.2, 0.4, 0.6, 0.8, 1.0),
    triggers=(1.05, 1.0, 1.0, 0.95, 0.85),
    coupon=0.04,
    coupon_barrier=0.9,
    knock_in=0.7,
    notional=100.0,
)


def surviving(payoff: Payoff, *, process: Process = CARRYING, extra: tuple[str, ...] = ()) -> PricingProblem:
    """Two years, the spots and some parameters as features."""
    others = [feature(name, 0.0, 200.0 if name == "barrier" else 3.0) for name in extra]
    return problem_of(process, payoff, *others, maturity=2.0, spots=(0.0, 2000.0))


def labelled(
    priced: PricingProblem, x: Tensor, *, paths: int = 256, replicates: int = 16, order: Literal[0, 2] = 2
) -> Labels:
    """Labels by survival with their errors."""
    spec = LabelSpec(
        estimator=Survival(),
        paths=paths,
        replicates=replicates,
        order=order,
        directions=x.shape[1],
        direction_law="random",
        draws=Draws(pilot=64),
    )
    return make_labels(priced, x, spec, seed=5)


def assert_within_errors(labels: Labels, right: Reference, *, columns: slice = slice(None)) -> None:
    """Value, gradient and curvature within four standard errors."""
    curvature = np.einsum("nij,nkj->nki", right.hessian, asked(labels.directions).numpy())
    for name, expected in (("value", right.value), ("gradient", right.gradient), ("curvature", curvature)):
        gap = np.abs(asked(getattr(labels, name)).numpy() - expected)
        error = asked(getattr(labels, f"{name}_error")).numpy()
        scale = 1e-8 * max(1.0, float(np.abs(expected).max()))
        assert (gap <= 4.0 * error + scale)[..., columns].all(), name


@pytest.mark.parametrize(
    ("side", "direction", "knock", "dates"),
    [
        ("call", "down", "out", (0.25, 0.5, 0.75, 1.0)),
        ("put", "up", "in", (0.1, 0.4, 0.7)),
        ("call", "up", "out", (0.5, 1.0)),
        ("put", "down", "out", (0.3, 0.6)),
    ],
)
@pytest.mark.parametrize("process", [CARRYING, LEVELS])
def test_discrete_barriers_agree_with_quadrature(
    side: Literal["call", "put"],
    direction: Literal["down", "up"],
    knock: Literal["in", "out"],
    dates: tuple[float, ...],
    process: Process,
) -> None:
    level = 90.0 if direction == "down" else 115.0
    payoff = Barrier(strike=100.0, barrier=level, direction=direction, knock=knock, side=side, dates=dates)
    priced, x = surviving(payoff, process=process), doubles(SPOTS)[:, None]
    assert_within_errors(labelled(priced, x), reference(priced, x.numpy()))


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("triggers", [FIVE.triggers, (0.8, 1.0, 0.9, 1.1, 1.0)])
def test_autocalls_on_one_asset_agree_with_quadrature(memory: bool, triggers: tuple[float, ...]) -> None:
    priced, x = surviving(replace(FIVE, memory=memory, triggers=triggers)), doubles(SPOTS)[:, None]
    assert_within_errors(labelled(priced, x), reference(priced, x.numpy()))


def test_in_and_out_make_the_vanilla_option() -> None:
    out = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out", dates=(0.4, 0.8))
    x = doubles(SPOTS)[:, None]
    inside, rest = (labelled(surviving(replace(out, knock=knock)), x, paths=64) for knock in ("in", "out"))
    vanilla = reference(surviving(CALL), x.numpy(), order=0)
    noise = torch.hypot(asked(inside.value_error), asked(rest.value_error)).numpy()
    assert (np.abs((inside.value + rest.value).numpy() - vanilla.value) < 5.0 * noise + 1e-11).all()


def test_an_in_barrier_far_below_is_labelled_directly() -> None:
    """Volatility .8 over 5 years, strike 285, barrier 41 and 20 dates: vanilla less out was -4.7 +- 27 of .9."""
    dates = tuple((k + 1) / 20 for k in range(20))
    payoff = Barrier(strike=285.0, barrier=41.0, direction="down", knock="in", side="call", dates=dates)
    problem = PricingProblem(
        process=BlackScholes(volatilities=(0.8,), correlation=((1.0,),), rate=0.03),
        payoff=payoff,
        maturity=5.0,
        features=(Feature(name="spot", lower=(50.0,), upper=(400.0,)),),
    )
    x = doubles([[100.0], [200.0], [285.0]])
    labels, right = labelled(problem, x, paths=512), reference(problem, x.numpy())
    assert_within_errors(labels, right)
    assert (asked(labels.value_error).numpy() < 0.25 * right.value).all()


@pytest.mark.parametrize(
    "payoff", [FIVE, Barrier(strike=100.0, barrier=115.0, direction="up", knock="out", dates=(0.5, 1.0))]
)
def test_every_path_is_twice_differentiable_in_every_parameter(payoff: Payoff) -> None:
    priced = surviving(payoff, extra=("volatility", "rate", "maturity", *payoff.parameters))
    x = points(priced, (98.0,)).requires_grad_()
    estimator = contribution(priced)
    turn = identity(estimator.blocks)
    normals = torch.randn(1, 3, estimator.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def paths(features: Tensor) -> Tensor:
        return estimator.value(scenario(priced, features), normals, turn)

    assert torch.autograd.gradcheck(paths, x, rtol=1e-5)
    assert torch.autograd.gradgradcheck(paths, x, rtol=1e-4, atol=1e-4)


def test_the_worst_of_two_with_one_date_is_a_worst_of_put() -> None:
    """Called or not, min(W, 1) = 1 - (1 - W)^+ is paid, whose closed form knows the tie of the two assets."""
    note = Autocall(initial=(100.0, 50.0), dates=(1.0,), triggers=(1.0,), coupon=0.0, coupon_barrier=1.0, knock_in=1.0)
    x = torch.tensor([[100.0, 50.0], [90.0, 50.0], [101.0, 40.0]], dtype=torch.float64)
    labels = labelled(surviving(note, process=TWO), x, paths=1024)
    put = surviving(WorstOf(initial=(100.0, 50.0), strike=1.0, side="put"), process=TWO)
    right = reference(put, x.numpy())
    loss = replace_reference(right, scale=-1.0, shift=float(np.exp(-0.06)))
    assert_within_errors(labels, loss)


def replace_reference(right: Reference, *, scale: float, shift: float) -> Reference:
    """Shift + scale V."""
    return Reference(
        value=shift + scale * right.value,
        gradient=scale * right.gradient,
        hessian=scale * right.hessian,
        standard_error=None,
        gradient_error=None,
        hessian_error=None,
        kind=right.kind,
        relative_error=right.relative_error,
    )


def test_an_asset_far_above_every_trigger_does_not_matter() -> None:
    two = replace(FIVE, initial=(100.0, 100.0))
    x = torch.tensor([[spot, 1900.0] for spot in SPOTS], dtype=torch.float64)
    process = replace(TWO, volatilities=(0.25, 0.05), dividend_yields=(0.01, 0.0))
    labels = labelled(surviving(two, process=process), x)
    alone = reference(surviving(FIVE), x[:, :1].numpy())
    pad = [(0, 0), (0, 1)]
    right = Reference(
        value=alone.value,
        gradient=np.pad(alone.gradient, pad),
        hessian=np.pad(alone.hessian, [*pad, (0, 1)]),
        standard_error=None,
        gradient_error=None,
        hessian_error=None,
        kind=alone.kind,
        relative_error=alone.relative_error,
    )
    assert_within_errors(labels, right)


def test_three_assets_have_the_value_of_plain_simulation() -> None:
    process = BlackScholes(
        volatilities=(0.25, 0.2, 0.3), correlation=((1.0, 0.6, -0.2), (0.6, 1.0, 0.5), (-0.2, 0.5, 1.0)), rate=0.03
    )
    priced = surviving(replace(FIVE, initial=(100.0,) * 3), process=process)
    x = torch.tensor([[100.0, 101.0, 99.0], [75.0, 110.0, 95.0]], dtype=torch.float64)
    labels = labelled(priced, x, paths=1024, order=0)
    plain = value(priced, x, LabelSpec(estimator=Pathwise(), order=0, paths=1 << 14, replicates=16), seed=9)
    error = (asked(labels.value_error) ** 2 + asked(plain.standard_error) ** 2).sqrt()
    assert ((labels.value - plain.value).abs() <= 4.0 * error).all()


@pytest.mark.parametrize(
    "payoff", [FIVE, Barrier(strike=95.0, barrier=90.0, direction="down", knock="out", dates=(0.5,))]
)
@pytest.mark.parametrize("name", ["volatility", "maturity", "spot"])
def test_limits_are_finite_and_those_of_the_certain_path(payoff: Payoff, name: str) -> None:
    priced = surviving(payoff, extra=("volatility", "maturity"))
    x = torch.tensor([[spot, 0.25, 2.0] for spot in SPOTS], dtype=torch.float64)
    x[:, ["spot", "volatility", "maturity"].index(name)] = 0.0
    labels = labelled(priced, x, paths=4)
    plain = value(priced, x, LabelSpec(estimator=Pathwise(), order=0, paths=4), seed=1)
    np.testing.assert_allclose(labels.value, plain.value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "payoff",
    [CONTINUOUS, DIGITAL],
)
def test_other_payoffs_are_refused(payoff: Payoff) -> None:
    with pytest.raises(InvalidSpec, match="with dates"):
        contribution(surviving(payoff))

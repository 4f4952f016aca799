"""The payoff on the paths: kernels as wide as their share of every event's own deviation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.estimators.direct import contribution, deviations, discounted, pilot, sharp, smooth
from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import scenario
from pricing.simulation.smoothing import ramp
from pricing.specs.estimator import Pathwise, Smoothed
from pricing.specs.european import Call, Digital, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Payoff
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    ASIAN,
    CALL,
    CARRYING,
    DATED,
    DIGITAL,
    GAUSSIAN,
    NOTE,
    PAIR,
    PLAIN,
    alike,
    doubles,
    normals,
    problem_of,
)


def test_the_deviation_of_a_basket_is_that_of_its_law() -> None:
    """sqrt((w sigma)^T rho (w sigma) T): exact where levels are affine in the normals."""
    two = alike(GAUSSIAN, PAIR)
    problem = problem_of(two, Call(weights=(2.0, -1.0), strike=0.0), maturity=4.0)
    (deviation,) = deviations(problem, scenario(problem, doubles([[100.0, 90.0]])), 2)
    assert float(deviation) == pytest.approx(np.sqrt(20.0**2 * (4.0 + 1.0 - 2.0 * 0.5 * 2.0) * 4.0), rel=1e-14)


@pytest.mark.parametrize(("payoff", "events"), [(CALL, 1), (DIGITAL, 1), (DATED, 3), (NOTE, 5)])
def test_every_event_of_the_payoff_has_a_deviation(payoff: Payoff, events: int) -> None:
    """As many as a smooth payoff asks for: none is left over, none is missing."""
    problem = problem_of(PLAIN, payoff)
    at, z = scenario(problem, doubles([[100.0]])), normals(len(payoff.facts.dates), paths=8)
    assert len(deviations(problem, at, z.shape[-1])) == events
    smooth(Smoothed(), problem, at, z, identity((z.shape[-1],)))


def test_an_event_that_stands_still_on_the_path_of_zeros_has_the_deviation_of_another_path() -> None:
    """A dividend takes the asset there, and not on every path: the jump of a digital keeps its derivative."""
    paying = replace(PLAIN, dividends=(Dividend(time=0.4, amount=90.0),))
    problem = problem_of(paying, Digital(weights=(1.0,), strike=5.0))
    spots = doubles([[80.0], [88.0]])
    (deviation,) = deviations(problem, scenario(problem, spots), 2)
    assert bool((deviation > 5.0).all())
    made = make_labels(problem, spots, LabelSpec(paths=1 << 13, order=1, estimator=Smoothed(gamma_bias=1e-3)), seed=0)
    assert made.gradient is not None
    assert made.gradient[:, 0].numpy() == pytest.approx(reference(problem, spots.numpy()).gradient[:, 0], rel=0.1)
    still = problem_of(replace(PLAIN, volatilities=(0.0,)), DIGITAL)
    assert float(deviations(still, scenario(still, doubles([[90.0]])), 1)[0]) == 0.0


def test_a_smoothed_call_is_the_ramp_of_its_moneyness() -> None:
    problem = problem_of(GAUSSIAN, CALL)
    at, z = scenario(problem, doubles([[100.0], [110.0]])), normals(1, paths=64)
    estimator = Smoothed(kernel="silu", width=0.3)
    expected = ramp("silu", at["spot"][:, 0] + 20.0 * z[..., 0] - 100.0, width=0.3 * 20.0)
    torch.testing.assert_close(smooth(estimator, problem, at, z, identity((1,))), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("payoff", [CALL, ASIAN, DIGITAL, DATED, NOTE])
def test_smoothing_ends_at_the_payoff_as_it_is(payoff: Payoff) -> None:
    problem = problem_of(CARRYING, payoff)
    count = len(payoff.facts.dates)
    at, z, turn = scenario(problem, doubles([[103.0]])), normals(count, paths=256), identity((count,))
    narrow = smooth(Smoothed(width=1e-6), problem, at, z, turn)
    torch.testing.assert_close(narrow, sharp(Pathwise(), problem, at, z, turn), rtol=0.0, atol=1e-4)
    assert torch.equal(sharp(Pathwise(), problem, at, z, turn), discounted(problem, at, z))


def test_the_pilot_of_a_flat_payoff_has_gradients_where_its_cash_has_none() -> None:
    problem, z = problem_of(PLAIN, DIGITAL), normals(1, paths=64).requires_grad_()
    at = scenario(problem, doubles([[100.0]]))
    assert not discounted(problem, at, z).requires_grad
    (gradient,) = torch.autograd.grad(pilot(problem, at, z).sum(), z)
    assert float((gradient > 0.0).double().mean()) == pytest.approx(0.5, abs=0.1)


def test_ranked_assets_are_smoothed_no_wider_than_the_stillest() -> None:
    """0.08 against 0.5: a kernel as wide as the volatile asset's would cover the whole law of the other."""
    unlike = replace(PLAIN, volatilities=(0.5, 0.08), correlation=PAIR)
    problem = problem_of(unlike, WorstOf(initial=(100.0, 100.0), strike=1.0, side="put"))
    widths = deviations(problem, scenario(problem, doubles([[100.0, 100.0]])), 2)
    assert all(float(width) == pytest.approx(0.08, rel=1e-2) for width in widths)


def test_the_estimator_decides_what_a_path_contributes() -> None:
    problem, z = problem_of(PLAIN, CALL), normals(1, paths=64)
    at, turn = scenario(problem, doubles([[100.0]])), identity((1,))
    raw, smoothed = (contribution(problem, e).value(at, z, turn) for e in (Pathwise(), Smoothed(width=0.2)))
    assert float(raw.min()) == 0.0
    assert float((smoothed - raw).abs().max()) > 0.1
    assert torch.equal(raw, discounted(problem, at, z))

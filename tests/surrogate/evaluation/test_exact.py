from __future__ import annotations

from dataclasses import replace

import numpy as np

from pricing.references.reference import Reference, reference
from pricing.specs.problem import PricingProblem
from surrogate.evaluation.exact import MARGIN, as_prediction, joined, rows_of


def noisy(call: PricingProblem) -> Reference:
    exact = reference(call, np.random.default_rng(1).uniform(0.6, 1.4, (10, 2)))
    return replace(
        exact,
        standard_error=np.full(10, 0.1),
        gradient_error=np.full((10, 2), 0.2),
        gap=np.arange(10.0),
        relative_error=0.5,
    )


def test_the_margin_is_what_the_reference_may_be_off(call: PricingProblem) -> None:
    exact = noisy(call)
    assert as_prediction(exact).margin is None
    margin = as_prediction(exact, independent=True).margin
    assert margin is not None
    np.testing.assert_allclose(margin.value, MARGIN * 0.1 + 0.5 * exact.value.max())
    np.testing.assert_allclose(margin.gamma, 0.5 * np.broadcast_to(np.abs(exact.hessian).max(axis=0), (10, 2, 2)))
    chosen = as_prediction(exact, independent=True).rows(np.arange(10) < 3).margin
    assert chosen is not None
    np.testing.assert_array_equal(chosen.delta, margin.delta[:3])


def test_parts_are_joined_as_they_were_cut(call: PricingProblem) -> None:
    exact, first = noisy(call), np.arange(10) < 4
    whole = joined([rows_of(exact, first), rows_of(exact, ~first)])
    assert whole.hessian_error is None
    for name in ("value", "gradient", "hessian", "standard_error", "gradient_error", "gap"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(exact, name))

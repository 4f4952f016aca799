from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.domain import Feature
from surrogate.artifact.manifest import NetworkFacts
from surrogate.artifact.sentences import LEAST_R2, show_bounds, show_network, show_outputs, show_r2


@given(st.floats(LEAST_R2, 1.0))
def test_an_r2_is_never_shown_better_than_it_is(r2: float) -> None:
    shown = show_r2(r2)
    assert float(shown) <= r2 < float(shown) + 1.1e-7
    assert len(shown.partition(".")[2]) == 7


def test_decimals_of_a_hopeless_r2_are_not_shown() -> None:
    assert show_r2(2.0 * LEAST_R2) == "-2.0e+03"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (NetworkFacts(widths=(7, 3, 1), activation="silu", parameters=28), "an MLP of widths 7-3-1 (silu)"),
        (
            NetworkFacts(kind="polynomial", degree=3, axes=2, terms=10, parameters=20),
            "a polynomial of degree 3 in 2 axes of the features, 10 terms",
        ),
    ],
)
def test_a_surrogate_is_named(facts: NetworkFacts, said: str) -> None:
    assert show_network(facts) == said


def test_outputs_are_value_delta_and_gamma_and_columns_of_delta() -> None:
    assert show_outputs(["gamma", "value", "delta"]) == "`value` [n], `delta` [n, d] and `gamma` [n, d, d]"
    assert "columns of `delta` as `vega`" in show_outputs(["value", "vega"])


def test_bounds_are_the_extremes_of_all_coordinates() -> None:
    spots = Feature(name="spot", lower=(0.5, 0.4), upper=(1.5, 1.6), unit="EUR")
    assert show_bounds([spots]).splitlines()[-1] == "| spot (2) | 0.4 | 1.6 | EUR |"

"""Labels of like assets in other places are the labels that would be made there."""

from __future__ import annotations

import torch
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.labels import Labels
from pricing.references.reference import reference
from pricing.specs.european import WorstOf
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from surrogate.learning.exchange import arrangements, exchanged

# Two assets with their volatilities, and a strike between.
PROBLEM = PricingProblem(
    process=BlackScholes(volatilities=(0.2, 0.2), correlation=((1.0, 0.4), (0.4, 1.0)), rate=0.02),
    payoff=WorstOf(initial=(100.0, 100.0), strike=1.0, side="put"),
    maturity=1.0,
    features=(
        Feature(name="spot", lower=(80.0, 80.0), upper=(120.0, 120.0)),
        Feature(name="strike", lower=(0.9,), upper=(1.1,)),
        Feature(name="volatility", lower=(0.1, 0.1), upper=(0.4, 0.4)),
    ),
)
PLACES = torch.tensor([[85.0, 110.0, 0.95, 0.15, 0.35], [101.0, 99.0, 1.05, 0.3, 0.2]], dtype=torch.float64)


def labels(problem: PricingProblem) -> Labels:
    """What the reference says, with H v of one direction."""
    exact = reference(problem, PLACES.numpy())
    directions = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.25], dtype=torch.float64).expand(2, 1, 5)
    hessian = torch.from_numpy(exact.hessian)
    return Labels(
        features=PLACES,
        value=torch.from_numpy(exact.value),
        gradient=torch.from_numpy(exact.gradient),
        directions=directions,
        curvature=torch.einsum("nij,nkj->nki", hessian, directions),
        gradient_error=PLACES,
        paths=1,
        payoffs=1,
    )


def test_labels_move_with_the_assets() -> None:
    made = exchanged(labels(PROBLEM), PROBLEM, seed=0)
    assert made.features.tolist()[2:] == [[110.0, 85.0, 0.95, 0.35, 0.15], [99.0, 101.0, 1.05, 0.2, 0.3]]
    exact = reference(PROBLEM, made.features.numpy())
    torch.testing.assert_close(made.value, torch.from_numpy(exact.value), rtol=1e-10, atol=0.0)
    assert made.gradient is not None
    assert made.directions is not None
    assert made.curvature is not None
    torch.testing.assert_close(made.gradient, torch.from_numpy(exact.gradient), rtol=1e-9, atol=1e-12)
    curvature = torch.einsum("nij,nkj->nki", torch.from_numpy(exact.hessian), made.directions)
    torch.testing.assert_close(made.curvature, curvature, rtol=1e-8, atol=1e-10)
    assert made.gradient_error is not None
    assert torch.equal(made.gradient_error, made.features)


def test_assets_that_differ_stay() -> None:
    other = replace(PROBLEM, payoff=WorstOf(initial=(100.0, 101.0), strike=1.0, side="put"))
    given = labels(other)
    assert exchanged(given, other, seed=0) is given


def test_few_arrangements_are_all_there_are() -> None:
    places = arrangements(((0, 2), (1, 3)), 4, samples=3, count=4, seed=0)
    assert {tuple(row) for row in places[:, 0].tolist()} == {(0, 1, 2, 3), (2, 1, 0, 3), (0, 3, 2, 1), (2, 3, 0, 1)}


def test_of_many_arrangements_the_first_is_the_one_given() -> None:
    places = arrangements(((1, 2, 3, 4, 5),), 7, samples=50, count=8, seed=0)
    assert (places[0] == range(7)).all()
    assert (places[:, :, [0, 6]] == [0, 6]).all()
    assert (sorted(places[5, 7].tolist())) == list(range(7))
    assert len({tuple(row) for row in places[1:].reshape(-1, 7).tolist()}) > 100
    assert (arrangements(((1, 2, 3, 4, 5),), 7, samples=50, count=8, seed=0) == places).all()

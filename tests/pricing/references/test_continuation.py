"""Continuation values around one sample: European options exactly nearly, and points that keep their balance."""

import numpy as np
import torch
from msgspec.structs import replace

from pricing.references.continuation import TERMS, fit, normals, shifted, sobol
from pricing.references.market import market
from tests.pricing.references.markets import BASKET, MAXIMUM, three

ROW = torch.tensor([[100.0, 90.0, 110.0]], dtype=torch.float64)


def test_continuation_is_the_mean_of_what_follows() -> None:
    for option in (MAXIMUM, BASKET):
        here = market(three(option), ROW)
        rule = fit(here, ordered=False)
        generator = np.random.default_rng(5)
        x = here.step(here.start[:, None], normals(sobol(64, 3, generator)), 0)
        missed = rule.continuation(x, 0) - rule.expected(here, x, 0, shifted(1 << 11, x, generator))
        assert float(missed.square().mean().sqrt()) < 0.01 * float(rule.continuation(x, 0).mean())


def test_worth_is_the_better_of_both_and_the_last_date_has_no_other() -> None:
    here = market(three(BASKET), ROW)
    rule = fit(here, ordered=False)
    x = torch.tensor([[50.0, 100.0, 150.0]] * 3, dtype=torch.float64).log()
    worth, stops = rule.worth(here, x, 0)
    assert stops.tolist() == [True, False, False]
    torch.testing.assert_close(worth, torch.maximum(here.exercised(x, 0), rule.continuation(x, 0)))
    last, _ = rule.worth(here, x, 2)
    torch.testing.assert_close(last, here.exercised(x, 2).clamp(min=0.0))


def test_many_assets_have_fewer_terms_than_states() -> None:
    here = market(three(BASKET), ROW)
    (term,) = {len(one.coefficients) for one in fit(here, ordered=False).continuations[:1]}
    assert term <= TERMS + 2 * 4
    single = replace(three(BASKET), payoff=replace(three(BASKET).payoff, dates=(1.0,)))
    assert fit(market(single, ROW), ordered=False).continuations == ()


def test_shifted_points_are_balanced_and_every_state_has_its_own() -> None:
    z = shifted(1 << 8, torch.zeros(2, 4, dtype=torch.float64), np.random.default_rng(1))
    cells = torch.floor(torch.special.ndtr(z) * 256).long()
    assert all(len(set(row.tolist())) == 256 for row in cells.flatten(end_dim=1))
    assert not torch.equal(z[:, 0], z[:, 1])

"""The degree of an exercise rule: high enough for wide Boxes, remembered, overruled by a given one."""

import pytest
import torch
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.exercise.degree import chosen_degree, settled
from pricing.exercise.rule import fit_rule
from pricing.specs.estimator import DEGREES, MOST_TERMS, Frozen
from pricing.specs.european import Put
from pricing.specs.payoff import Bermudan
from tests.pricing.cases import CALL, PLAIN, problem_of

PUT = Bermudan(option=Put(weights=(1.0,), strike=100.0), dates=(0.25, 0.5, 0.75, 1.0))
WIDE = problem_of(replace(PLAIN, rate=0.06), PUT, spots=(20.0, 250.0))
OPEN = Frozen(paths=1 << 13)


def test_a_wide_box_has_more_than_the_least_and_it_is_the_least_regretted() -> None:
    chosen = chosen_degree(WIDE, OPEN, seed=1)
    assert chosen is not None
    assert chosen.degree > 2
    assert set(chosen.regrets) == set(DEGREES)
    assert min(chosen.regrets.values()) == 0.0
    assert chosen.regrets[2] > 2.0 * chosen.regrets[chosen.degree]
    assert chosen == chosen_degree(WIDE, OPEN, seed=1)
    assert settled(WIDE, OPEN, seed=1) == replace(OPEN, degree=chosen.degree)


def test_a_given_degree_overrules() -> None:
    given = Frozen(degree=3)
    assert chosen_degree(WIDE, given, seed=1) is None
    assert settled(WIDE, given, seed=1) == given
    assert given.degrees(5) == (3,)


def test_no_more_terms_than_paths_can_tell_apart() -> None:
    assert Frozen().degrees(1) == tuple(DEGREES)
    assert Frozen().degrees(5) == (2, 3, 4)
    assert Frozen().degrees(50) == (1,)
    assert MOST_TERMS >= 126


def test_a_rule_needs_a_degree_and_exercise_dates() -> None:
    with pytest.raises(InvalidSpec, match="fitted with a degree"):
        fit_rule(WIDE, OPEN, seed=1)
    with pytest.raises(InvalidSpec, match="Bermudan"):
        chosen_degree(problem_of(PLAIN, CALL), OPEN, seed=1)


def test_nothing_in_the_money_leaves_the_least() -> None:
    far = replace(WIDE, payoff=replace(PUT, option=replace(PUT.option, strike=1.0)))
    chosen = chosen_degree(far, Frozen(paths=1 << 10), seed=1)
    assert chosen is not None
    assert chosen.degree == DEGREES[0]
    assert torch.tensor(list(chosen.regrets.values())).abs().max() == 0.0

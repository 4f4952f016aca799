"""Like assets over the literal tuples of `tests.conformance.products`: found where there are some, and nowhere else."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.monte_carlo import value
from pricing.sampling import sample_uniform
from pricing.specs.exchange import like_assets, per_asset
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Bermudan, Payoff
from pricing.specs.process import Process
from tests.conformance.estimates import problem, refusal
from tests.conformance.products import PAYOFFS, PROCESSES, doubled, is_number, on_several

SINGLE = [process for process in PROCESSES if process.assets == 1 and doubled(process).assets == 2]
PAIRS = [payoff for payoff in (doubled(payoff) for payoff in PAYOFFS) if payoff.assets == 2]
# Errors that two means may lie apart by, and a share for rounding, time steps and exercise rules.
ERRORS, UNSTATED = 6.0, 0.02


def alike(process: Process, payoff: Payoff) -> bool:
    """Whether the line is one whose two assets are alike."""
    return like_assets(problem(process, payoff, varying="spots")) == ((0, 1),)


ALIKE = [
    (doubled(process), payoff)
    for process in SINGLE
    for payoff in PAIRS
    if refusal(partial(problem, doubled(process), payoff)) is None and alike(doubled(process), payoff)
]
# Every process, and every payoff on the first process that takes it.
SOME = {repr(part): line for line in reversed(ALIKE) for part in line}


def test_every_product_has_a_line_of_like_assets() -> None:
    held = [{type(part).__name__ for part in line} for line in ALIKE]
    assert {type(spec).__name__ for spec in (*SINGLE, *PAIRS)} == set().union(*held)


@pytest.mark.parametrize(("process", "payoff"), SOME.values())
def test_values_stay_when_like_assets_change_places(process: Process, payoff: Payoff) -> None:
    asked = problem(process, payoff)
    spec = LabelSpec(samples=4, paths=256, replicates=16, order=0)
    features = sample_uniform(asked.box, 4, seed=3)
    moved = features.clone()
    for name in per_asset(asked):
        columns = asked.box.columns(name)
        moved[:, columns] = features[:, columns].flip(-1)
    here, there = (value(asked, places, spec, seed=seed) for seed, places in enumerate((features, moved)))
    assert here.standard_error is not None
    assert there.standard_error is not None
    error = torch.hypot(here.standard_error, there.standard_error)
    assert bool(((here.value - there.value).abs() <= ERRORS * error + UNSTATED * here.value.abs()).all())


@pytest.mark.parametrize("process", SINGLE)
def test_any_difference_between_processes_is_noticed(process: Process) -> None:
    payoff, twice = next(payoff for payoff in PAIRS if payoff.assets == 2), doubled(process)
    for name in process.__struct_fields__:
        if not is_number(getattr(process, name)):
            continue
        (one,) = getattr(process, name)
        try:
            other = replace(twice, **{name: (one, 0.9 * one + 0.001)})
        except InvalidSpec:
            continue
        assert not alike(other, payoff), name


@pytest.mark.parametrize("process", [line for line in on_several(PROCESSES) if line.assets == 2])
@pytest.mark.parametrize("payoff", [line for line in PAYOFFS if line.assets == 2])
def test_what_differs_is_not_alike(process: Process, payoff: Payoff) -> None:
    own = payoff.option if isinstance(payoff, Bermudan) else payoff
    assert own.facts.sized_by is not None
    if refusal(partial(problem, process, payoff)) is None and len(set(getattr(own, own.facts.sized_by))) > 1:
        assert not alike(process, payoff)

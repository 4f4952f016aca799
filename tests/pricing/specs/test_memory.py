from __future__ import annotations

import pytest

from pricing.specs.memory import PART_NUMBERS, TENSOR_NUMBERS, batch_numbers, held
from pricing.specs.process import BlackScholes, Process
from tests.conformance.products import PROCESSES


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_batch_fits_the_memory_whatever_is_held_of_it(process: Process, order: int) -> None:
    numbers = batch_numbers(process.facts, order)
    assert 1 << 16 < numbers <= TENSOR_NUMBERS
    assert numbers * held(process.facts, order) <= PART_NUMBERS


def test_a_double_backward_pass_holds_more_and_time_steps_hold_all() -> None:
    plain = BlackScholes(volatilities=(0.2,), correlation=((1.0,),)).facts
    assert held(plain, 0) == held(plain, 1) < held(plain, 2) < plain.tensors

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from app.cost.training import Task, solve, task_of, train
from surrogate.spec import (
    LBFGS,
    Adam,
    LevenbergMarquardt,
    NetworkSpec,
    Optimiser,
    PolynomialSpec,
    SobolevLoss,
    TrainingSpec,
)

TASK = task_of(NetworkSpec(hidden=(32, 32)), samples=4096.0, inputs=7, directions=1.0, order=2)


def seconds(task: Task, optimiser: Optimiser, order: int = 1, **training: object) -> float:
    """Of all works of a training with one optimiser."""
    loss = SobolevLoss(order=order)  # type: ignore[arg-type]  # a literal
    spec = changed(TrainingSpec(loss=loss, optimisers=(optimiser,)), **training)
    return sum(work.seconds for work in train(task, spec, chosen=False))


@pytest.mark.parametrize("optimiser", [Adam(), LBFGS(), LevenbergMarquardt()], ids=["adam", "lbfgs", "second order"])
def test_work_grows_with_samples_iterations_and_derivatives(optimiser: Optimiser) -> None:
    once = seconds(TASK, optimiser)
    assert seconds(replace(TASK, samples=8 * TASK.samples), optimiser) == pytest.approx(8 * once, rel=0.2)
    assert seconds(TASK, optimiser, order=0) < once < seconds(TASK, optimiser, order=2)
    assert seconds(replace(TASK, directions=3.0), optimiser, order=2) > 1.5 * seconds(TASK, optimiser, order=2)


def test_work_is_in_proportion_to_epochs_iterations_and_starts() -> None:
    assert seconds(TASK, Adam(epochs=1000)) == pytest.approx(10 * seconds(TASK, Adam(epochs=100)))
    assert seconds(TASK, LBFGS(iterations=5000, history=10)) == pytest.approx(
        10 * seconds(TASK, LBFGS(iterations=500, history=10))
    )
    few, many = (LevenbergMarquardt(starts=n, finalists=n, short=10, long=90) for n in (1, 7))
    assert seconds(TASK, many) == pytest.approx(7 * seconds(TASK, few))


def test_second_order_grows_with_the_square_of_the_parameters_and_then_its_cube() -> None:
    large = replace(TASK, parameters=1e5)
    assert seconds(replace(large, parameters=2e5), LevenbergMarquardt()) > 3.5 * seconds(large, LevenbergMarquardt())


def test_small_batches_cost_a_call_each() -> None:
    assert seconds(TASK, Adam(batch=1)) > 50 * seconds(TASK, Adam(batch=256))


@pytest.mark.parametrize("optimiser", [Adam(), LBFGS(), LevenbergMarquardt()], ids=["adam", "lbfgs", "second order"])
def test_choosing_a_ridge_costs_more_and_is_the_default_of_datasets(optimiser: Optimiser) -> None:
    spec = TrainingSpec(optimisers=(optimiser,))
    plain = train(TASK, spec, chosen=False)
    for chosen in (
        train(TASK, spec, chosen=True),
        train(TASK, changed(spec, ridge="auto"), chosen=False),
    ):
        assert len(chosen) == len(plain) + 1
    assert train(TASK, changed(spec, ridge=0.1), chosen=True) == plain


def test_the_axes_are_the_inputs_where_they_are_given() -> None:
    network = NetworkSpec(hidden=(4,), inputs="differential_pca", axes=2)
    task = task_of(network, samples=10.0, inputs=50, directions=0.0, order=1)
    assert (task.inputs, task.parameters) == (2.0, 4 * 3 + 5)


def test_memory_holds_the_samples_the_pass_and_the_matrix() -> None:
    (adam,) = train(replace(TASK, samples=2.0**22), TrainingSpec(optimisers=(Adam(),)), chosen=False)
    assert adam.memory > replace(TASK, samples=2.0**22).data
    wide = replace(TASK, nodes=4096.0 * 32, parameters=5e8)
    (pass_,) = train(wide, TrainingSpec(optimisers=(LBFGS(history=1),)), chosen=False)
    assert pass_.memory > 8 * (4096 * wide.nodes + 2 * wide.parameters)
    (matrix,) = train(replace(TASK, parameters=1e5), TrainingSpec(), chosen=False)
    assert matrix.memory > 8 * 1e10


def test_a_polynomial_costs_its_terms() -> None:
    spec = PolynomialSpec(degree=6, inputs="features")
    small, large = (solve(changed(spec, degree=degree), samples=65536.0, inputs=7) for degree in (3, 6))
    assert large.seconds > 20 * small.seconds
    assert solve(changed(spec, degree=24), samples=1e6, inputs=1000).seconds < 1e30  # no more terms than there may be

"""Levenberg-Marquardt on all residual rows, from several starts (Marquardt 1963; Nielsen 1999 for the damping).

    (J^T J + mu diag(J^T J)) delta = -J^T r,   mu <- mu / 3 on success, mu <- mu nu with nu doubling on failure.

J comes in blocks of samples from `surrogate.learning.jacobian`, in float64. Losses of single starts spread over
decades, so every start runs ``short`` iterations and the best ``finalists`` ``long`` more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.errors import SurrogateError
from surrogate.functions.network import flatten, initialise
from surrogate.learning.losses import Objective
from surrogate.learning.watching import Onlooker, look_away
from surrogate.spec import MAXIMUM_SECOND_ORDER, LevenbergMarquardt

# Samples a block of J, fewer where they have many residuals: at most 32 MB, so that 30 assets and 1,000 parameters fit.
ROWS, ENTRIES = 2048, 1 << 22
INITIAL_DAMPING = 1e-2
LARGEST_DAMPING = 1e12
SMALLEST_DAMPING = 1e-14
# A diagonal entry of J^T J below this share of the largest is lifted to it, so that a dead parameter stays put.
RELATIVE_FLOOR = 1e-14
# Converged when this many accepted steps in a row improve the loss by less than STALL of itself.
STALL, STALLED_STEPS = 1e-9, 5


@dataclass(frozen=True, kw_only=True)
class _State:
    theta: Tensor
    loss: float
    damping: float
    growth: float = 2.0
    stalled: int = 0


def normal_equations(objective: Objective, theta: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """J^T J and J^T r of mean_n |r_n|^2 + ridge |theta|^2 (halved). Shape: free -> free free; free."""
    size, samples = len(theta), len(objective.dataset)
    ridge += objective.ridge
    square = ridge * torch.eye(size, dtype=theta.dtype)
    slope = ridge * theta
    length = objective.residuals(theta, slice(1)).shape[1]
    rows = max(1, min(ROWS, ENTRIES // (length * size)))
    for start in range(0, samples, rows):
        jacobian, residual = objective.jacobian(theta, slice(start, start + rows))
        jacobian, residual = jacobian.flatten(end_dim=1), residual.flatten()
        square += jacobian.T @ jacobian / samples
        slope = slope + residual @ jacobian / samples
    return square, slope


def _loss(objective: Objective, theta: Tensor, ridge: float) -> float:
    return float(objective.loss(theta)) + ridge * float(theta @ theta)


def _iterate(objective: Objective, state: _State, ridge: float) -> _State:
    """One accepted step, or the state unchanged but for its damping when no step improves."""
    square, slope = normal_equations(objective, state.theta, ridge)
    diagonal = square.diagonal()
    diagonal = diagonal.clamp(min=float(diagonal.max()) * RELATIVE_FLOOR)
    while state.damping < LARGEST_DAMPING:
        factor, failed = torch.linalg.cholesky_ex(square + state.damping * torch.diag(diagonal))
        if not failed:
            candidate = state.theta - torch.cholesky_solve(slope[:, None], factor)[:, 0]
            loss = _loss(objective, candidate, ridge)
            if loss < state.loss:
                small = state.loss - loss < STALL * state.loss
                return _State(
                    theta=candidate,
                    loss=loss,
                    damping=max(state.damping / 3.0, SMALLEST_DAMPING),
                    stalled=state.stalled + 1 if small else 0,
                )
        state = replace(state, damping=state.damping * state.growth, growth=2.0 * state.growth)
    return state


def descend(
    objective: Objective,
    theta: Tensor,
    *,
    iterations: int,
    ridge: float,
    report: Callable[[], None],
    look: Callable[[Tensor, int, bool], None] = lambda *_: None,
) -> tuple[Tensor, list[float]]:
    """Up to ``iterations`` steps from one start; the loss never rises. Shape: free -> free.

    Args:
        look: told the coordinates, after how many iterations, and whether there are no more.
    """
    state = _State(theta=theta, loss=_loss(objective, theta, ridge), damping=INITIAL_DAMPING)
    losses = [state.loss]
    for done in range(1, iterations + 1):
        state = _iterate(objective, state, ridge)
        losses.append(state.loss)
        settled = state.stalled >= STALLED_STEPS or state.damping >= LARGEST_DAMPING
        look(state.theta, done, settled or done == iterations)
        report()
        if settled:
            break
    return state.theta, losses


def minimise(
    objective: Objective,
    theta: Tensor,
    spec: LevenbergMarquardt,
    *,
    generator: torch.Generator,
    progress: Progress,
    look: Onlooker = look_away,
) -> tuple[Tensor, list[float]]:
    """Coordinates of the best start and its losses; ``theta`` is the first start, the others are random.

    Shape: free -> free.

    Raises:
        SurrogateError: more trainable parameters than MAXIMUM_SECOND_ORDER.
    """
    if len(theta) > MAXIMUM_SECOND_ORDER:
        raise SurrogateError(
            f"levenberg_marquardt takes up to {MAXIMUM_SECOND_ORDER} trainable parameters, got {len(theta)}; "
            "use lbfgs or adam"
        )
    total = spec.starts * spec.short + spec.finalists * spec.long
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        progress(min(1.0, done / total))

    network = objective.network
    starts = [theta]
    for _ in range(spec.starts - 1):
        fresh = initialise(network.widths, network.activation, generator=generator, dtype=theta.dtype)
        starts.append(flatten(fresh)[objective.free])

    def run(number: int, begin: Tensor, history: list[float], iterations: int) -> tuple[int, Tensor, list[float]]:
        before = max(len(history) - 1, 0)

        def seen(theta: Tensor, done: int, ended: bool) -> None:
            look(theta, start=number, iteration=before + done, ended=ended)

        seen(begin, 0, False)
        point, losses = descend(objective, begin, iterations=iterations, ridge=spec.ridge, report=report, look=seen)
        return number, point, history[:-1] + losses

    short = [run(number, start, [], spec.short) for number, start in enumerate(starts)]
    short.sort(key=lambda run: run[2][-1])
    finals = [run(*begun, spec.long) for begun in short[: spec.finalists]]
    progress(1.0)
    _, point, losses = min(finals, key=lambda run: run[2][-1])
    return point, losses

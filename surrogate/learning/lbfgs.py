"""Full-batch L-BFGS with a strong Wolfe line search (Liu & Nocedal 1989; Nocedal & Wright 2006, chapter 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.learning.losses import Differentiable
from surrogate.learning.watching import Onlooker, look_away
from surrogate.spec import LBFGS

# Iterations between two progress reports; torch's optimiser runs that many per call.
BLOCK = 20
# Samples a block of the loss: bounds the memory of order-2 sweeps.
ROWS = 8192


def minimise(
    objective: Differentiable,
    theta: Tensor,
    spec: LBFGS,
    *,
    generator: torch.Generator,
    progress: Progress,
    look: Onlooker = look_away,
) -> tuple[Tensor, list[float]]:
    """Trained coordinates and the loss after every block of iterations. Shape: free -> free."""
    del generator  # deterministic
    dtype = torch.float32 if spec.single_precision else theta.dtype
    working = objective.to(dtype)
    point = theta.to(dtype).clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [point],
        max_iter=BLOCK,
        history_size=spec.history,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
    samples = len(objective)

    def closure() -> Tensor:
        total, gradient = point.new_zeros(()), torch.zeros_like(point)
        for start in range(0, samples, ROWS):
            rows = slice(start, min(start + ROWS, samples))
            share = working.loss(point, rows) * ((rows.stop - rows.start) / samples)
            gradient += torch.autograd.grad(share, point)[0]
            total += share.detach()
        point.grad = gradient
        return total

    losses: list[float] = []
    look(point, start=0, iteration=0, ended=False)
    for done in range(0, spec.iterations, BLOCK):
        optimiser.param_groups[0]["max_iter"] = min(BLOCK, spec.iterations - done)
        losses.append(float(optimiser.step(closure)))  # type: ignore[no-untyped-call]
        reached = min(done + BLOCK, spec.iterations)
        look(point, start=0, iteration=reached, ended=reached == spec.iterations)
        progress(min(1.0, (done + BLOCK) / spec.iterations))
    return point.detach().to(theta.dtype), losses

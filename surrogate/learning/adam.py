"""Mini-batch Adam under a learning-rate schedule (Kingma & Ba 2015), for networks too large for second order."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.learning.losses import Differentiable
from surrogate.learning.watching import Onlooker, look_away
from surrogate.spec import Adam

# Huge & Savine's one-cycle schedule: share of training -> share of the peak learning rate.
ONE_CYCLE = ((0.0, 1e-7), (0.2, 1.0), (0.6, 0.1), (0.9, 1e-5), (1.0, 1e-7))


def learning_rate(spec: Adam, done: float) -> float:
    """Learning rate after the share ``done`` of training."""
    if spec.schedule == "cosine":
        return spec.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))
    times, rates = zip(*ONE_CYCLE, strict=True)
    return spec.learning_rate * float(np.interp(done, times, rates))


def minimise(
    objective: Differentiable,
    theta: Tensor,
    spec: Adam,
    *,
    generator: torch.Generator,
    progress: Progress,
    look: Onlooker = look_away,
) -> tuple[Tensor, list[float]]:
    """Trained coordinates and the mean loss of every epoch. Shape: free -> free."""
    dtype = torch.float32 if spec.single_precision else theta.dtype
    working = objective.to(dtype)
    point = theta.to(dtype).clone().requires_grad_()
    optimiser = torch.optim.Adam([point], lr=spec.learning_rate)
    samples = len(objective)
    batches = math.ceil(samples / spec.batch)
    losses = []
    look(point, start=0, iteration=0, ended=False)
    for epoch in range(spec.epochs):
        order, total = torch.randperm(samples, generator=generator), 0.0
        for index, rows in enumerate(order.chunk(batches)):
            optimiser.param_groups[0]["lr"] = learning_rate(spec, (epoch + index / batches) / spec.epochs)
            loss = working.loss(point, rows)
            (point.grad,) = torch.autograd.grad(loss, point)
            optimiser.step()
            total += loss.item() * len(rows)
        losses.append(total / samples)
        look(point, start=0, iteration=epoch + 1, ended=epoch + 1 == spec.epochs)
        progress((epoch + 1) / spec.epochs)
    return point.detach().to(theta.dtype), losses

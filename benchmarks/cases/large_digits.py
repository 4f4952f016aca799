"""Handwritten digits (8 x 8, of scikit-learn) drawn to 28 x 28, and the dense 784-40-20-10 ReLU network of them.

Random turns, shifts and noise make all 784 pixels live; train and test hold different originals.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

ORIGINALS = 1297
TRAINING, TEST, EPOCHS, BATCH, RATE = 20_000, 5_000, 20, 128, 2e-3
# Relative to the digit's frame: turn in radians, zoom out, shift, and noise in grey levels.
TURN, ZOOM, SHIFT, NOISE = 0.15, (1.15, 1.35), 0.15, 0.15

Samples = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class LargeDigits:
    """Drawn digits for training and for judging, and the dense network of a seed."""

    training: Samples
    test: Samples
    dense: torch.nn.Sequential

    def percent(self, network: torch.nn.Module) -> float:
        """Share of the test samples that are classified right."""
        with torch.no_grad():
            return 100.0 * float((network(self.test[0]).argmax(dim=1) == self.test[1]).double().mean())


def large_digits(seed: int, *, smoke: bool) -> LargeDigits:
    """Of a seed: which originals are trained on, how they are drawn, where the network starts."""
    digits = load_digits()
    images, classes = torch.from_numpy(digits.images / 16.0).float(), torch.from_numpy(digits.target)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    first, last = order[:ORIGINALS], order[ORIGINALS:]
    training = drawn(images[first], classes[first], 200 if smoke else TRAINING, generator)
    test = drawn(images[last], classes[last], 500 if smoke else TEST, generator)
    return LargeDigits(training=training, test=test, dense=trained(training, seed, 1 if smoke else EPOCHS))


def drawn(images: Tensor, classes: Tensor, count: int, generator: torch.Generator) -> Samples:
    """Random originals, turned, zoomed, shifted and noisy. Shape: original 8 8 -> sample 784; sample."""
    pick = torch.randint(0, len(images), (count,), generator=generator)
    uniform = torch.rand(4, count, generator=generator)
    turn, zoom = TURN * (2.0 * uniform[0] - 1.0), ZOOM[0] + (ZOOM[1] - ZOOM[0]) * uniform[1]
    shift = SHIFT * (2.0 * uniform[2:] - 1.0)
    top = torch.stack([zoom * turn.cos(), -zoom * turn.sin(), shift[0]], dim=1)
    low = torch.stack([zoom * turn.sin(), zoom * turn.cos(), shift[1]], dim=1)
    grid = affine_grid(torch.stack([top, low], dim=1), [count, 1, 28, 28], align_corners=False)
    large = grid_sample(images[pick][:, None], grid, align_corners=False)[:, 0]
    noisy = (large + NOISE * torch.randn(large.shape, generator=generator)).clamp(0.0, 1.0)
    return noisy.flatten(start_dim=1), classes[pick]


def trained(samples: Samples, seed: int, epochs: int) -> torch.nn.Sequential:
    """The dense network, by Adam with a cosine."""
    torch.manual_seed(seed)
    linear, relu = torch.nn.Linear, torch.nn.ReLU
    network = torch.nn.Sequential(linear(784, 40), relu(), linear(40, 20), relu(), linear(20, 10))
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    steps = len(samples[0]) // BATCH
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(samples[0]))[: steps * BATCH].view(steps, BATCH):
            optimiser.zero_grad()
            cross_entropy(network(samples[0][batch]), samples[1][batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            cosine.step()
    return network

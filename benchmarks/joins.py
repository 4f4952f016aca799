"""What a smooth join costs by kernel: its width, the bias of every Greek against the stated one, and the paths' noise.

Payoffs of a normal level with the terminal standard deviation 1 and knots in units of it, so that every expectation is
an integral that the trapezium rule takes to rounding: nothing is simulated. Every kernel has the width that its rule
gives for the same bias of the gamma of a bend, which is that of the delta of a jump. Biases are the largest over
moneynesses from -3 to 3, as shares of the largest value, delta or gamma; the noise is the largest standard error of
1,024 independent paths, in the same shares.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any, get_args

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from torch import Tensor

from pricing.simulation.joins import join_bias
from pricing.simulation.smoothing import ramp, step, width_ratio
from pricing.specs.estimator import Kernel
from pricing.specs.pieces import Pieces
from pricing.types import Array

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
GAMMA_BIASES = (1e-3, 1e-5)
PATHS = 1024
FORWARDS = np.linspace(-3.0, 3.0, 61)
# Nodes of the rule over so many standard deviations: nine or more in the least width.
NODES, REACH = 1 << 16, 9.0
GREEKS = ("value", "delta", "gamma")
PAYOFFS = {
    "call": Pieces(weights=(1.0,), knots=(0.0,), slopes=(0.0, 1.0)),
    "digital": Pieces(weights=(1.0,), knots=(0.0,), slopes=(0.0, 0.0), jumps=(1.0,)),
    "call spread": Pieces(weights=(1.0,), knots=(-0.25, 0.25), slopes=(0.0, 1.0, 0.0)),
    "kink and jump at one knot": Pieces(weights=(1.0,), knots=(0.0,), slopes=(0.0, 1.0), jumps=(0.5,)),
}


def smooth(payoff: Pieces, kernel: Kernel, width: float, level: Tensor) -> Tensor:
    """Cash with a kernel at every join. Shape: any -> the same."""
    paid = torch.zeros_like(level)
    for knot, join in zip(payoff.knots, payoff.joins, strict=True):
        x = level - knot
        paid = paid + join.bend * ramp(kernel, x, width=width) + join.jump * step(kernel, x, width=width)
    return paid


def exact(payoff: Pieces) -> Array:
    """Value, delta and gamma at the forwards. Shape: -> 3 forward."""
    total = np.zeros((3, len(FORWARDS)))
    for knot, join in zip(payoff.knots, payoff.joins, strict=True):
        d = FORWARDS - knot
        mass = torch.special.ndtr(torch.from_numpy(d)).numpy()
        density = np.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
        total += join.bend * np.stack([d * mass + density, mass, density])
        total += join.jump * np.stack([mass, density, -d * density])
    return total


def stated(payoff: Pieces, kernel: Kernel, width: float) -> Array:
    """The stated biases at the forwards. Shape: -> 3 forward."""
    total = np.zeros((3, len(FORWARDS)))
    for knot, join in zip(payoff.knots, payoff.joins, strict=True):
        d = FORWARDS - knot
        total += join.bend * np.stack(join_bias(kernel, width, d, jump=False))
        total += join.jump * np.stack(join_bias(kernel, width, d, jump=True))
    return total


def moments(payoff: Pieces, kernel: Kernel, width: float) -> tuple[Array, Array]:
    """Mean and standard deviation of a path's value, delta and gamma at the forwards. Shape: -> 3 forward, twice."""
    z = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    mass = torch.exp(-0.5 * z * z)
    mass = mass / mass.sum()
    means, deviations = [], []
    for forward in FORWARDS.tolist():
        level = (forward + z).requires_grad_()
        paid = smooth(payoff, kernel, width, level)
        (slope,) = torch.autograd.grad(paid.sum(), level, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), level)
        parts = torch.stack([paid.detach(), slope.detach(), bend])
        mean = parts @ mass
        means.append(mean.numpy())
        deviations.append((((parts - mean[:, None]).square() @ mass).sqrt()).numpy())
    return np.stack(means, axis=1), np.stack(deviations, axis=1)


def measure(*, kernels: tuple[Kernel, ...], gamma_biases: tuple[float, ...]) -> list[dict[str, Any]]:
    """One row per payoff, accepted bias and kernel."""
    rows = []
    for name, payoff in PAYOFFS.items():
        right = exact(payoff)
        size = np.abs(right).max(axis=1)
        for gamma_bias in gamma_biases:
            for kernel in kernels:
                width = width_ratio(kernel, gamma_bias)
                mean, deviation = moments(payoff, kernel, width)
                told, missed = stated(payoff, kernel, width), mean - right
                row = {"payoff": name, "gamma_bias": gamma_bias, "kernel": kernel, "width": width}
                for i, greek in enumerate(GREEKS):
                    row[greek] = {
                        "stated": float(np.abs(told[i]).max() / size[i]),
                        "measured": float(np.abs(missed[i]).max() / size[i]),
                        "error": float(deviation[i].max() / math.sqrt(PATHS) / size[i]),
                    }
                rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table, in Markdown."""
    names = " | ".join(f"{greek}: stated, measured, noise" for greek in GREEKS)
    print(f"| payoff | accepted bias | kernel | width | {names} |\n|---|---|---|---|---|---|---|")
    for row in rows:
        cells = " | ".join(
            f"{row[greek]['stated']:.1e}, {row[greek]['measured']:.1e}, {row[greek]['error']:.1e}" for greek in GREEKS
        )
        print(f"| {row['payoff']} | {row['gamma_bias']:.0e} | {row['kernel']} | {row['width']:.4f} | {cells} |")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Widths, biases and noise of smooth joins by kernel.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="two kernels, for CI: shows that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    kernels: tuple[Kernel, ...] = ("average", "logistic") if given.smoke else KERNELS
    rows = measure(kernels=kernels, gamma_biases=GAMMA_BIASES[: 1 if given.smoke else None])
    print(json.dumps({"rows": rows})) if given.json else show(rows)


if __name__ == "__main__":
    main()

"""Sparsity schedules from s_0 to s over T stages, t = 0 .. T-1 (PRUNING 0.3).

References: exponential and polynomial, Benbaki et al. 2023 (CHITA); polynomial, Zhu & Gupta 2017; geometric, Frantar
et al. 2021 (M-FAC) and Wang et al. 2023 (NTK-SAP), who has the last two as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pruning.spec import ScheduleName

# Share of the way from s_0 to s after stage t of T, where it does not depend on s.
Share = Callable[[int, int], float]


def _exponential(t: int, stages: int) -> float:
    """Halves the distance to s every stage, rescaled to end at it."""
    return (1.0 - 2.0**-t) / (1.0 - 2.0 ** -(stages - 1))


def _polynomial(t: int, stages: int) -> float:
    """1 - (1 - t / (T - 1))^3: fast at first, slow near s."""
    return 1.0 - (1.0 - t / (stages - 1)) ** 3


def _linear(t: int, stages: int) -> float:
    return t / (stages - 1)


def _constant(t: int, stages: int) -> float:  # noqa: ARG001
    return 1.0


SHARES: Mapping[ScheduleName, Share] = {
    "exponential": _exponential,
    "polynomial": _polynomial,
    "linear": _linear,
    "constant": _constant,
}

# Density after the share u of all stages over the density before them, for the ratio r of the last to the first.
DENSITIES: Mapping[ScheduleName, Callable[[float, float], float]] = {
    "geometric": lambda r, u: float(r**u),
    "linear_density": lambda r, u: 1.0 - (1.0 - r) * u,
    "inverse": lambda r, u: float(1.0 - (1.0 - r) ** (1.0 / u)),
}


def schedule(name: ScheduleName, start: float, target: float, stages: int) -> tuple[float, ...]:
    """Sparsities of all stages; the last is ``target`` exactly, one stage is the target alone.

    "geometric" divides the density by the same factor every stage: 1 - (1 - s_0) ((1 - s) / (1 - s_0))^((t + 1) / T).
    "linear_density" lowers it by the same amount, "inverse" by 1 - (1 - r)^(T / (t + 1)) of its start with r the ratio
    of the last density to the first. The others start at s_0 itself, "constant" excepted.
    """
    if name in DENSITIES:
        ratio = (1.0 - target) / (1.0 - start)
        path = [1.0 - (1.0 - start) * DENSITIES[name](ratio, (t + 1) / stages) for t in range(stages - 1)]
    else:
        path = [start + (target - start) * SHARES[name](t, stages) for t in range(stages - 1)]
    return (*path, target)

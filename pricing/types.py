"""Axis words and units used in every signature of the package.

Axes: ``batch`` (samples), ``path`` (Monte Carlo paths), ``date`` (of the payoff), ``asset``, ``dimension`` (normals of
a path), ``feature`` (coordinates of the Box), ``direction``. ``batch-or-1`` is 1 where no feature moves it: broadcast.
Units: maturity in years; rate, dividend yield per year; volatility in currency per sqrt(year) (Bachelier); spot,
strike, value in currency. Greeks are per 1.00 of their variable: delta in currency per currency, vega per 1.00 of
volatility, theta per year, rho per 1.00 of rate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Told the share done, 0 to 1, while a long computation runs.
Progress = Callable[[float], None]

from __future__ import annotations

import pytest

from pricing.domain import Box, Feature


@pytest.fixture(scope="session")
def box() -> Box:
    """Two spots and a volatility."""
    spot = Feature(name="spot", lower=(0.0, 0.0), upper=(1.0, 1.0))
    return Box(features=(spot, Feature(name="volatility", lower=(0.1,), upper=(0.5,), unit="per sqrt(year)")))

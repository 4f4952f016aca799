from __future__ import annotations

from collections.abc import Callable

import pytest

from pricing.domain import Box, Feature


@pytest.fixture
def cube() -> Callable[[int], Box]:
    """Boxes of so many spots from 0.3 to 1.7."""
    return lambda spots: Box(features=(Feature(name="spot", lower=(0.3,) * spots, upper=(1.7,) * spots),))

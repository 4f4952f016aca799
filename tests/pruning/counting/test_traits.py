from __future__ import annotations

from typing import get_args

from pruning.counting.traits import TRAITS
from pruning.methods import METHODS
from pruning.spec import MethodName


def test_every_method_has_its_own() -> None:
    assert set(TRAITS) == set(METHODS) == set(get_args(MethodName))
    assert all(method.traits is TRAITS[name] for name, method in METHODS.items())

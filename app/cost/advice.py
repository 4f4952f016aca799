"""Which fields of a job make it cheaper: the estimate itself, asked again with each of them halved. Torch-free."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from app.cost.job import Cost, cost_of
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.errors import InvalidSpec
from pricing.specs.problem import PricingProblem

# What a halved field must save of the estimate to be named.
LEAST_SAVED = 0.1
# Fields whose numbers are no amounts of work: an order says what is learnt, not how much of it.
NO_AMOUNTS = frozenset({"name", "seed", "problem", "export", "order"})
# Lists whose length is an amount of work, whatever their items are.
LISTS = frozenset({"dates", "states", "optimisers"})
# What a prune job says of its build itself.
OF_PRUNE_JOBS = ("pruning.", "labels.", "dataset.")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A field of the job, and what the estimate is with half of it."""

    field: str
    amount: float


def advice(cost: Cost, amount_of: Callable[[Cost], float]) -> list[Advice]:
    """The fields that save most first; none where half of no single field saves `LEAST_SAVED`.

    Args:
        amount_of: what of an estimate is too large.
    """
    most = (1.0 - LEAST_SAVED) * amount_of(cost)
    found = [Advice(field=field, amount=amount_of(cheaper)) for field, cheaper in halved(cost)]
    return sorted((each for each in found if each.amount <= most), key=lambda each: each.amount)


def halved(cost: Cost) -> Iterator[tuple[str, Cost]]:
    """The cost with half of each amount that the job states, by its field."""
    for field, build in builds(cost.build):
        place = place_in(cost, field)
        if place is None:
            continue
        try:
            yield place, cost_of(cost.spec, build, cost.named)
        except InvalidSpec:
            continue  # half of it is no problem
    named = cost.named
    if named.rows:
        yield place_in(cost, "dataset.id") or "", cost_of(cost.spec, cost.build, replace(named, rows=named.rows // 2))
    if named.teacher_parameters:
        smaller = replace(named, teacher_parameters=named.teacher_parameters // 2)
        yield place_in(cost, "labels.model") or "", cost_of(cost.spec, cost.build, smaller)


def place_in(cost: Cost, field: str) -> str | None:
    """The field of a build as one of the job; None where a job of that kind has no such field."""
    match cost.spec:
        case PruneJobSpec():
            return field if field.startswith(OF_PRUNE_JOBS) else None
        case RetrainJobSpec():
            return f"changes.{field}"
        case _:
            return field


def builds(build: BuildSpec) -> Iterator[tuple[str, BuildSpec]]:
    """The build with half of one amount, unchecked: it is only counted."""
    for field, changed in amounts(build):
        yield field.removeprefix("."), changed
    if build.problem is None:
        return
    for field, changed in amounts(build.problem):
        yield f"problem{field}", with_field(build, "problem", changed)
    if build.problem.process.assets > 1:
        yield "problem.features", with_field(build, "problem", with_fewer_assets(build.problem))


def amounts(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """A value with half of one number or list in it, by its path in the value."""
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            if field not in NO_AMOUNTS:
                for path, changed in amounts(getattr(value, field), field):
                    yield f".{field}{path}", with_field(value, field, changed)
    elif isinstance(value, tuple):
        yield from amounts_of_list(value, name)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield "", value // 2


def amounts_of_list(value: tuple[Any, ...], name: str) -> Iterator[tuple[str, Any]]:
    """A list of half its length where that is an amount, with half of every integer, or with one item changed."""
    if name in LISTS and len(value) > 1:
        yield "", value[1::2]
    if value and all(type(item) is int for item in value):
        yield "", tuple(max(1, item // 2) for item in value)
    for i, item in enumerate(value if all(isinstance(item, msgspec.Struct) for item in value) else ()):
        for path, changed in amounts(item):
            yield f"[{i}]{path}", (*value[:i], changed, *value[i + 1 :])


def with_fewer_assets(problem: PricingProblem) -> PricingProblem:
    """The problem on half of its assets."""
    assets = problem.process.assets

    def cut(value: Any) -> Any:
        if isinstance(value, msgspec.Struct):
            for field in value.__struct_fields__:
                if field not in LISTS:
                    value = with_field(value, field, cut(getattr(value, field)))
            return value
        if not isinstance(value, tuple):
            return value
        kept = value[: assets // 2] if len(value) == assets else value
        return tuple(cut(item) if isinstance(item, tuple | msgspec.Struct) else item for item in kept)

    fewer: PricingProblem = cut(problem)
    return fewer


def with_field(struct: Any, name: str, value: Any) -> Any:
    """A copy with another value, unchecked, without what the original has worked out of its own."""
    changed = copy.copy(struct)
    getattr(changed, "__dict__", {}).clear()
    msgspec.structs.force_setattr(changed, name, value)
    return changed

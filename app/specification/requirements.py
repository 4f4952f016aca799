"""What specifications of jobs share: the checks that take more than one of their parts. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.labels import LabelSpec
from pricing.specs.sampler import FlowSpec, TableSampler
from pruning.counting.targets import Shape, Unit, counts, dense
from pruning.errors import ImpossibleSparsity
from pruning.spec import PruningSpec

# Steps from the dense to the sparse flow of a table sampler; it is trained again after each.
FLOW_STAGES = 3


@contextmanager
def within(place: str) -> Iterator[None]:
    """Errors in a part of a specification, with their paths from the whole."""
    try:
        yield
    except InvalidSpec as error:
        path = ".".join(name for name in (place, error.fields.get("path")) if name)
        raise InvalidSpec(str(error), **error.fields | {"path": path}) from error


def require_order(field: str, order: int, labels: LabelSpec) -> None:
    """Raise InvalidSpec unless the labels have the derivatives that a loss or rows of ``order`` compare."""
    if order > labels.order:
        raise InvalidSpec(
            f"{field} needs labels of order {order}, labels.order is {labels.order}; raise that one",
            path=field,
            bound=labels.order,
        )


def flow_pruning(flow: FlowSpec) -> PruningSpec | None:
    """How the flow of a table sampler is pruned, None for a dense one, whose method must be one all the same.

    Raises:
        InvalidSpec: a method or sparsity that no pruning has.
    """
    sparsity = 0.0 if flow.sparsity is None else flow.sparsity
    try:
        pruning = load(PruningSpec, {"method": flow.method, "sparsity": sparsity, "stages": FLOW_STAGES})
    except InvalidSpec as error:
        place = {"path": f"labels.sampler.flow.{error.fields['path']}", "bound": error.fields.get("bound")}
        raise InvalidSpec(str(error).partition(" - at ")[0], **place) from error
    return None if flow.sparsity is None else pruning


def require_states(labels: LabelSpec, box: Box | None) -> None:
    """Raise InvalidSpec unless the states of a table sampler have the columns of the Box and its flow a pruning."""
    if not isinstance(labels.sampler, TableSampler):
        return
    columns, flow = len(labels.sampler.states[0]), labels.sampler.flow
    pruned = flow_pruning(flow)
    if box is not None and columns != box.dimension:
        raise InvalidSpec(
            f"labels.sampler.states must have the columns {', '.join(box.labels)}, got {columns}",
            path="labels.sampler.states",
            bound=box.dimension,
        )
    if pruned is not None:
        with within("labels.sampler.flow"):
            require_target(pruned, dense((columns + 1, *flow.hidden, columns)))


def require_target(pruning: PruningSpec, shape: Shape) -> tuple[Unit, tuple[int, ...]]:
    """What may stay after each stage; raise InvalidSpec for a target that leaves no network of that shape."""
    try:
        return counts(shape, pruning)
    except ImpossibleSparsity as error:
        raise InvalidSpec(str(error), **error.fields) from error


def pruning_orders(pruning: PruningSpec) -> tuple[tuple[str, int], ...]:
    """How many derivatives of the labels pruning and its fine-tuning need, by the field that says so."""
    rows = ("pruning.rows", 1 if pruning.rows == "sobolev" else 0)
    if pruning.fine_tuning is None:
        return (rows,)
    return rows, ("pruning.fine_tuning.loss", pruning.fine_tuning.loss.order)

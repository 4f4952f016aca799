"""What specifications of jobs share: the checks that take more than one of their parts. Torch-free."""

from __future__ import annotations

import re

from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from pricing.specs.labels import LabelSpec
from pricing.specs.sampler import FlowSpec, TableSampler
from pruning.spec import PruningSpec

# A model name is a folder name and a URL segment; without a dot it is the name of no file of the registry.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# Steps from the dense to the sparse flow of a table sampler; it is trained again after each.
FLOW_STAGES = 3


def require_name(name: str, field: str = "name") -> None:
    """Raise InvalidSpec unless ``name`` may name a model."""
    if not NAME.fullmatch(name):
        raise InvalidSpec(
            f"{field} must be 1 to 64 of a-z, 0-9, '_', '-' and start with a letter or digit, got {name!r}", path=field
        )


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
    flow_pruning(labels.sampler.flow)
    columns = len(labels.sampler.states[0])
    if box is not None and columns != box.dimension:
        raise InvalidSpec(
            f"labels.sampler.states must have the columns {', '.join(box.labels)}, got {columns}",
            path="labels.sampler.states",
            bound=box.dimension,
        )


def require_labels(pruning: PruningSpec, labels: LabelSpec) -> None:
    """Raise InvalidSpec unless the labels hold what pruning and its fine-tuning need."""
    if pruning.rows == "sobolev":
        require_order("pruning.rows", 1, labels)
    if pruning.fine_tuning is not None:
        require_order("pruning.fine_tuning.loss", pruning.fine_tuning.loss.order, labels)

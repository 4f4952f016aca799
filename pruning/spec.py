"""How a network is pruned and repaired. Torch-free."""

from __future__ import annotations

from typing import Literal

from pricing.errors import InvalidSpec
from pricing.spec import Spec, require_range
from surrogate.spec import TrainingSpec

MethodName = Literal[
    "magnitude",
    "magnitude_layerwise",
    "magnitude_neuron",
    "salience",
    "salience_per_sample",
    "random",
    "random_neuron",
    "significance",
    "chita",
]
ScheduleName = Literal["exponential", "polynomial", "linear", "constant", "geometric"]
RowsName = Literal["gauss_newton", "sobolev", "fisher"]


class PruningSpec(Spec, frozen=True, kw_only=True):
    """One pruning run: a method of `pruning.methods.METHODS`, a target and a schedule.

    Give ``sparsity`` (share of what the method removes, weights without biases or nodes) or ``parameters`` (largest
    number of weights and biases left, after `pruning.compact`); exactly one of them.

    Args:
        method: a key of METHODS.
        stages: number of prune steps along the schedule; between two of them ``fine_tuning`` runs.
        rows: which per-sample rows quadratic methods use (PRUNING 0.2).
        samples: number of data set rows that build them.
        ridge: c of the ridge rule lambda = c mean ||A_i||^2 / p.
        fold: the constant that a removed node leaves behind: the middle of its interval over the Box (least proven
            bound) or its mean over the samples (less error on average).
        protect_inputs: never remove an input node.
        fine_tuning: training between and after the stages; none leaves the network as pruned.
    """

    method: MethodName
    sparsity: float | None = None
    parameters: int | None = None
    stages: int = 1
    schedule: ScheduleName = "exponential"
    initial_sparsity: float = 0.0
    rows: RowsName = "gauss_newton"
    samples: int = 1024
    ridge: float = 0.01
    fold: Literal["middle", "mean"] = "middle"
    protect_inputs: bool = True
    fine_tuning: TrainingSpec | None = None

    def __post_init__(self) -> None:
        if (self.sparsity is None) == (self.parameters is None):
            raise InvalidSpec("give either sparsity or parameters, not both and not neither", path="sparsity")
        if self.sparsity is not None and not 0.0 <= self.sparsity < 1.0:
            raise InvalidSpec(
                f"sparsity must be in [0, 1), got {self.sparsity!r}; 0.9 removes nine weights of ten",
                path="sparsity",
                bound=[0.0, 1.0],
            )
        if self.parameters is not None:
            require_range("parameters", self.parameters, 1, 1 << 30)
        require_range("stages", self.stages, 1, 1000)
        require_range("initial_sparsity", self.initial_sparsity, 0.0, 1.0)
        require_range("samples", self.samples, 1, 1 << 22)
        require_range("ridge", self.ridge, 0.0, 1e6)

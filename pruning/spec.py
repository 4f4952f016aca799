"""How a network is pruned and repaired. Torch-free."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_range
from surrogate.spec import Adam, TrainingSpec

# Sub-boxes of the Box for significance: all their intervals are held at once, a gigabyte for eight layers of 512 nodes.
MAXIMUM_SPLITS = 4096
# Scores of one stage: NTK-SAP's own 20 rounds with 500 draws each; who asks for more has misplaced a digit.
MAXIMUM_SCORES = 10_000

MethodName = Literal[
    "magnitude",
    "magnitude_layerwise",
    "magnitude_neuron",
    "salience",
    "salience_per_sample",
    "random",
    "random_neuron",
    "significance",
    "obd",
    "obs",
    "obs_greedy",
    "woodfisher",
    "woodtaylor",
    "mfac",
    "cbs",
    "chita",
    "sipp",
    "sipp_random",
    "sipp_hybrid",
    "pfp",
    "pfp_top",
    "pfp_random",
    "alds",
    "snip",
    "snip_iterative",
    "grasp",
    "synflow",
    "ntk_sap",
    "ntk_sap_exact",
    "set",
    "rigl",
]
ScheduleName = Literal["exponential", "polynomial", "linear", "constant", "geometric", "linear_density", "inverse"]
RowsName = Literal["gauss_newton", "sobolev", "fisher"]
LineSearchName = Literal["trial", "exact"]
GreekName = Literal["value", "delta", "gamma"]


class DynamicSpec(Spec, frozen=True, kw_only=True):
    """How SET and RigL train while they prune and regrow; the masks rest for the last quarter of training.

    Args:
        optimiser: mini-batch Adam; SET updates the masks after every epoch.
        fraction: share of a layer's weights that is replaced at an update; RigL lowers it to 0 along a cosine.
        interval: RigL updates the masks every so many steps (its authors: 100 of 32,000).
    """

    optimiser: Adam = Adam()
    fraction: float = 0.3
    interval: int = 20

    def __post_init__(self) -> None:
        require_range("fraction", self.fraction, 0.0, 1.0)
        require_range("interval", self.interval, 1, 1 << 30)


class PruningSpec(Spec, frozen=True, kw_only=True):
    """One pruning run: a method of `pruning.methods.METHODS`, a target and a schedule.

    Give either ``sparsity`` or ``parameters``. Nodes come and go whole: a few parameters of a budget may stay unused.

    Args:
        method: which; `sobolite methods` says what each does.
        sparsity: share of what the method removes, weights without biases or nodes, in [0, 1).
        parameters: largest number of weights and biases left, after `pruning.compact`.
        stages: number of prune steps along the schedule; between two of them ``fine_tuning`` runs.
        schedule: how the sparsity grows from stage to stage (`pruning.schedules`).
        initial_sparsity: where the schedule starts.
        rows: which per-sample rows quadratic methods use (`pruning.rows`).
        samples: number of data set rows that build them.
        ridge: c of the ridge rule lambda = c mean ||A_i||^2 / p.
        fold: the constant that a removed node leaves behind: the middle of its interval over the Box (least proven
            bound) or its mean over the samples (less error on average, on deep networks by far).
        protect_inputs: never remove an input node.
        fine_tuning: training between and after the stages; none leaves the network as pruned.
        block: quadratic methods treat so many consecutive weights of a layer together; none means all of them.
        rounds: scoring rounds within a stage, for methods that have them; none means the method's own number.
        draws: random repetitions that scores are averaged over (NTK-SAP).
        refinement: what CHITA does to its local optimum: swaps of weights inside for weights outside, or elimination of
            weights one block after the other from a support twice as large. "auto" eliminates where at most 1,000
            weights are to stay after a single stage: beyond, it costs seconds and gains little.
        targets: the outputs whose significance counts; several add up, each as a share of its total.
        splits: sub-boxes of the Box over which significances are enclosed one by one.
        enclosure: interval arithmetic, or the tighter affine bounds, for significance.
        gradient_term: whether the quadratic model of the loss has its gradient, e of b = A w - e (CHITA). By default
            "gauss_newton" and "sobolev" rows of values have it, class labels in several stages, "fisher" rows never:
            there e is 1 for every sample, fitted or not, and each asks for a step of the same size.
        line_search: how CHITA finds the step of its descent: two trial supports and of each the exact minimum, the
            default, or the exact minimum over all supports along the ray ("exact", for small networks).
        safeguard: whether what the quadratic model asks for is held against the loss of the samples, the default: steps
            of OBS, CBS and CHITA are halved where they go too far, and CHITA in one stage takes the best of ``ridge``,
            10 and 100 times it.
        retraining: where a stage starts: from the stage before (cascade), from the given network (one_shot), or from
            the stage's mask on the weights of an earlier network (rewind) or on random ones (random).
        dynamics: how SET and RigL train.
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
    block: int | None = None
    rounds: int | None = None
    draws: int = 1
    refinement: Literal["auto", "none", "swap", "elimination"] = "auto"
    gradient_term: bool | UnsetType = UNSET
    line_search: LineSearchName | UnsetType = UNSET
    safeguard: bool | UnsetType = UNSET
    targets: tuple[GreekName, ...] = ("value",)
    splits: int = 1
    enclosure: Literal["interval", "affine"] = "interval"
    retraining: Literal["cascade", "one_shot", "rewind", "random"] = "cascade"
    dynamics: DynamicSpec = DynamicSpec()

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
        require_range("draws", self.draws, 1, MAXIMUM_SCORES)
        require_range("splits", self.splits, 1, MAXIMUM_SPLITS)
        if self.block is not None:
            require_range("block", self.block, 1, 1 << 30)
        if self.rounds is not None:
            require_range("rounds", self.rounds, 1, MAXIMUM_SCORES)
        scores = (self.rounds or 1) * self.draws
        if scores > MAXIMUM_SCORES:
            raise InvalidSpec(
                f"rounds times draws must be at most {MAXIMUM_SCORES}, got {scores}; every round draws anew",
                path="rounds",
                bound=MAXIMUM_SCORES,
            )
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise InvalidSpec("targets: name at least one of value, delta, gamma, each once", path="targets")

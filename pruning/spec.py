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
# NTK-SAP: standard deviation of the perturbation of weights (Wang, Li & Sun 2023), and how many inputs share weights:
# the paper has 1, its experiments 256. New weights cost less than the passes of their inputs from about 64 on.
PERTURBATION = 0.01
SHARED = 64

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


# Methods with a bound of the error of every sum, and the chance of failure that they are given by default.
PROMISING: tuple[MethodName, ...] = ("pfp_random", "sipp_random")
FAILURE = 0.1
# Methods that remove nodes, and those that put products of low rank in the place of layers: no shape is left to rewind.
NODE_METHODS: tuple[MethodName, ...] = (
    "magnitude_neuron",
    "random_neuron",
    "significance",
    "pfp",
    "pfp_top",
    "pfp_random",
)
FACTORING: tuple[MethodName, ...] = ("alds",)
# A path of the greedy surgeon has as many steps as a block has weights, each of up to its square: seconds so large.
LARGEST_GREEDY_BLOCK = 2048


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

    Give one of ``sparsity``, ``parameters`` and, to PFP and SiPP, ``relative_error``. Nodes come and go whole: a few
    parameters of a budget may stay unused.

    Args:
        method: which; `sobolite methods` says what each does.
        sparsity: share of what the method removes, weights without biases or nodes, in [0, 1).
        parameters: largest number of weights and biases left, after `pruning.compact`.
        stages: number of prune steps along the schedule; between two of them ``fine_tuning`` runs.
        schedule: how the sparsity grows from stage to stage (`pruning.counting.schedules`).
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
        epsilon: NTK-SAP: standard deviation of the perturbation of weights, by default 0.01.
        kernel_inputs: NTK-SAP: where the tangent kernel is taken: at random normals, by default, or at the samples.
        kernel_weights: NTK-SAP: at weights drawn anew, by default, or at the given ones: the score of one fixed kernel.
        kernel_sharing: NTK-SAP: so many inputs share weights and perturbation, by default 64; 1 draws new ones for
            every input, the number of inputs one set for all.
        relative_error: PFP and SiPP: the target is as few nodes or weights as a theorem needs for every output to be
            right to this share of itself; in practice it needs them all (docs/choosing-a-method.md).
        failure: the chance that the theorem leaves for an output to be further off, by default 0.1.
        allocation: PFP: how many nodes each layer keeps: as many as one accuracy for all of them asks for, by default,
            or the same share of each.
        importance: `magnitude_neuron`: which nodes matter: those of the largest row in the 2-norm, by default, or in
            the 1-norm, or those that alone come nearest to all that their readers are given (thinet).
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
    epsilon: float | UnsetType = UNSET
    kernel_inputs: Literal["random", "data"] | UnsetType = UNSET
    kernel_weights: Literal["drawn", "given"] | UnsetType = UNSET
    kernel_sharing: int | UnsetType = UNSET
    relative_error: float | UnsetType = UNSET
    failure: float | UnsetType = UNSET
    allocation: Literal["accuracy", "uniform"] | UnsetType = UNSET
    importance: Literal["l2", "l1", "thinet"] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.relative_error is not UNSET:
            self._require_promise(self.relative_error)
        elif (self.sparsity is None) == (self.parameters is None):
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
        if self.sparsity is not None and self.initial_sparsity > self.sparsity:
            raise InvalidSpec(
                f"initial_sparsity must be at most the target, sparsity = {self.sparsity!r}, got "
                f"{self.initial_sparsity!r}; start below it",
                path="initial_sparsity",
                bound=self.sparsity,
            )
        if self.retraining == "rewind" and self.method in (*NODE_METHODS, *FACTORING):
            raise InvalidSpec(
                f"retraining: 'rewind' needs a method that removes weights and keeps the shape, got {self.method}; use "
                "'random' or another",
                path="retraining",
            )
        require_range("samples", self.samples, 1, 1 << 22)
        require_range("ridge", self.ridge, 0.0, 1e6)
        require_range("draws", self.draws, 1, MAXIMUM_SCORES)
        require_range("splits", self.splits, 1, MAXIMUM_SPLITS)
        if self.block is not None:
            require_range("block", self.block, 1, LARGEST_GREEDY_BLOCK if self.method == "obs_greedy" else 1 << 30)
        if self.rounds is not None:
            require_range("rounds", self.rounds, 1, MAXIMUM_SCORES)
        require_range("epsilon", self.perturbation, 1e-8, 1e3)
        require_range("kernel_sharing", self.inputs_per_draw, 1, 1 << 30)
        scores = (self.rounds or 1) * self.draws * max(1, SHARED // self.inputs_per_draw)
        if scores > MAXIMUM_SCORES:
            raise InvalidSpec(
                f"rounds times draws must be at most {MAXIMUM_SCORES}, got {scores}; every round draws anew, "
                f"and fewer than {SHARED} inputs that share weights count for more",
                path="rounds",
                bound=MAXIMUM_SCORES,
            )
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise InvalidSpec("targets: name at least one of value, delta, gamma, each once", path="targets")

    def _require_promise(self, error: float) -> None:
        """Raise InvalidSpec unless a relative error is the only target, of a single cut that can promise it."""
        require_range("relative_error", error, 1e-12, 1e12)
        if self.failure is not UNSET:
            require_range("failure", self.failure, 1e-300, 1.0)
        if self.sparsity is not None or self.parameters is not None or self.stages > 1 or self.initial_sparsity > 0.0:
            raise InvalidSpec(
                "relative_error is a target by itself: leave out sparsity, parameters, stages and initial_sparsity",
                path="relative_error",
            )
        if self.method not in PROMISING:
            raise InvalidSpec(
                f"relative_error is a target of {', '.join(PROMISING)}, not of {self.method}; give another",
                path="relative_error",
            )

    @property
    def promise(self) -> tuple[float, float] | None:
        """The relative error that outputs keep, and the chance that they do not; None without such a target."""
        error, failure = self.relative_error, self.failure
        return None if error is UNSET else (error, FAILURE if failure is UNSET else failure)

    @property
    def perturbation(self) -> float:
        """Standard deviation of NTK-SAP's perturbation."""
        return PERTURBATION if self.epsilon is UNSET else self.epsilon

    @property
    def at_samples(self) -> bool:
        """Whether NTK-SAP takes the kernel at the samples."""
        return self.kernel_inputs == "data"

    @property
    def at_given_weights(self) -> bool:
        """Whether NTK-SAP takes the kernel at the given weights."""
        return self.kernel_weights == "given"

    @property
    def inputs_per_draw(self) -> int:
        """How many inputs share NTK-SAP's weights."""
        return SHARED if self.kernel_sharing is UNSET else self.kernel_sharing

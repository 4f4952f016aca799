"""What is learnt and how: network, loss, optimisers, export. Torch-free."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, Spec, require_at_most, require_range, require_terms

MAXIMUM_WIDTH = 4096
MAXIMUM_DEPTH = 32
# Of a term of the loss against that of the values: beyond, the values are lost to rounding.
MAXIMUM_WEIGHT = 1e6
MAXIMUM_OPTIMISERS = 16
# Levenberg-Marquardt solves for all parameters together: the J^T J of more of them costs more than it gains.
MAXIMUM_SECOND_ORDER = 1500
# From 15 or so on, the normal equations of evenly spread samples are singular to rounding and the ridge decides.
MAXIMUM_DEGREE = 24
# Files that a learnt flow is exported to.
SAMPLER, DENSITY = "sampler.onnx", "density.onnx"


def require_axes(axes: int, inputs: int) -> None:
    """Raise InvalidSpec for more axes than there are inputs to find them among."""
    if axes > inputs:
        raise InvalidSpec(f"axes must be at most {inputs} (features), got {axes}", path="axes", bound=inputs)


class NetworkSpec(Spec, frozen=True, kw_only=True):
    """Hidden widths and activation of the surrogate's MLP, and what it sees.

    Args:
        hidden: neurons of each hidden layer.
        activation: of every hidden neuron.
        inputs: "features" all of them; "differential_pca" only their coordinates on the principal axes of the delta
            labels (`surrogate.learning.differential_pca`), for baskets of many assets.
        axes: how many of them; 0 takes the fewest that lose at most ``lost_gradient``.
        lost_gradient: share of the second moment of the delta labels that may lie outside the axes.
    """

    hidden: tuple[int, ...] = (3, 3)
    activation: Literal["silu", "softplus", "tanh"] = "silu"
    inputs: Literal["features", "differential_pca"] = "features"
    axes: int = 0
    lost_gradient: float = 1e-6

    def __post_init__(self) -> None:
        require_range("axes", self.axes, 0, MAXIMUM_ASSETS)
        require_range("lost_gradient", self.lost_gradient, 0.0, 1.0)
        if not 1 <= len(self.hidden) <= MAXIMUM_DEPTH:
            raise InvalidSpec(
                f"hidden: give 1 to {MAXIMUM_DEPTH} layers, got {len(self.hidden)}",
                path="hidden",
                bound=[1, MAXIMUM_DEPTH],
            )
        for i, width in enumerate(self.hidden):
            if not 1 <= width <= MAXIMUM_WIDTH:
                raise InvalidSpec(
                    f"hidden[{i}] must be 1 to {MAXIMUM_WIDTH} neurons, got {width}",
                    path=f"hidden[{i}]",
                    bound=[1, MAXIMUM_WIDTH],
                )

    def parameters(self, inputs: int) -> int:
        """Weights and biases to train on that many features; as if all were inputs where the axes are still unknown."""
        if self.inputs == "differential_pca" and self.axes:
            inputs = min(inputs, self.axes)
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths(inputs)))

    def require_size(self, inputs: int) -> None:
        """Raise InvalidSpec for more axes than inputs."""
        if self.inputs == "differential_pca":
            require_axes(self.axes, inputs)

    def widths(self, inputs: int) -> tuple[int, ...]:
        """Inputs, hidden layers and the one output."""
        return (inputs, *self.hidden, 1)


class PolynomialSpec(Spec, frozen=True, kw_only=True):
    """A polynomial in place of a network: least squares on values and deltas, solved at once (`pricing.regression`).

    Args:
        degree: of all inputs together. A call near its strike takes 9 on one axis for gammas of three digits.
        inputs: what it sees, as of a network (`NetworkSpec`); few inputs have few terms.
        axes: as of a network.
        lost_gradient: as of a network.
        derivative_weight: of the deltas against the values, each normalised to unit second moment; 0 fits values alone.
        ridge: rho of the added rho |b|^2, as a share of the largest eigenvalue of the normal equations; by default
            chosen on samples held out.
    """

    degree: int = 9
    inputs: Literal["features", "differential_pca"] = "differential_pca"
    axes: int = 0
    lost_gradient: float = 1e-6
    derivative_weight: float = 1.0
    ridge: float | None = None

    def __post_init__(self) -> None:
        require_range("degree", self.degree, 2, MAXIMUM_DEGREE)
        require_range("axes", self.axes, 0, MAXIMUM_ASSETS)
        require_range("lost_gradient", self.lost_gradient, 0.0, 1.0)
        require_range("derivative_weight", self.derivative_weight, 0.0, MAXIMUM_WEIGHT)
        if self.ridge is not None:
            require_range("ridge", self.ridge, 0.0, 1.0)

    @property
    def order(self) -> int:
        """How many derivatives the labels must have."""
        return 1 if self.derivative_weight > 0.0 or self.inputs == "differential_pca" else 0

    def require_size(self, inputs: int) -> None:
        """Raise InvalidSpec for too many terms or axes; axes to be found are counted when they are."""
        if self.inputs == "differential_pca":
            require_axes(self.axes, inputs)
        if self.inputs == "features" or self.axes:
            require_terms(self.degree, min(inputs, self.axes) if self.inputs == "differential_pca" else inputs)


class SobolevLoss(Spec, frozen=True, kw_only=True):
    """Weights of the value, delta and curvature terms, each normalised to unit second moment (Huge & Savine 2020).

    Args:
        order: 0 fits values, 1 also deltas, 2 also curvature along the label directions.
        delta_weight: of the delta term, >= 0; the value term has weight 1.
        curvature_weight: of the curvature term, >= 0.
    """

    order: Literal[0, 1, 2] = 1
    delta_weight: float = 1.0
    curvature_weight: float = 0.3

    def __post_init__(self) -> None:
        require_range("delta_weight", self.delta_weight, 0.0, MAXIMUM_WEIGHT)
        require_range("curvature_weight", self.curvature_weight, 0.0, MAXIMUM_WEIGHT)


class Adam(Spec, frozen=True, kw_only=True, tag_field="kind", tag="adam"):
    """Mini-batch Adam (Kingma & Ba 2015) under a learning-rate schedule.

    Args:
        epochs: passes over the samples.
        batch: samples of one step.
        learning_rate: the largest of the schedule.
        schedule: "cosine" from learning_rate to 0; "one_cycle" of Huge & Savine (up to 20 %, down to 60 %, tail).
        single_precision: whether to train in float32.
    """

    epochs: int = 100
    batch: int = 256
    learning_rate: float = 1e-2
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    single_precision: bool = False

    def __post_init__(self) -> None:
        require_range("epochs", self.epochs, 1, 1_000_000)
        require_range("batch", self.batch, 1, 1 << 22)
        require_range("learning_rate", self.learning_rate, 1e-12, 10.0)


class LBFGS(Spec, frozen=True, kw_only=True, tag_field="kind", tag="lbfgs"):
    """Full-batch L-BFGS with strong Wolfe line search (Liu & Nocedal 1989).

    Args:
        iterations: at most.
        history: steps that the inverse Hessian is estimated from.
        single_precision: whether to train in float32.
    """

    iterations: int = 500
    history: int = 50
    single_precision: bool = False

    def __post_init__(self) -> None:
        require_range("iterations", self.iterations, 1, 1_000_000)
        require_range("history", self.history, 1, 10_000)


class LevenbergMarquardt(Spec, frozen=True, kw_only=True, tag_field="kind", tag="levenberg_marquardt"):
    """Damped Gauss-Newton on all residuals (Marquardt 1963) from several starts, for small networks.

    Args:
        starts: random starts; the given network is the first unless it is to be initialised.
        short: iterations that every start gets.
        finalists: how many of the best starts go on.
        long: iterations that the finalists get after that.
        ridge: rho of the added rho ||theta||^2 in normalised units; a brake against noisy labels.
    """

    starts: int = 8
    short: int = 40
    finalists: int = 2
    long: int = 300
    ridge: float = 0.0

    def __post_init__(self) -> None:
        for name in ("starts", "short", "finalists", "long"):
            require_range(name, getattr(self, name), 1, 1_000_000)
        require_range("ridge", self.ridge, 0.0, 1e3)


Optimiser = Adam | LBFGS | LevenbergMarquardt


class TrainingSpec(Spec, frozen=True, kw_only=True):
    """A loss and the optimisers that minimise it, one after the other.

    Args:
        loss: what is minimised.
        optimisers: one after the other, each from where the one before stopped.
        ridge: rho of the added rho ||theta||^2 in normalised units, for every optimiser; a brake against noisy labels.
            "auto" chooses it on samples held out. By default 0 for simulated labels and "auto" for a dataset.
    """

    loss: SobolevLoss = SobolevLoss()
    optimisers: tuple[Optimiser, ...] = (LevenbergMarquardt(),)
    ridge: float | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if not self.optimisers:
            raise InvalidSpec("optimisers: give at least one", path="optimisers")
        require_at_most("optimisers", self.optimisers, MAXIMUM_OPTIMISERS)
        if isinstance(self.ridge, float):
            require_range("ridge", self.ridge, 0.0, 1e3)


# Points where nobody says how many and the reference takes no time to speak of.
USUAL_SAMPLES = 4096
# The most that a budget buys where nobody says how many, and the entries of their Hessians, 256 MB.
MOST_SAMPLES, HESSIAN_ENTRIES = 1 << 16, 1 << 25


class EvaluationSpec(Spec, frozen=True, kw_only=True):
    """How a surrogate is judged: samples in the Box against an independent reference.

    Args:
        samples: points of the Box; if not given, 4,096, or what a reference that simulates makes in two minutes, but
            128 at least; with a budget as many as it buys.
        seconds: that the reference may take, of the clock; where they are over before all samples are judged, report,
            card and commands warn, and the report is the same again only if as many were made.
        tolerance: accepted violation of a shape statement, as a share of the largest value, of 1 (delta) or of the
            largest gamma.
    """

    samples: int | UnsetType = UNSET
    tolerance: float = 1e-4
    seconds: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.samples is not UNSET:
            require_range("samples", self.samples, 4, 1 << 20)
        if self.seconds is not UNSET:
            require_range("seconds", self.seconds, 1.0, 1e6)
        require_range("tolerance", self.tolerance, 0.0, 1.0)

    @property
    def usual(self) -> int:
        """As many samples as it says, or as are usual."""
        return USUAL_SAMPLES if self.samples is UNSET else self.samples

    def most(self, dimension: int) -> int:
        """As many samples as may be judged, of so many features; memory limits those that a budget alone buys."""
        if self.seconds is UNSET or self.samples is not UNSET:
            return self.usual
        return max(4, min(MOST_SAMPLES, HESSIAN_ENTRIES // dimension**2))


class ExportSpec(Spec, frozen=True, kw_only=True):
    """What is written beside the graph in double precision.

    Args:
        float32: also write a single-precision graph, with its measured loss in the manifest.
    """

    float32: bool = False

"""What is learnt and how: network, loss, optimisers, export. Torch-free."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pricing.errors import InvalidSpec
from pricing.spec import Spec, require_finite, require_range

MAXIMUM_WIDTH = 4096
MAXIMUM_DEPTH = 32
# Levenberg-Marquardt solves for all parameters together: the J^T J of more of them costs more than it gains.
MAXIMUM_SECOND_ORDER = 1500


class NetworkSpec(Spec, frozen=True, kw_only=True):
    """Hidden widths and activation of the surrogate's MLP."""

    hidden: tuple[int, ...] = (3, 3)
    activation: Literal["silu", "softplus", "tanh"] = "silu"

    def __post_init__(self) -> None:
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
        """Weights and biases of the network on that many inputs."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise((inputs, *self.hidden, 1)))


class SobolevLoss(Spec, frozen=True, kw_only=True):
    """Weights of the value, delta and curvature terms, each normalised to unit second moment (Huge & Savine 2020).

    order: 0 fits values, 1 also deltas, 2 also curvature along the label directions.
    """

    order: Literal[0, 1, 2] = 1
    delta_weight: float = 1.0
    curvature_weight: float = 0.3

    def __post_init__(self) -> None:
        require_finite("delta_weight", (self.delta_weight,))
        require_finite("curvature_weight", (self.curvature_weight,))
        if self.delta_weight < 0.0 or self.curvature_weight < 0.0:
            raise InvalidSpec("delta_weight and curvature_weight must be >= 0", path="delta_weight", bound=0.0)


class Adam(Spec, frozen=True, kw_only=True, tag_field="kind", tag="adam"):
    """Mini-batch Adam (Kingma & Ba 2015) under a learning-rate schedule.

    schedule: "cosine" from learning_rate to 0; "one_cycle" of Huge & Savine (up to 20 %, down to 60 %, tail).
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
    """Full-batch L-BFGS with strong Wolfe line search (Liu & Nocedal 1989)."""

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
        short: iterations every start gets; long: iterations the best ``finalists`` get after that.
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
    """A loss and the optimisers that minimise it, one after the other."""

    loss: SobolevLoss = SobolevLoss()
    optimisers: tuple[Optimiser, ...] = (LevenbergMarquardt(),)

    def __post_init__(self) -> None:
        if not self.optimisers:
            raise InvalidSpec("optimisers: give at least one", path="optimisers")


class EvaluationSpec(Spec, frozen=True, kw_only=True):
    """How a surrogate is judged: samples in the Box against an independent reference.

    tolerance: accepted violation of a shape statement, as a share of the largest value, of 1 (delta) or of the largest
        gamma.
    """

    samples: int = 4096
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        require_range("samples", self.samples, 16, 1 << 20)
        require_range("tolerance", self.tolerance, 0.0, 1.0)


class ExportSpec(Spec, frozen=True, kw_only=True):
    """float32: also write a single-precision graph, with its measured loss in the manifest."""

    float32: bool = False

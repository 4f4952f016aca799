"""How a data set of labels is simulated."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, MAXIMUM_PATHS, MAXIMUM_SAMPLES, Spec, require_power_of_two, require_range
from pricing.specs.draws import Draws
from pricing.specs.estimator import Automatic, Estimator, Pathwise
from pricing.specs.sampler import MoneynessSampler, Sampler, TableSampler

# Payoffs on paths of one data set: a million million take hours; who asks for more has misplaced a digit.
MAXIMUM_EVALUATIONS = 1 << 40
# Labels that are only looked at cost a tenth of those that are learnt from, and a thousand say it to a few percent.
HELD_OUT_SHARE, MOST_HELD_OUT = 16, 1024


class LabelSpec(Spec, frozen=True, kw_only=True):
    """How a data set of labels is simulated, or taken from a published model.

    Args:
        model: a published version, NAME or NAME@VERSION, whose values, deltas and curvatures are the labels at the
            samples; paths, replicates, draws and estimator are then of no account. By default labels are simulated.
        samples: N, number of feature vectors (power of two).
        paths: M, paths of one replicate (power of two).
        replicates: R independent scrambles or streams; the label is their mean and its standard error
            sd / sqrt(R). With 1 replicate no error is measured.
        draws: where the random normals of a path come from.
        estimator: how a path becomes a label.
        sampler: where in the Box labels are made.
        directions: number of curvature directions a sample, 0 for none.
        direction_law: "random" (unit second moment, Hutchinson) or "pca" (principal axes of the delta labels).
        order: 0 value; 1 and delta; 2 and curvature along the directions.
        held_out: samples labelled beside those that are learnt from, by draws of their own, for the losses that the
            training shows on its way (power of two, or 0 for none). By default a sixteenth of the samples and at most
            1,024; none where states must be learnt or an exercise rule fitted for it.
    """

    model: str | UnsetType = UNSET
    samples: int = 512
    paths: int = 4096
    replicates: int = 8
    draws: Draws = Draws()
    estimator: Estimator = Automatic()
    sampler: Sampler = MoneynessSampler()
    order: Literal[0, 1, 2] = 2
    directions: int = 1
    direction_law: Literal["random", "pca"] = "pca"
    held_out: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_power_of_two("samples", self.samples, MAXIMUM_SAMPLES)
        require_power_of_two("paths", self.paths, MAXIMUM_PATHS)
        if not 1 <= self.replicates <= 64:
            raise InvalidSpec(f"replicates must be 1 to 64, got {self.replicates}", path="replicates", bound=[1, 64])
        evaluations = self.samples * self.paths * self.replicates
        if evaluations > MAXIMUM_EVALUATIONS:
            raise InvalidSpec(
                f"samples times paths times replicates must be at most {MAXIMUM_EVALUATIONS}, got {evaluations}; more "
                "replicates of fewer samples say as much",
                path="samples",
                bound=MAXIMUM_EVALUATIONS,
            )
        if self.draws.source == "antithetic" and self.paths < 2:
            raise InvalidSpec("paths must be at least 2 for antithetic draws", path="paths", bound=2)
        if self.order == 2 and self.teacher is None and isinstance(self.estimator, Pathwise):
            raise InvalidSpec(
                "order = 2 needs a smooth estimator: the kink of a raw payoff has no curvature on any path",
                path="order",
            )
        if self.order == 2 and not self.directions >= 1:
            raise InvalidSpec(
                f"directions must be at least 1 for order = 2, got {self.directions}", path="directions", bound=1
            )
        require_range("directions", self.directions, 0, MAXIMUM_ASSETS)
        if self.held_out is not UNSET and self.held_out != 0:
            require_power_of_two("held_out", self.held_out, self.samples)
            if isinstance(self.sampler, TableSampler):
                raise InvalidSpec(
                    "held_out: samples that follow a table of states are all learnt from; leave it out",
                    path="held_out",
                    bound=0,
                )

    def require_directions(self, features: int) -> None:
        """Raise InvalidSpec where the delta labels of that many features have fewer principal axes than directions."""
        if self.order == 2 and self.direction_law == "pca" and self.directions > features:
            raise InvalidSpec(
                f"directions must be at most {features} (features) for 'pca', got {self.directions}",
                path="directions",
                bound=features,
            )

    def unseen(self, *, fitted: bool) -> int:
        """How many samples are held out.

        Args:
            fitted: whether the estimator fits an exercise rule first.
        """
        if self.held_out is not UNSET:
            return self.held_out
        if fitted or isinstance(self.sampler, TableSampler):
            return 0
        return min(MOST_HELD_OUT, self.samples // HELD_OUT_SHARE)

    @property
    def teacher(self) -> str | None:
        """The model that gives the labels; None where they are simulated."""
        return None if self.model is UNSET else self.model

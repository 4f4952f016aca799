"""What a build is told: `sobolite build` and a train job run it. Torch-free."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from app.specification.choices import Choice, first_choice
from app.specification.dataset import DatasetSource
from app.specification.name import require_name, split_reference
from app.specification.requirements import pruning_orders, require_order, require_states
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_range
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_fit
from pruning.spec import PruningSpec
from surrogate.requirement import Accuracy, AccuracyLevel, Requirement, required
from surrogate.spec import (
    MAXIMUM_SECOND_ORDER,
    EvaluationSpec,
    ExportSpec,
    LevenbergMarquardt,
    NetworkSpec,
    PolynomialSpec,
    TrainingSpec,
)


class BuildSpec(Spec, frozen=True, kw_only=True):
    """label -> train -> prune -> fine-tune -> certify -> evaluate -> export -> publish, all from one seed.

    Args:
        name: of the model: 1 to 64 of a-z, 0-9, "_", "-".
        seed: of every random number.
        problem: what is priced, simulated as ``labels`` say and judged by its reference; this or a dataset, or both.
            Where labels, network and training are left out the build chooses all three, and the report says why.
        dataset: where labels of somebody else's pricer are. Without a problem some of its rows are held out to judge
            by; beside one all of them are learnt from in place of simulated labels.
        labels: how labels are simulated, or the model that they are taken from.
        network: what is learnt.
        training: how it is learnt.
        polynomial: what is learnt in place of a network; ``network``, ``training`` and ``pruning`` are left out then.
        control: "none" learns the value itself. By default the difference to a closed form is learnt where one is near,
            and the graph adds it again (`surrogate.reductions.control`): of calls, puts and digitals with positive
            weights on two Black-Scholes assets and more, or on any under Heston.
        pruning: how the trained network is pruned; none leaves it whole.
        evaluation: how it is judged.
        export: what is written beside the graph in double precision.
        accuracy: what a version must reach before it is published: "normal" (the default), "high", or least R2 of your
            own. Labels of a dataset have noise that nobody knows: without a problem nothing is required by default.
        publish_anyway: whether what does not reach it is published all the same, marked as such.
    """

    name: str
    seed: int
    problem: PricingProblem | None = None
    dataset: DatasetSource | None = None
    labels: LabelSpec = LabelSpec()
    network: NetworkSpec = NetworkSpec()
    training: TrainingSpec = TrainingSpec()
    polynomial: PolynomialSpec | None = None
    control: Literal["none"] | UnsetType = UNSET
    pruning: PruningSpec | None = None
    evaluation: EvaluationSpec = EvaluationSpec()
    export: ExportSpec = ExportSpec()
    accuracy: AccuracyLevel | Accuracy | UnsetType = UNSET
    publish_anyway: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        require_name(self.name)
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        require_source(self)
        require_learner(self)
        if self.problem is None and self.dataset is not None and not self.dataset.features:
            return  # its size is known when its Box is: `app.datasets.lookup.settle_dataset`
        if self.chooses:
            first_choice(self.pricing)
            return
        if self.dataset is None and self.labels.teacher is None:
            require_fit(self.pricing, self.labels)
        if self.dataset is None or self.labels.teacher is not None:
            for field, order in self.orders:
                require_order(field, order, self.labels)
            require_states(self.labels, self.box)
        if self.polynomial is None:  # the size of a polynomial is that of its inputs: `app.pipeline.label`
            require_size(self)

    @property
    def orders(self) -> tuple[tuple[str, int], ...]:
        """How many derivatives of the labels are needed, by the field that says so."""
        if self.polynomial is not None:
            return (("polynomial", self.polynomial.order),)
        seen = 1 if self.network.inputs == "differential_pca" else 0
        pruned = () if self.pruning is None else pruning_orders(self.pruning)
        return (("training.loss", self.training.loss.order), ("network.inputs", seen), *pruned)

    @property
    def chooses(self) -> bool:
        """Whether the build chooses labels, network and training by itself: where nothing is said of any of them."""
        given = (self.labels, self.network, self.training) != (LabelSpec(), NetworkSpec(), TrainingSpec())
        return not given and self.problem is not None and self.dataset is None and self.polynomial is None

    def with_choice(self, choice: Choice) -> BuildSpec:
        """The build with what a round of it takes."""
        return replace(self, labels=choice.labels, network=choice.network, training=choice.training)

    @property
    def level(self) -> AccuracyLevel:
        """How far a build goes that chooses by itself."""
        return self.accuracy if isinstance(self.accuracy, str) else "normal"

    @property
    def requirement(self) -> Requirement | None:
        """What a version must reach; None where nothing is required."""
        if self.problem is None and self.accuracy is UNSET:
            return None
        return required(self.accuracy, features=self.box.dimension)

    @property
    def box(self) -> Box:
        """The domain of the surrogate.

        Raises:
            InvalidSpec: that of a dataset which has not been looked up yet.
        """
        return self.pricing.box if self.dataset is None or self.problem is not None else self.dataset.box

    @property
    def pricing(self) -> PricingProblem:
        """The problem that is simulated.

        Raises:
            InvalidSpec: there is none, the labels are a dataset's.
        """
        if self.problem is None:
            raise InvalidSpec("problem: this needs one to price, and the build has only a dataset", path="problem")
        return self.problem


def require_source(build: BuildSpec) -> None:
    """Raise InvalidSpec unless the labels come from one place and the Box is said once."""
    labels = build.labels
    if labels.teacher is not None:
        split_reference(labels.teacher, "labels.model")
    if build.problem is None and build.dataset is None:
        raise InvalidSpec("problem: give a problem to price or a dataset of labels", path="problem")
    if build.dataset is None:
        return
    if labels != LabelSpec() and (labels.teacher is None or build.problem is not None):
        raise InvalidSpec("labels: a dataset brings its own; leave them out", path="labels")
    if build.problem is not None and build.dataset.features not in ((), build.problem.box.features):
        raise InvalidSpec(
            "dataset.features: the Box is that of the problem, whose features the columns are; leave them out",
            path="dataset.features",
        )


def require_learner(build: BuildSpec) -> None:
    """Raise InvalidSpec where something is asked of a polynomial that only a network has."""
    if build.polynomial is None:
        return
    if build.pruning is not None:
        raise InvalidSpec(
            "pruning: a polynomial has no weights to prune; lower polynomial.degree or polynomial.axes for fewer terms",
            path="pruning",
        )
    if build.network != NetworkSpec() or build.training != TrainingSpec():
        raise InvalidSpec(
            "polynomial: it takes the place of the network and is not trained; leave out network and training",
            path="polynomial",
        )


def require_points(build: BuildSpec) -> None:
    """Raise InvalidSpec where fewer points are judged than its accuracy requires: it would never be published."""
    judged, asked = build.evaluation.samples, build.accuracy
    named = isinstance(asked, Accuracy) and asked.points is not UNSET
    needed = required(asked, features=0).points  # the same of any number
    if judged is UNSET or judged >= needed or build.publish_anyway is True:
        return
    raise InvalidSpec(
        f"evaluation.samples: {judged} points are judged and accuracy requires {needed} to say so; raise it, leave it "
        f"out, or {'lower' if named else 'give'} accuracy.points",
        path="accuracy.points" if named else "evaluation.samples",
        bound=judged if named else needed,
    )


def require_size(build: BuildSpec) -> None:
    """Raise InvalidSpec for more parameters than an optimiser of second order takes."""
    parameters = build.network.parameters(build.box.dimension)
    second_order = any(isinstance(optimiser, LevenbergMarquardt) for optimiser in build.training.optimisers)
    if second_order and parameters > MAXIMUM_SECOND_ORDER:
        raise InvalidSpec(
            f"training.optimisers: levenberg_marquardt takes up to {MAXIMUM_SECOND_ORDER} parameters and this "
            f"network has {parameters}; use lbfgs or adam",
            path="training.optimisers",
            bound=MAXIMUM_SECOND_ORDER,
        )

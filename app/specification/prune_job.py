"""What a prune job is told. Torch-free."""

from __future__ import annotations

from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.dataset import DatasetSource
from app.specification.name import require_name, split_reference
from app.specification.requirements import pruning_orders, require_order, require_states
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, require_range
from pricing.specs.labels import LabelSpec
from pruning.spec import PruningSpec


class PruneJobSpec(Spec, frozen=True, kw_only=True):
    """Prune a published version and publish the result as a new version of the same name.

    Evaluation and export follow the specification in the version's manifest.

    Args:
        model: name of the model.
        pruning: how it is pruned.
        version: number or alias of the version to prune.
        seed: of every random number.
        labels: how labels are simulated, or the model that they are taken from; by default as those of the version.
        dataset: labels of somebody else's pricer to learn from, with the columns of the version's features.
    """

    model: str
    pruning: PruningSpec
    version: int | str = "champion"
    seed: int = 0
    labels: LabelSpec | None = None
    dataset: DatasetSource | None = None

    def __post_init__(self) -> None:
        require_name(self.model, "model")
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        if self.pruning.retraining == "rewind":
            raise InvalidSpec(
                "pruning.retraining: 'rewind' needs the network that training started from, which only a build has; "
                "use 'random' or another",
                path="pruning.retraining",
            )
        if self.labels is not None and self.dataset is not None:
            raise InvalidSpec("labels: a dataset brings its own; leave them out", path="labels")
        if self.labels is not None:
            if self.labels.teacher is not None:
                split_reference(self.labels.teacher, "labels.model")
            require_states(self.labels, None)
            for field, order in pruning_orders(self.pruning):
                require_order(field, order, self.labels)

    def changed(self, build: BuildSpec) -> BuildSpec:
        """The specification of a version with what the job changes.

        Raises:
            InvalidSpec: the result is no build.
        """
        changed = replace(build, seed=self.seed, pruning=self.pruning)
        if self.labels is not None:
            return replace(changed, labels=self.labels)
        if self.dataset is None:
            return changed
        dataset = self.dataset
        if build.dataset is not None and not dataset.features:
            dataset = replace(dataset, features=build.dataset.features)
        return replace(changed, labels=LabelSpec(), dataset=dataset)

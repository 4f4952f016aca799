"""Whole-job specifications: what `sobolite build` and a train or prune job run. Torch-free."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pricing.errors import InvalidSpec
from pricing.spec import LabelSpec, PricingProblem, Spec, load, require_range
from pruning.spec import PruningSpec
from surrogate.spec import (
    MAXIMUM_SECOND_ORDER,
    EvaluationSpec,
    ExportSpec,
    LevenbergMarquardt,
    NetworkSpec,
    TrainingSpec,
)

# A model name is a folder name and a URL segment; without a dot it is the name of no file of the registry.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


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


def require_labels(pruning: PruningSpec, labels: LabelSpec) -> None:
    """Raise InvalidSpec unless the labels hold what pruning and its fine-tuning need."""
    if pruning.rows == "sobolev":
        require_order("pruning.rows", 1, labels)
    if pruning.fine_tuning is not None:
        require_order("pruning.fine_tuning.loss", pruning.fine_tuning.loss.order, labels)


class BuildSpec(Spec, frozen=True, kw_only=True):
    """label -> train -> prune -> fine-tune -> evaluate -> export -> publish, all from one seed."""

    name: str
    seed: int
    problem: PricingProblem
    labels: LabelSpec = LabelSpec()
    network: NetworkSpec = NetworkSpec()
    training: TrainingSpec = TrainingSpec()
    pruning: PruningSpec | None = None
    evaluation: EvaluationSpec = EvaluationSpec()
    export: ExportSpec = ExportSpec()

    def __post_init__(self) -> None:
        require_name(self.name)
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        require_order("training.loss", self.training.loss.order, self.labels)
        if self.pruning is not None:
            require_labels(self.pruning, self.labels)
        parameters = self.network.parameters(self.problem.box.dimension)
        second_order = any(isinstance(optimiser, LevenbergMarquardt) for optimiser in self.training.optimisers)
        if second_order and parameters > MAXIMUM_SECOND_ORDER:
            raise InvalidSpec(
                f"training.optimisers: levenberg_marquardt takes up to {MAXIMUM_SECOND_ORDER} parameters and this "
                f"network has {parameters}; use lbfgs or adam",
                path="training.optimisers",
                bound=MAXIMUM_SECOND_ORDER,
            )


class PruneJobSpec(Spec, frozen=True, kw_only=True):
    """Prune a published version and publish the result as a new version of the same name.

    Labels, evaluation and export follow the specification in the version's manifest unless given here.
    """

    model: str
    pruning: PruningSpec
    version: int | str = "champion"
    seed: int = 0
    labels: LabelSpec | None = None

    def __post_init__(self) -> None:
        require_name(self.model, "model")
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        if self.labels is not None:
            require_labels(self.pruning, self.labels)


def read_build_spec(path: Path) -> BuildSpec:
    """A BuildSpec from a TOML file.

    Raises:
        InvalidSpec: the file is missing, is not TOML, or does not describe a build.
    """
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise InvalidSpec(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"{path} is not valid TOML: {error}") from error
    return load(BuildSpec, data)

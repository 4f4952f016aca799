"""Whole-job specifications: what `sobolite build` and a train or prune job run. Torch-free."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from app.errors import InvalidRequest
from app.specification.dataset import DatasetSource
from app.specification.feature_files import read_archive, read_features
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, load, require_range
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_fit
from pricing.specs.sampler import FlowSpec, TableSampler
from pruning.spec import PruningSpec
from surrogate.spec import (
    MAXIMUM_SECOND_ORDER,
    EvaluationSpec,
    ExportSpec,
    LevenbergMarquardt,
    NetworkSpec,
    PolynomialSpec,
    TrainingSpec,
)

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


def require_table(labels: LabelSpec, box: Box | None) -> None:
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


class BuildSpec(Spec, frozen=True, kw_only=True):
    """label -> train -> prune -> fine-tune -> certify -> evaluate -> export -> publish, all from one seed.

    Args:
        name: of the model: 1 to 64 of a-z, 0-9, "_", "-".
        seed: of every random number.
        problem: what is simulated as ``labels`` say; either this or a dataset.
        dataset: where labels of somebody else's pricer are; either this or a problem.
        labels: how labels are simulated.
        network: what is learnt.
        training: how it is learnt.
        polynomial: what is learnt in place of a network; ``network``, ``training`` and ``pruning`` are left out then.
        pruning: how the trained network is pruned; none leaves it whole.
        evaluation: how it is judged.
        export: what is written beside the graph in double precision.
    """

    name: str
    seed: int
    problem: PricingProblem | None = None
    dataset: DatasetSource | None = None
    labels: LabelSpec = LabelSpec()
    network: NetworkSpec = NetworkSpec()
    training: TrainingSpec = TrainingSpec()
    polynomial: PolynomialSpec | None = None
    pruning: PruningSpec | None = None
    evaluation: EvaluationSpec = EvaluationSpec()
    export: ExportSpec = ExportSpec()

    def __post_init__(self) -> None:
        require_name(self.name)
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        require_source(self)
        require_learner(self)
        if self.problem is not None:
            require_fit(self.problem, self.labels)
            for field, order in self.orders:
                require_order(field, order, self.labels)
            if self.pruning is not None:
                require_labels(self.pruning, self.labels)
            require_table(self.labels, self.box)
        elif self.dataset is not None and not self.dataset.features:
            return  # its size is known when its Box is: `app.datasets.lookup.settle_dataset`
        if self.polynomial is not None:
            return  # its size is that of its inputs: `app.pipeline.steps.label`
        parameters = self.network.parameters(self.box.dimension)
        second_order = any(isinstance(optimiser, LevenbergMarquardt) for optimiser in self.training.optimisers)
        if second_order and parameters > MAXIMUM_SECOND_ORDER:
            raise InvalidSpec(
                f"training.optimisers: levenberg_marquardt takes up to {MAXIMUM_SECOND_ORDER} parameters and this "
                f"network has {parameters}; use lbfgs or adam",
                path="training.optimisers",
                bound=MAXIMUM_SECOND_ORDER,
            )

    @property
    def orders(self) -> tuple[tuple[str, int], ...]:
        """How many derivatives of the labels the learning needs, by the field that says so."""
        if self.polynomial is not None:
            return (("polynomial", self.polynomial.order),)
        seen = 1 if self.network.inputs == "differential_pca" else 0
        return (("training.loss", self.training.loss.order), ("network.inputs", seen))

    @property
    def box(self) -> Box:
        """The domain of the surrogate.

        Raises:
            InvalidSpec: that of a dataset which has not been looked up yet.
        """
        return self.pricing.box if self.dataset is None else self.dataset.box

    @property
    def pricing(self) -> PricingProblem:
        """The problem that is simulated.

        Raises:
            InvalidSpec: there is none, the labels are a dataset's.
        """
        if self.problem is None:
            raise InvalidSpec("problem: this needs a problem to simulate, and the build has a dataset", path="problem")
        return self.problem


def require_source(build: BuildSpec) -> None:
    """Raise InvalidSpec unless the labels come from one place."""
    if (build.problem is None) == (build.dataset is None):
        raise InvalidSpec("problem: give either a problem to simulate or a dataset of labels", path="problem")
    if build.dataset is not None and build.labels != LabelSpec():
        raise InvalidSpec("labels: a dataset brings its own; leave them out", path="labels")


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


class PruneJobSpec(Spec, frozen=True, kw_only=True):
    """Prune a published version and publish the result as a new version of the same name.

    Evaluation and export follow the specification in the version's manifest.

    Args:
        model: name of the model.
        pruning: how it is pruned.
        version: number or alias of the version to prune.
        seed: of every random number.
        labels: how labels are simulated; by default as those of the version.
    """

    model: str
    pruning: PruningSpec
    version: int | str = "champion"
    seed: int = 0
    labels: LabelSpec | None = None

    def __post_init__(self) -> None:
        require_name(self.model, "model")
        require_range("seed", self.seed, 0, (1 << 63) - 1)
        if self.pruning.retraining == "rewind":
            raise InvalidSpec(
                "pruning.retraining: 'rewind' needs the network that training started from, which only a build has; "
                "use 'random' or another",
                path="pruning.retraining",
            )
        if self.labels is not None:
            require_table(self.labels, None)
            require_labels(self.pruning, self.labels)


def read_build_spec(path: Path) -> BuildSpec:
    """A BuildSpec from a TOML file.

    Raises:
        InvalidSpec: the file is missing, is not TOML, or does not describe a build.
    """
    return load(BuildSpec, with_states(read_toml(path), path.parent))


def with_states(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A build whose sampler names a table file, relative to ``folder``, with the rows of the file in its place.

    Raises:
        InvalidSpec: the file is missing or does not fit the Box, or something else does not describe a build.
    """
    if not names_table(data):
        return data
    labels, sampler = data["labels"], dict(data["labels"]["sampler"])
    source = folder / str(sampler.pop("table"))
    other = {name: part for name, part in labels.items() if name != "sampler"}
    box = load(BuildSpec, data | {"labels": other}).box
    try:
        rows = (read_archive if source.suffix == ".npz" else read_features)(source, box)
    except InvalidRequest as error:
        raise InvalidSpec(f"labels.sampler.table: {error}", path="labels.sampler.table") from error
    return data | {"labels": other | {"sampler": sampler | {"states": rows.tolist()}}}


def refuse_table(data: object) -> None:
    """Raise InvalidSpec for a sampler that names a file: a client must not make the server read one."""
    if names_table(data):
        raise InvalidSpec(
            "labels.sampler.table: only the command line reads a file; send its rows as states = [[...], ...], columns "
            "in the order of the Box",
            path="labels.sampler.table",
        )


def names_table(data: object) -> bool:
    """Whether the sampler of a build or prune job in plain data names a file."""
    for key in ("labels", "sampler"):
        data = data.get(key) if isinstance(data, dict) else None
    return isinstance(data, dict) and "table" in data


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InvalidSpec: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSpec(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"{path} is not valid TOML: {error}") from error

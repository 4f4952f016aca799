"""What ``sobolite sweep`` runs: methods x targets x seeds, each an independent case. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.state_files import with_states
from app.specification.toml_files import read_build_spec, read_toml
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, dump, load, require_finite, require_range
from pruning.spec import PruningSpec
from pruning.studies.shifts import Shift, default_shifts, shifted_problem
from surrogate.spec import EvaluationSpec, ExportSpec, NetworkSpec, TrainingSpec

DENSE, SCRATCH, SEPARATE = "dense", "from scratch", "separate"
OTHERS = (DENSE, SCRATCH, SEPARATE)
# What a method's table may not say: the targets are the sweep's own.
TARGETS = ("sparsity", "parameters")

Kind = Literal["dense", "pruned", "from scratch", "separate"]


class FromScratch(Spec, frozen=True, kw_only=True):
    """Small networks trained on the same labels without any pruning: the rows to beat.

    Args:
        hidden: one network a list of hidden widths.
        training: how they are trained; none means as the dense network is.
    """

    hidden: tuple[tuple[int, ...], ...] = ()
    training: TrainingSpec | None = None

    def __post_init__(self) -> None:
        for i, widths in enumerate(self.hidden):
            try:
                NetworkSpec(hidden=widths)
            except InvalidSpec as error:
                raise _within(error, f"hidden[{i}]") from error


class Case(Spec, frozen=True, kw_only=True):
    """One network of a sweep, all that decides it: the dense one, a pruned one, or a small one from scratch.

    Args:
        label: the method's name in the report.
        build: the dense network with its labels and evaluation, at this case's seed.
        pruning: what is done to it; none for a network as it is trained.
        network: another network, trained on the same labels, in place of the dense one.
        separate: that it has the dense network's shape and training, and starts from other random weights.
    """

    label: str
    build: BuildSpec
    shifts: tuple[Shift, ...]
    pruning: PruningSpec | None = None
    network: NetworkSpec | None = None
    training: TrainingSpec | None = None
    separate: bool | UnsetType = UNSET

    @property
    def kind(self) -> Kind:
        """What the network is."""
        if self.network is not None:
            return "separate" if self.separate is True else "from scratch"
        return "dense" if self.pruning is None else "pruned"

    @property
    def target(self) -> str:
        """What the network was asked to be, e.g. "40 parameters"."""
        if self.network is not None:
            return "-".join(map(str, self.network.hidden))
        if self.pruning is None:
            return "-".join(map(str, self.build.network.hidden))
        if self.pruning.parameters is not None:
            return f"{self.pruning.parameters} parameters"
        return f"sparsity {self.pruning.sparsity:g}"


class SweepSpec(Spec, frozen=True, kw_only=True):
    """Methods x targets x seeds on one problem.

    Args:
        build: problem, labels, dense network, training and evaluation; in a file also the path of a build
            specification, from the folder of the file. Its seed is not read, and its pruning is the sweep's.
        pruning: options of PruningSpec for all methods, without method and target.
        methods: names, or tables of a ``method`` with options of its own and, if it has any, a ``label``.
        sparsities: targets as shares of weights or nodes that are removed.
        parameters: targets as largest numbers of weights and biases left; both lists apply to every method.
        seeds: each draws its own labels, dense network and evaluation points.
        deltas: accepted losses, as shares of the dense error, of the prune potential.
        shifts: where networks are judged besides the Box; none means the usual ones that the problem allows.
        separate: whether the dense network is trained a second time from other random weights: what two networks have
            in common without any pruning.
        gamma_r2: the report names the smallest networks whose gammas keep this R2 on every seed.
        folder: where the cases and the report are kept, from the working directory; by default the file's name.
    """

    build: BuildSpec
    methods: tuple[str | dict[str, Any], ...]
    pruning: dict[str, Any] = msgspec.field(default_factory=dict)
    sparsities: tuple[float, ...] = ()
    parameters: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    deltas: tuple[float, ...] = (0.05, 0.5)
    shifts: tuple[Shift, ...] | None = None
    from_scratch: FromScratch = FromScratch()
    separate: bool = False
    gamma_r2: float = 0.9999
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.build.pruning is not None:
            raise InvalidSpec("build.pruning: a sweep prunes by its own [pruning]; leave it out", path="build.pruning")
        if self.build.polynomial is not None:
            raise InvalidSpec(
                "build.polynomial: a sweep compares pruned networks; give a build with a network",
                path="build.polynomial",
            )
        if not self.methods and not self.from_scratch.hidden:
            raise InvalidSpec("methods: give at least one, or shapes from_scratch", path="methods")
        if self.methods and not (self.sparsities or self.parameters):
            raise InvalidSpec("give targets: sparsities, parameters or both", path="parameters")
        if not self.seeds:
            raise InvalidSpec("seeds: give at least one", path="seeds")
        for i, seed in enumerate(self.seeds):
            require_range(f"seeds[{i}]", seed, 0, (1 << 63) - 1)
        require_finite("deltas", self.deltas)
        require_range("gamma_r2", self.gamma_r2, 0.0, 1.0)
        for name in ("sparsities", "parameters", "seeds"):
            _require_different(name, getattr(self, name))
        _require_different("methods", [label for label, _ in self.variants()])
        _require_different("shifts", [shift.name for shift in self.shifts or ()])
        self._require_shifts()
        for _ in self.prunings():
            pass

    def _require_shifts(self) -> None:
        """Raise InvalidSpec for a shift that the problem does not allow."""
        problem = self.build.problem
        if problem is None:
            return
        for i, shift in enumerate(self.shifts or ()):
            try:
                shifted_problem(problem, shift)
            except InvalidSpec as error:
                raise _within(error, f"shifts[{i}]") from error

    @property
    def places(self) -> tuple[Shift, ...]:
        """The shifts that are judged."""
        problem = self.build.problem
        if self.shifts is None and problem is not None:
            return default_shifts(problem)
        return self.shifts or ()

    def variants(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Label and options of every method, the common ones included."""
        for i, given in enumerate(self.methods):
            table = {"method": given} if isinstance(given, str) else dict(given)
            place = f"methods[{i}]"
            label = table.pop("label", table.get("method"))
            if not isinstance(label, str) or not label or label in OTHERS:
                raise InvalidSpec(
                    f"{place}: give a method and a label other than {', '.join(map(repr, OTHERS))}", path=place
                )
            for options, where in ((table, place), (self.pruning, "pruning")):
                for target in TARGETS:
                    if target in options:
                        raise InvalidSpec(
                            f"{where}.{target}: the sweep's own sparsities and parameters are the targets",
                            path=f"{where}.{target}",
                        )
            yield label, {**self.pruning, **table}

    def prunings(self) -> Iterator[tuple[str, PruningSpec]]:
        """Label and specification of every pruning run of a seed."""
        targets = [
            *(("sparsities", "sparsity", share) for share in self.sparsities),
            *(("parameters", "parameters", count) for count in self.parameters),
        ]
        for i, (label, options) in enumerate(self.variants()):
            for place, name, target in targets:
                try:
                    yield label, load(PruningSpec, {**options, name: target})
                except InvalidSpec as error:
                    path = error.fields.get("path", "")
                    raise _within(error, place if path in TARGETS else f"methods[{i}].{path}".rstrip(".")) from error

    def cases(self, seed: int) -> tuple[Case, ...]:
        """All cases of a seed, the dense network first."""
        build = replace(self.build, seed=seed)
        dense = Case(label=DENSE, build=build, shifts=self.places)
        pruned = (replace(dense, label=label, pruning=pruning) for label, pruning in self.prunings())
        training = self.from_scratch.training or build.training
        small = (
            replace(
                dense,
                label=SCRATCH,
                network=NetworkSpec(hidden=hidden, activation=build.network.activation),
                training=training,
            )
            for hidden in self.from_scratch.hidden
        )
        again = replace(dense, label=SEPARATE, network=build.network, training=build.training, separate=True)
        return (dense, *pruned, *small, *((again,) if self.separate else ()))


def start_of(case: Case) -> dict[str, Any]:
    """What decides the labels and the dense network that a case starts from, as plain data."""
    return dump(replace(case.build, evaluation=EvaluationSpec(), export=ExportSpec()))


def read_sweep_spec(path: Path) -> SweepSpec:
    """A SweepSpec from a TOML file; ``build`` may be the path of a build specification, from the file's folder.

    A table of states is read from the folder of the file that names it.

    Raises:
        InvalidSpec: a file is missing, is not TOML, or does not describe a sweep.
    """
    data = read_toml(path)
    build = data.get("build")
    if isinstance(build, str):
        data["build"] = dump(replace(read_build_spec(path.parent / build), pruning=None))
    elif isinstance(build, dict):
        data["build"] = with_states(build, path.parent)
    return load(SweepSpec, data)


def _require_different(name: str, values: Any) -> None:
    """Raise InvalidSpec if a value comes twice."""
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        advice = "; give one of them a label" if name == "methods" else ""
        raise InvalidSpec(f"{name}: {twice[0]!r} is given twice{advice}", path=name)


def _within(error: InvalidSpec, path: str) -> InvalidSpec:
    """The error of a part, at its place in the whole."""
    return InvalidSpec(str(error).partition(" - at `")[0], path=path, bound=error.fields.get("bound"))

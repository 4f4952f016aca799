"""What a retrain job is told. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec

from app.specification.build import BuildSpec
from app.specification.changes import STEP, of_another_kind, with_changes
from app.specification.name import require_name
from app.specification.requirements import within
from app.specification.state_files import refuse_state_file
from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, dump, load
from pricing.specs.problem import unlike


class RetrainJobSpec(Spec, frozen=True, kw_only=True):
    """Train a published version again after changes of its specification, as a new version of the same name.

    Args:
        model: name of the model.
        version: number or alias of the version whose specification is changed.
        changes: by field or by path: `{"problem.process.rate": 0.03}` or `{"problem": {"process": {"rate": 0.03}}}`.
            Items of a list are named by their place or their `name` (`problem.features.spot.upper`); null puts a field
            back to its default; a list is replaced as a whole. A `dataset.id` takes the place of simulated labels.
        start: where training starts: from the version's weights where its network still fits, keeping what was pruned
            away, with one run of the optimisers in place of several random starts; or from scratch, as the build did.
    """

    model: str
    version: int | str = "champion"
    changes: dict[str, Any] = msgspec.field(default_factory=dict)
    start: Literal["weights", "scratch"] = "weights"

    def __post_init__(self) -> None:
        require_name(self.model, "model")
        if "name" in self.changes:
            raise InvalidSpec(
                "changes.name: a retrained model is a new version of its name; leave it out, or build the "
                "specification under another name",
                path="changes.name",
            )
        refuse_state_file(self.changes)

    def changed(self, build: BuildSpec) -> BuildSpec:
        """The specification of a version with the changes in it.

        Raises:
            InvalidSpec: they lead to no field, or the result is no build.
        """
        plain = dump(build)
        if build.dataset is None and any(STEP.findall(path)[:1] == ["dataset"] for path in self.changes):
            del plain["labels"]  # in whose place those of the dataset are
        with within("changes"):
            asked = with_changes(plain, self.changes)
            with whole_tables(plain, asked):
                changed = load(BuildSpec, asked)
            require_labels_follow(build, changed)
        return changed


@contextmanager
def whole_tables(plain: dict[str, Any], asked: dict[str, Any]) -> Iterator[None]:
    """Errors in a table that took the place of one of another kind, with that said."""
    try:
        yield
    except InvalidSpec as error:
        path = error.fields.get("path", "")
        replaced = [table for table in of_another_kind(plain, asked) if path.startswith(table)]
        if not replaced:
            raise
        raise InvalidSpec(
            f"{error} ({replaced[0]} is of another kind than it was, so it keeps no field: give all that it needs)",
            **error.fields,
        ) from error


def require_labels_follow(before: BuildSpec, after: BuildSpec) -> None:
    """Raise InvalidSpec where what is priced changes and labels that are not simulated stay as they were."""
    if before.problem is None or after.problem is None or unlike(before.problem, after.problem) is None:
        return
    whose = None
    if after.dataset is not None and before.dataset is not None and after.dataset.id == before.dataset.id:
        whose = f"dataset {after.dataset.id[:8]}..."
    elif after.labels.teacher is not None and after.labels.teacher == before.labels.teacher:
        whose = f"the model {after.labels.teacher}"
    if whose is not None:
        raise InvalidSpec(
            f"problem: {unlike(before.problem, after.problem)} changes, and the labels are those of {whose}, which do "
            "not follow; give another dataset.id or labels.model, or put dataset or labels.model back to null, which "
            "simulates them",
            path="problem",
        )

"""What cards, pages and commands say of a surrogate in words. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from msgspec import UNSET, UnsetType

from pricing.domain import Feature
from surrogate.artifact.manifest import Certificate, NetworkFacts, Provenance
from surrogate.report.choices import Choices
from surrogate.report.gate import Gate
from surrogate.report.record import known
from surrogate.report.report import EvaluationFacts
from surrogate.report.scores import OUTPUTS, ErrorBound, ImpliedScore, SampleScores
from surrogate.report.sources import PruningFacts, PruningMilestone, TaughtLabels

# Below it the decimals of an R2 say nothing.
LEAST_R2 = -1000.0
# The largest share of the Box whose bound is shown; of more, the largest error alone tells.
BOUNDED = 0.99
# Rows and columns of the table of a pruning run.
MILESTONES = {"init": "initial", "pre_prune": "before pruning", "post_prune": "after pruning", "final": "final"}
MEASURES = tuple(name for name in PruningMilestone.__struct_fields__ if name not in ("network", "parameters"))


def show_r2(r2: float) -> str:
    """Seven decimals, rounded down, so that nothing short of 1 is shown as 1; two digits of what is below -1000.

    >>> show_r2(0.99999998), show_r2(-1e189)
    ('0.9999999', '-1.0e+189')
    """
    if r2 < LEAST_R2:
        return f"{r2:.1e}"
    return f"{math.floor(r2 * 1e7) / 1e7:.7f}"


def show_bound(bounds: Sequence[ErrorBound]) -> str:
    """Of what share of the Box an error is sure to be below what, the share the largest up to 99 %.

    >>> show_bound([ErrorBound(share=share, error=1e-3 * share) for share in (0.9, 0.99, 0.9993)])
    '99.0 % < 9.9e-04'
    """
    if not bounds:
        return "-"
    told = [bound for bound in bounds if bound.share <= BOUNDED] or bounds[-1:]
    return f"{math.floor(1e3 * told[-1].share) / 10:.1f} % < {told[-1].error:.1e}"


def show_offsets(scores: SampleScores) -> list[str]:
    """A sentence for each output whose error is for a good part the same everywhere.

    >>> from surrogate.report.scores import Offset, OutputScore
    >>> offset = Offset(mean=-1.9e-3, standard_error=2e-5, share=0.9)
    >>> score = OutputScore(r2=1.0, rmse=2e-3, max_error=3e-3, offset=offset)
    >>> show_offsets(SampleScores(samples=64, outputs={"value": score}))[0].partition(": ")[0]
    'value has a constant offset of -1.9e-03 ± 2e-05, 90 % of its mean square error'
    """
    return [
        f"{output} has a constant offset of {score.offset.mean:.1e} ± {score.offset.standard_error:.0e}, "
        f"{100.0 * score.offset.share:.0f} % of its mean square error: a bias of smoothed labels, "
        "the noise of labels that share their paths, or where they have neither the network's own"
        for output, score in scores.shown()
        if score.offset is not UNSET
    ]


def few_points(evaluation: EvaluationFacts) -> str | None:
    """A warning where fewer points were judged than were asked for.

    >>> few_points(EvaluationFacts(samples=96, asked=256, seconds=60.0, points="in the Box"))
    'warning: judged on 96 of the 256 points asked for, as the budget of 60 s was over'
    >>> few_points(EvaluationFacts(samples=256, asked=256, points="in the Box"))
    """
    if not evaluation.fewer:
        return None
    seconds = known(evaluation.seconds)
    why = "their reference would have taken more than a minute" if seconds is None else None
    why = why or f"the budget of {seconds:g} s was over"
    return f"warning: judged on {evaluation.samples} of the {evaluation.asked} points asked for, as {why}"


def nothing_proven(certificate: Certificate | None) -> str:
    """That nothing is proven of the shape, and why.

    >>> nothing_proven(None)
    'nothing was proven of the shape'
    >>> nothing_proven(Certificate(shape=None, pruning=None, arithmetic="exact", no_shape="the payoff is not known"))
    'nothing was proven of the shape: the payoff is not known'
    """
    reason = None if certificate is None else certificate.no_shape
    return "nothing was proven of the shape" + ("" if reason is None else f": {reason}")


def show_network(network: NetworkFacts) -> str:
    """What a surrogate is.

    >>> show_network(NetworkFacts(kind="polynomial", degree=9, axes=1, terms=10, parameters=13))
    'a polynomial of degree 9 in 1 axis of the features, 10 terms'
    """
    if network.degree is not None:
        axes = f"{network.axes} {'axis' if network.axes == 1 else 'axes'}"
        return f"a polynomial of degree {network.degree} in {axes} of the features, {network.terms} terms"
    return f"an MLP of widths {'-'.join(map(str, network.widths or ()))} ({network.activation})"


def show_outputs(names: Iterable[str]) -> str:
    """What a graph returns, in Markdown.

    >>> show_outputs(["value", "delta", "gamma", "strike", "theta"]).splitlines()[1]
    'and columns of `delta` as `strike`, `theta` (the sign changed)'
    """
    shown = "`value` [n], `delta` [n, d] and `gamma` [n, d, d]"
    named = [name for name in names if name not in OUTPUTS]
    columns = ", ".join(f"`{name}`" + " (the sign changed)" * (name == "theta") for name in named)
    return f"{shown},\nand columns of `delta` as {columns}" if named else shown


def show_bounds(features: Iterable[Feature]) -> str:
    """The Box as a table in Markdown."""
    head = "| feature (coordinates) | lowest | highest | unit |\n|---|---|---|---|"
    rows = (
        f"| {feature.name} ({feature.size}) | {min(feature.lower):g} | {max(feature.upper):g} | {feature.unit} |"
        for feature in features
    )
    return "\n".join((head, *rows))


def show_lineage(provenance: Provenance) -> str:
    """From what version a surrogate was trained again, and how; empty where it was not, with an empty line after it.

    >>> from surrogate.artifact.manifest import Retraining, Version
    >>> again = Retraining(changes={"problem.process.rate": 0.03}, start="weights")
    >>> origin = Version(model="basket", version=3)
    >>> print(show_lineage(Provenance(build={}, seed=1, simulated_paths=0, parent=origin, retraining=again)).strip())
    Trained again from version 3 with problem.process.rate = 0.03, starting from its weights.
    """
    retraining, parent = known(provenance.retraining), known(provenance.parent)
    if retraining is None or parent is None:
        return ""
    changes = ", ".join(f"{path} = {json.dumps(value)}" for path, value in retraining.changes.items())
    start = "starting from its weights" if retraining.reason is None else f"from scratch, as {retraining.reason}"
    return f"Trained again from version {parent.version} with {changes or 'no changes'}, {start}.\n\n"


def show_implied(score: ImpliedScore | None) -> str:
    """How good implied volatilities are; empty where values imply none, with an empty line after it.

    >>> law = {"law": "normal", "unit": "currency / sqrt(year)", "rmse": 2e-6, "max_error": 1e-5}
    >>> print(show_implied(ImpliedScore(samples=90, undefined=8, missing=2, **law)).strip())
    Implied volatility (normal, currency / sqrt(year)) on 90 points: root mean square error, weighted by vega,
    2.0e-06, at most 1.0e-05 where vega is a tenth of its largest or more;
    of the others 8 have none, too near to intrinsic; on 2 the surrogate has none, for its value lies below intrinsic.
    """
    if score is None:
        return ""
    none = f"{score.undefined} have none, too near to intrinsic; " if score.undefined else ""
    if score.missing:
        none += f"on {score.missing} the surrogate has none, for its value lies below intrinsic; "
    text = f"Implied volatility ({score.law}, {score.unit}) on {score.samples} points"
    if score.rmse is None or score.max_error is None:
        return f"{text}: unjudged; {none.strip('; ')}.\n\n"
    others = f";\nof the others {none.strip('; ')}" if none else ""
    return (
        f"{text}: root mean square error, weighted by vega,\n{score.rmse:.1e}, at most {score.max_error:.1e} where "
        f"vega is a tenth of its largest or more{others}.\n\n"
    )


def show_taught(taught: TaughtLabels) -> str:
    """Whose answers the labels are.

    >>> show_taught(TaughtLabels(teacher="basket@3", sha256="ab", samples=512, rmse={"value": 1e-4}, simulated_paths=9))
    'The labels are what basket@3 answers at 512 samples; its own root mean square errors are 1.0e-04 in value.'
    """
    sizes = ", ".join(f"{rmse:.1e} in {output}" for output, rmse in taught.rmse.items())
    errors = f"its own root mean square errors are {sizes}" if sizes else "how far these are off nobody has measured"
    return f"The labels are what {taught.teacher} answers at {taught.samples} samples; {errors}."


def show_pruning(pruning: PruningFacts | None) -> str:
    """How well the networks of a pruning run fit the labels, with an empty line after it; empty if that is not known.

    >>> from surrogate.report.sources import Shapes, Sizes
    >>> passed = tuple(
    ...     PruningMilestone(network=name, parameters=13, loss=loss, value_rmse=0.1)
    ...     for name, loss in (("pre_prune", 0.01), ("post_prune", None))
    ... )
    >>> facts = PruningFacts(
    ...     method="obs", granularity="weights", sparsity=0.5, parameters=Sizes(before=13, after=9),
    ...     widths=Shapes(before=(2, 3, 1), after=(2, 3, 1)), inputs_removed=(), bound=None, stages=(),
    ...     milestones=passed,
    ... )
    >>> print(show_pruning(facts).strip())
    Pruned by `obs` from 13 to 9 parameters. Loss of training, and errors against the labels with their noise:
    <BLANKLINE>
    | network | parameters | loss | value rmse |
    |---|---|---|---|
    | before pruning | 13 | 1.00e-02 | 1.00e-01 |
    | after pruning | 13 | not finite | 1.00e-01 |
    """
    milestones = None if pruning is None else known(pruning.milestones)
    if pruning is None or not milestones:
        return ""
    names = [name for name in MEASURES if any(getattr(each, name) is not UNSET for each in milestones)]
    rows = [("network", "parameters", *(name.replace("_", " ") for name in names))]
    rows += [
        (MILESTONES[each.network], str(each.parameters), *(_size(getattr(each, name)) for name in names))
        for each in milestones
    ]
    head, *lines = ("| " + " | ".join(row) + " |" for row in rows)
    table = "\n".join((head, "|" + "---|" * len(rows[0]), *lines))
    sizes, warning = pruning.parameters, known(pruning.warning)
    compact = known(sizes.compact) or sizes.after
    left = f"{sizes.after} parameters" + (f", {compact} without what is dead" if compact != sizes.after else "")
    text = (
        f"Pruned by `{pruning.method}` from {sizes.before} to {left}. Loss of training, and errors against "
        f"the labels with their noise:\n\n{table}\n\n"
    )
    if unread := known(pruning.unread):
        text += f"Given, but not read by `{pruning.method}`: {', '.join(f'`{name}`' for name in unread)}.\n\n"
    return text if warning is None else f"{text}Warning: {warning}.\n\n"


def _size(number: float | UnsetType | None) -> str:
    if number is UNSET:
        return "-"
    return "not finite" if number is None else f"{number:.2e}"


def show_gate(gate: Gate | None) -> str:
    r"""A paragraph on what was required before it was published; nothing of versions without a requirement.

    >>> show_gate(Gate(required={"gamma": 0.99, "points": 64}, missed=()))
    'It meets what was required of it: gamma 0.99, points 64.\n\n'
    """
    if gate is None:
        return ""
    if gate.missed:
        return f"**It misses what was required of it**: {'; '.join(gate.missed)}.\n\n"
    numbers = ", ".join(f"{name} {least:g}" for name, least in gate.required.items())
    unknown = f" No reference judges its {' and '.join(gate.unjudged)}." if gate.unjudged else ""
    return f"It meets what was required of it: {numbers}.{unknown}\n\n"


def show_choices(choices: Choices | None) -> str:
    """A table of the rounds of a build that has chosen by itself, worst errors of each; nothing of others."""
    if choices is None:
        return ""
    rows = []
    for place, each in enumerate(choices.rounds):
        mark = "**" if place == choices.taken else ""
        errors = ", ".join(f"{name} {error:.0e}" for name, error in each.errors.items())
        widths = "-".join(map(str, each.hidden))
        cells = (f"{mark}{place + 1}{mark}", str(each.samples), str(each.paths), widths, errors, each.reason)
        rows.append(f"| {' | '.join(cells)} |")
    head = "| round | samples | paths | network | 1 - R2 on fresh labels | why |\n|---|---|---|---|---|---|\n"
    return (
        "Labels, network and training were chosen by the build, round after round:\n\n"
        + head
        + "\n".join(rows)
        + f"\n\nIt ended because {choices.ended}.\n\n"
    )

"""What cards, pages and commands say of a surrogate in words. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from pricing.domain import Feature
from surrogate.artifact.manifest import NetworkFacts, Provenance
from surrogate.report.record import known
from surrogate.report.scores import OUTPUTS
from surrogate.report.sources import TaughtLabels

# Below it the decimals of an R2 say nothing.
LEAST_R2 = -1000.0


def show_r2(r2: float) -> str:
    """Seven decimals, rounded down, so that nothing short of 1 is shown as 1; two digits of what is below -1000.

    >>> show_r2(0.99999998), show_r2(-1e189)
    ('0.9999999', '-1.0e+189')
    """
    if r2 < LEAST_R2:
        return f"{r2:.1e}"
    return f"{math.floor(r2 * 1e7) / 1e7:.7f}"


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


def show_taught(taught: TaughtLabels) -> str:
    """Whose answers the labels are.

    >>> show_taught(TaughtLabels(teacher="basket@3", sha256="ab", samples=512, rmse={"value": 1e-4}, simulated_paths=9))
    'The labels are what basket@3 answers at 512 samples; its own root mean square errors are 1.0e-04 in value.'
    """
    sizes = ", ".join(f"{rmse:.1e} in {output}" for output, rmse in taught.rmse.items())
    errors = f"its own root mean square errors are {sizes}" if sizes else "how far these are off nobody has measured"
    return f"The labels are what {taught.teacher} answers at {taught.samples} samples; {errors}."

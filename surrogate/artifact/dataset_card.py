"""The model card of a surrogate whose labels somebody else made. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pricing.domain import Feature
from surrogate.artifact.manifest import Manifest
from surrogate.artifact.sentences import show_lineage, show_network, show_outputs, show_pruning, show_r2, show_taught
from surrogate.report.record import known
from surrogate.report.report import AnyReport
from surrogate.report.scores import OutputScore
from surrogate.report.sources import ImportedLabels


def dataset_card(manifest: Manifest, report: AnyReport) -> str:
    """Where the labels come from, how well held-out ones are met, and how noisy they are, in Markdown."""
    labels, network, size, seed = report.labels, manifest.network, report.gamma_size, manifest.provenance.seed
    assert isinstance(labels, ImportedLabels)
    assert size is not None
    rows = "\n".join(
        f"| {output} | {show_r2(score.r2)} | {score.rmse:.2e} | {score.max_error:.2e} | {_explained(score)} |"
        for output, score in ((output, manifest.accuracy[output]) for output in ("value", "delta"))
        if score.r2 is not None
    )
    ranges = show_ranges(manifest.features, labels.least, labels.largest)
    return f"""# {manifest.name}

{_learnt(labels)}
It is {show_network(network)}, {network.parameters} parameters,
{network.nodes} ONNX nodes.

`model.onnx` takes `features` float64 [n, d] in raw units and returns {show_outputs(manifest.outputs)}.
It needs a runtime that computes in float64; one that computes in less without a word (OpenVINO: in bfloat16) is wrong
by percents in gamma.

| output | R2 | RMSE | largest error | R2 without the noise |
|---|---|---|---|---|
{rows}

Measured on {labels.held_out} rows that training did not see, against their labels:
{_noise(report.noise_floor, known(labels.copies) or 0)}
There are no labels of gamma: its size on these rows is {size.rms:.2e} on average and {size.largest:.2e} at most
(Frobenius); look whether the largest can be true. What was priced is not known here, so no statement about the shape is
checked or proven.

{show_pruning(known(report.pruning))}{show_lineage(manifest.provenance)}{ranges}

Outside these bounds the surrogate extrapolates and nothing is claimed. Seed {seed}; `manifest.json` holds
the whole specification, `SHA256SUMS` the hashes.
"""


def _learnt(labels: ImportedLabels) -> str:
    taught = known(labels.taught)
    if taught is not None:
        return f"{show_taught(taught)}\nDataset `{labels.dataset}` of {labels.rows} rows judges it."
    return (
        f"Learnt from imported labels: dataset `{labels.dataset}`, {labels.learnt_from} of its {labels.rows} rows,\n"
        f"{labels.learnt_from_in_box} of them within the bounds below."
    )


def _explained(score: OutputScore) -> str:
    told = isinstance(score.explained, float)
    return f"{score.explained:.5f} +- {score.explained_error:.0e}" if told else "-"


def _noise(floor: Mapping[str, float] | None, copies: int) -> str:
    told = f" {copies} rows are copies of others and tell nothing of noise." if copies else ""
    if floor is None:
        return f"noise in them is part of every error here, and without repeated rows it cannot be told apart.{told}"
    sizes = ", ".join(f"{noise:.2e} in {output}" for output, noise in floor.items())
    return (
        f"repeated rows say that the noise in them is {sizes} (root mean square), part of every error here. R2 without "
        f"it comes with its standard error, or not at all where the noise hides it.{told}"
    )


def show_ranges(features: Sequence[Feature], least: Sequence[float], largest: Sequence[float]) -> str:
    """The Box, and the range of the data, as a table in Markdown.

    >>> spots = Feature(name="spot", lower=(1.0, 2.0), upper=(3.0, 4.0), unit="EUR")
    >>> print(show_ranges([spots], [1, 2.1], [3, 5]))
    | feature (coordinates) | lowest | highest | unit | data from | data to |
    |---|---|---|---|---|---|
    | spot (2) | 1 | 4 | EUR | 1 | 5 |
    """
    head = "| feature (coordinates) | lowest | highest | unit | data from | data to |\n|---|---|---|---|---|---|"
    rows, start = [head], 0
    for feature in features:
        place = slice(start, start := start + feature.size)
        rows.append(
            f"| {feature.name} ({feature.size}) | {min(feature.lower):g} | {max(feature.upper):g} | "
            f"{feature.unit} | {min(least[place]):g} | {max(largest[place]):g} |"
        )
    return "\n".join(rows)

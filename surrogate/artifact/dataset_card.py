"""The model card of a surrogate whose labels somebody else made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from surrogate.artifact.files import show_network, show_outputs, show_r2


def dataset_card(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Where the labels come from, how well held-out ones are met, and how noisy they are, in Markdown."""
    accuracy, network, labels = manifest["accuracy"], manifest["network"], report["labels"]
    provenance, size = manifest["provenance"], report["gamma_size"]
    rows = "\n".join(
        f"| {output} | {show_r2(got['r2'])} | {got['rmse']:.2e} | {got['max_error']:.2e} | {_explained(got)} |"
        for output, got in ((output, accuracy[output]) for output in ("value", "delta"))
        if got["r2"] is not None
    )
    return f"""# {manifest["name"]}

Learnt from imported labels: dataset `{labels["dataset"]}`, {labels["learnt_from"]} of its {labels["rows"]} rows,
{labels["learnt_from_in_box"]} of them within the bounds below.
It is {show_network(network)}, {network["parameters"]} parameters,
{network["nodes"]} ONNX nodes.

`model.onnx` takes `features` float64 [n, d] in raw units and returns {show_outputs(manifest["outputs"])}.

| output | R2 | RMSE | largest error | R2 without the noise |
|---|---|---|---|---|
{rows}

Measured on {labels["held_out"]} rows that training did not see, against their labels:
{_noise(report["noise_floor"], labels["copies"])}
There are no labels of gamma: its size on these rows is {size["rms"]:.2e} on average and {size["largest"]:.2e} at most
(Frobenius); look whether the largest can be true. What was priced is not known here, so no statement about the shape is
checked or proven.

{show_ranges(manifest["features"], labels["least"], labels["largest"])}

Outside these bounds the surrogate extrapolates and nothing is claimed. Seed {provenance["seed"]}; `manifest.json` holds
the whole specification, `SHA256SUMS` the hashes.
"""


def _explained(scores: Mapping[str, Any]) -> str:
    if scores["explained"] is None:
        return "-"
    return f"{scores['explained']:.5f} +- {scores['explained_error']:.0e}"


def _noise(floor: Mapping[str, float] | None, copies: int) -> str:
    told = f" {copies} rows are copies of others and tell nothing of noise." if copies else ""
    if floor is None:
        return f"noise in them is part of every error here, and without repeated rows it cannot be told apart.{told}"
    found = ", ".join(f"{noise:.2e} in {output}" for output, noise in floor.items())
    return (
        f"repeated rows say that the noise in them is {found} (root mean square), part of every error here. R2 without "
        f"it comes with its standard error, or not at all where the noise hides it.{told}"
    )


def show_ranges(features: Sequence[Mapping[str, Any]], least: Sequence[float], largest: Sequence[float]) -> str:
    """The Box, and the range of the data, as a table in Markdown.

    >>> print(show_ranges([{"name": "spot", "lower": [1, 2], "upper": [3, 4], "unit": "EUR"}], [1, 2.1], [3, 5]))
    | feature (coordinates) | lowest | highest | unit | data from | data to |
    |---|---|---|---|---|---|
    | spot (2) | 1 | 4 | EUR | 1 | 5 |
    """
    head = "| feature (coordinates) | lowest | highest | unit | data from | data to |\n|---|---|---|---|---|---|"
    rows, start = [head], 0
    for feature in features:
        place = slice(start, start := start + len(feature["lower"]))
        rows.append(
            f"| {feature['name']} ({len(feature['lower'])}) | {min(feature['lower']):g} | {max(feature['upper']):g} | "
            f"{feature['unit']} | {min(least[place]):g} | {max(largest[place]):g} |"
        )
    return "\n".join(rows)

"""The model card of a surrogate whose labels somebody else made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surrogate.artifact import show_network, show_r2


def dataset_card(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Where the labels come from, how well held-out ones are met, and how noisy they are, in Markdown."""
    accuracy, network, labels = manifest["accuracy"], manifest["network"], report["labels"]
    provenance, size = manifest["provenance"], report["gamma_size"]
    rows = "\n".join(
        f"| {output} | {show_r2(got['r2'])} | {got['rmse']:.2e} | {got['max_error']:.2e} | {_explained(got)} |"
        for output, got in ((output, accuracy[output]) for output in ("value", "delta"))
        if got["r2"] is not None
    )
    bounds = "\n".join(
        f"| {feature['name']} ({len(feature['lower'])}) | {min(feature['lower']):g} | {max(feature['upper']):g} | "
        f"{feature['unit']} |"
        for feature in manifest["features"]
    )
    return f"""# {manifest["name"]}

Learnt from imported labels: dataset `{labels["dataset"]}`, {labels["learnt_from"]} of its {labels["rows"]} rows.
It is {show_network(network)}, {network["parameters"]} parameters,
{network["nodes"]} ONNX nodes.

`model.onnx` takes `features` float64 [n, d] in raw units and returns `value` [n], `delta` [n, d], `gamma` [n, d, d].

| output | R2 | RMSE | largest error | R2 without the noise |
|---|---|---|---|---|
{rows}

Measured on {labels["held_out"]} rows that training did not see, against their labels: {_noise(report["noise_floor"])}
There are no labels of gamma: its size on these rows is {size["rms"]:.2e} on average and {size["largest"]:.2e} at most
(Frobenius); look whether the largest can be true. What was priced is not known here, so no statement about the shape is
checked or proven.

| feature (coordinates) | lowest | highest | unit |
|---|---|---|---|
{bounds}

Outside these bounds the surrogate extrapolates and nothing is claimed. Seed {provenance["seed"]}; `manifest.json` holds
the whole specification, `SHA256SUMS` the hashes.
"""


def _explained(scores: Mapping[str, Any]) -> str:
    return "-" if scores["explained"] is None else show_r2(scores["explained"])


def _noise(floor: Mapping[str, float] | None) -> str:
    if floor is None:
        return "noise in them is part of every error here, and without repeated rows it cannot be told apart."
    found = ", ".join(f"{noise:.2e} in {output}" for output, noise in floor.items())
    return f"repeated rows say that the noise in them is {found} (root mean square), part of every error here."

"""The report of a version as one HTML page."""

from __future__ import annotations

from typing import Any

import msgspec

from app.pages import render
from surrogate.artifact.sentences import few_points, show_offsets
from surrogate.report.record import known
from surrogate.report.report import AnyReport

# Of the table of accuracy.
HEADS = (
    *("where", "points", "output", "R2", "1 - R2", "RMSE", "largest error"),
    *("50 / 90 / 99 % quantiles", "95 % sure of", "noise of labels"),
)
NO_SHAPE = "No statement about the shape follows from what is priced; none was looked at or proven."


def report_page(name: str, version: int, report: AnyReport) -> str:
    """Accuracy by output and bucket as one table, then everything else that the report says, by its sections."""
    sections: dict[str, Any] = msgspec.to_builtins(report, order="sorted")
    del sections["accuracy"]
    if not report.shape:
        sections["shape"] = NO_SHAPE
    accuracy = report.accuracy
    warning = few_points(report.evaluation)
    return render(
        "report.html",
        name=name,
        version=version,
        accuracy=accuracy,
        heads=HEADS,
        noise=report.noise_floor or {},
        notes=[*([] if warning is None else [warning]), *show_offsets(accuracy)],
        pairs=[
            ("whole Box", accuracy),
            *((part.bucket, part) for part in accuracy.parts() if known(part.second_order)),
        ],
        parallel_r2=known(report.accuracy["gamma"].parallel_r2),
        unjudged=report.reference.unjudged,
        sections=sections,
    )

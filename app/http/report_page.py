"""The report of a version as one HTML page."""

from __future__ import annotations

from typing import Any

import msgspec

from app.pages import render
from surrogate.report.record import known
from surrogate.report.report import AnyReport


def report_page(name: str, version: int, report: AnyReport) -> str:
    """Accuracy by output and bucket as one table, then everything else that the report says, by its sections."""
    sections: dict[str, Any] = msgspec.to_builtins(report, order="sorted")
    accuracy = sections.pop("accuracy")
    return render(
        "report.html",
        name=name,
        version=version,
        accuracy=report.accuracy,
        parallel_r2=known(report.accuracy["gamma"].parallel_r2),
        unjudged=report.reference.unjudged,
        second_order=accuracy.get("second_order"),
        sections=sections,
    )

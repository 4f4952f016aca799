from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.sweeps.page import COLOURS, SHAPES, make_page
from app.sweeps.record import Failed
from app.sweeps.report import make_report
from app.sweeps.run import Outcome
from app.sweeps.spec import SweepSpec

Sweep = tuple[SweepSpec, list[Outcome], list[dict[str, float] | None]]
# Elements of HTML that have no end.
VOID = {"meta", "br", "hr", "link", "img", "input"}
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_SECONDS = 60.0


class Reader(HTMLParser):
    """Text, elements and ids of a page; refuses what is not nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(sweep_of_three: Sweep) -> str:
    return make_page(make_report(*sweep_of_three, command="sobolite sweep three.toml"))


def test_every_case_is_on_the_page(page: str, sweep_of_three: Sweep) -> None:
    _, outcomes, _ = sweep_of_three
    text = Reader(page).text
    for outcome in outcomes:
        assert outcome.case.label in text
        assert outcome.case.target in text
    assert "too small <for> it" in text
    assert "sobolite sweep three.toml" in text
    assert "Seeds 0, 1" in text
    assert "a seed, judged by: closed form." in text


def test_what_is_preserved_has_its_tables(page: str) -> None:
    text = Reader(page).text
    assert "What is preserved" in text
    assert text.count(" / 0.250") == 3
    assert "informative features" in text


def test_nothing_comes_from_elsewhere_and_nothing_runs(page: str) -> None:
    reader = Reader(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in reader.elements}
    assert not any(name.startswith("on") or name in ("src", "href") for _, found in reader.elements for name in found)


def test_the_charts_say_what_they_show(page: str) -> None:
    reader = Reader(page)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    charts = [attributes for attributes in reader.find("svg") if attributes.get("role") == "img"]
    assert len(charts) == 2
    for attributes in charts:
        named = (attributes["aria-labelledby"] or "").split()
        assert len(named) == 2
        assert set(named) <= set(ids)
    assert all(attributes.get("aria-hidden") for attributes in reader.find("svg") if "role" not in attributes)
    assert reader.find("html")[0]["lang"] == "en"
    assert "prefers-color-scheme: dark" in page


def test_points_are_in_the_drawing_and_better_ones_lower(page: str) -> None:
    points = [
        (float(x), float(y), text)
        for x, y, text in re.findall(r'translate\(([\d.]+) ([\d.]+)\)"[^>]*><title>([^<]*)</title>', page)
    ]
    assert len(points) == 8
    assert all(64 <= x <= 744 and 28 <= y <= 372 for x, y, _ in points)
    by_size = {text.split(",")[0]: (x, y) for x, y, text in points[:4]}
    assert by_size["b &amp; c"][0] < by_size["a"][0] < by_size["dense"][0]
    assert by_size["b &amp; c"][1] < by_size["a"][1] < by_size["dense"][1]


def test_colour_and_shape_tell_forty_methods_apart() -> None:
    pairs = {(COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]) for i in range(40)}
    assert len(pairs) == 40


def test_a_sweep_without_networks_has_a_page(sweep_of_three: Sweep) -> None:
    spec, outcomes, _ = sweep_of_three
    failed = [Outcome(case=o.case, record=Failed(sentence="no luck")) for o in outcomes]
    page = make_page(make_report(spec, failed, [None] * len(failed), command="sobolite sweep"))
    assert Reader(page).text.count("no luck") == len(failed)
    assert "judged by" not in Reader(page).text
    assert "preserved" not in Reader(page).text


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_draws_it(page: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page)
    assert BROWSER is not None
    shown = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path}",
            "--dump-dom",
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    ).stdout
    # The browser's own tree holds every mark as SVG.
    assert shown.count("translate(") == 8
    assert shown.count("</svg>") == page.count("</svg>")

"""HTML pages of the templates beside this module: no script within them, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from surrogate.artifact.sentences import show_bound, show_r2

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
TEMPLATES.filters |= {"r2": show_r2, "bound": show_bound, "capitalise": lambda text: text[:1].upper() + text[1:]}


def render(template: str, **content: Any) -> str:
    """The page that a template makes of its content."""
    return TEMPLATES.get_template(template).render(**content)

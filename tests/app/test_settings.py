from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, bundled_models


def test_defaults_are_consistent() -> None:
    settings = Settings()
    assert settings.queue_bytes >= settings.body_bytes + settings.response_bytes
    assert settings.bundled == bundled_models()
    assert settings.registry.name == "sobolite"


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOBOLITE_REGISTRY", str(tmp_path))
    monkeypatch.setenv("SOBOLITE_MAX_ROWS", "10")
    settings = Settings()
    assert (settings.registry, settings.max_rows) == (tmp_path, 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SOBOLITE_PROVIDER", "tpu"), ("SOBOLITE_MAX_ROWS", "0"), ("SOBOLITE_QUEUE_BYTES", "2048")],
)
def test_impossible_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()

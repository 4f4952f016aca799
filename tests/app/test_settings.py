from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.jobs.retention import sweep
from app.settings import Settings, bundled_models, told


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


@pytest.mark.parametrize(("given", "expected"), [("/", ""), ("/api", "/api"), ("/api/", "/api"), ("a/b", "/a/b")])
def test_a_root_path_has_one_form(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("SOBOLITE_ROOT_PATH", given)
    assert Settings().root_path == expected


@pytest.mark.parametrize("given", ["//host", "/a//b", "http://x", "/a?b", "/a b", "/" + "a/" * 5_000 + "!"])
def test_other_root_paths_are_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SOBOLITE_ROOT_PATH", given)
    with pytest.raises(ValidationError, match="root_path must be as"):
        Settings()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("HOSTS", "api.example:9"),
        ("HOSTS", "http://api.example"),
        ("HOSTS", "api.example, two words"),
        ("ORIGINS", "good.example"),
        ("ORIGINS", "*"),
        ("ORIGINS", "null"),
        ("ORIGINS", "https://good.example/path"),
        ("ORIGINS", "https://good.example/"),
    ],
)
def test_names_that_no_request_can_have_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, given: str) -> None:
    monkeypatch.setenv(f"SOBOLITE_{name}", given)
    with pytest.raises(ValidationError, match=f"{name.lower()} must be"):
        Settings()


def test_names_that_requests_have_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOBOLITE_HOSTS", "Prices.Example,10.0.0.7,[::1],*")
    monkeypatch.setenv("SOBOLITE_ORIGINS", "https://Desk.example, http://localhost:3000")
    assert Settings().hosts == ("prices.example", "10.0.0.7", "[::1]", "*")
    assert Settings().origins == ("https://desk.example", "http://localhost:3000")


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"SOBOLITE_{name.upper()}", "")
    monkeypatch.setenv("SOBOLITE_MISSPELT", "")
    assert Settings().drain_seconds == 1.0


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOBOLITE_REGISTRY", "~/models")
    assert Settings().registry == Path.home() / "models"
    monkeypatch.setenv("SOBOLITE_REGISTRY", "~nobody-of-this-name/models")
    with pytest.raises(ValidationError, match="no such user"):
        Settings()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SOBOLITE_REGSITRY", "SOBOLITE_REGISTRY"),
        ("SOBOLITE_MAXROWS", "SOBOLITE_MAX_ROWS"),
        ("sobolite_log_levle", "SOBOLITE_LOG_LEVEL"),
        ("SOBOLITE_", "SOBOLITE_"),
    ],
)
def test_misspelt_names_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ValidationError, match=f"{name}, which is no setting; did you mean {nearest}"):
        Settings()


def test_what_kubernetes_sets_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR"):
        monkeypatch.setenv(f"SOBOLITE_{name}", "tcp://10.0.0.1:8000")
    Settings()


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.1,", ","])
def test_proxies_are_addresses(monkeypatch: pytest.MonkeyPatch, proxies: str) -> None:
    monkeypatch.setenv("SOBOLITE_PROXIES", proxies)
    with pytest.raises(ValidationError, match="addresses or networks"):
        Settings()
    assert Settings(proxies="10.0.0.7, 10.1.0.0/16,::1").proxies


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400", "99999999999999999999", "-1", "1e30", "one"])
@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_finite_and_bounded(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SOBOLITE_{name.upper()}", value)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    sentence = told(refusal.value)
    assert sentence.startswith(f"SOBOLITE_{name.upper()}: Input should be")
    assert sentence.endswith(f", got {value!r}")


def test_the_largest_numbers_overflow_nothing(tmp_path: Path) -> None:
    bounds = {
        name: next(each.le for each in field.metadata if hasattr(each, "le"))
        for name, field in Settings.model_fields.items()
        if name in NUMBERS and name not in ("body_bytes", "response_bytes")  # the queue is to hold them
    }
    settings = Settings(registry=tmp_path / "registry", **bounds)
    with capture_logs() as lines:
        sweep(settings)
    assert [line for line in lines if line["event"] == "sweep failed"] == []
    assert max(settings.job_seconds, settings.idle_seconds) < threading.TIMEOUT_MAX
    assert max(bounds.values()) < 1 << 63


@pytest.mark.parametrize("dask", ["foo", "tcp://", "tcp://host", "host:8786", "tcp://host:port", "file:///etc:1"])
def test_dask_is_an_address(monkeypatch: pytest.MonkeyPatch, dask: str) -> None:
    monkeypatch.setenv("SOBOLITE_DASK", dask)
    with pytest.raises(ValidationError, match="dask must be a scheduler's address"):
        Settings()
    assert Settings(dask="tcp://10.0.0.7:8786").dask


@pytest.mark.parametrize("path", ["/a/../b", "/..", "..", "/a/.", "./a", "/a/..%2f"])
def test_a_root_path_climbs_nowhere(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SOBOLITE_ROOT_PATH", path)
    with pytest.raises(ValidationError, match="root_path must be as"):
        Settings()
    assert Settings(root_path="/a..b/.c").root_path == "/a..b/.c"


def test_what_is_bundled_is_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOBOLITE_BUNDLED", str(tmp_path / "none"))
    with pytest.raises(ValidationError, match="bundled must be a folder"):
        Settings()


def test_a_refusal_does_not_tell_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOBOLITE_TOKEN", "short-secret")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "short-secret" not in told(refusal.value)

"""What the server adds to uvicorn's is at work in `tests.abuse`; here is what it takes away."""

from __future__ import annotations

import logging

from app.http.server import Server
from app.main import create_app
from app.settings import Settings
from app.telemetry import take_lines_of_libraries


def test_no_request_is_logged_twice(settings: Settings) -> None:
    """uvicorn would write a line a request, or make one that nobody takes, wherever the root logger has a handler."""
    before = logging.root.handlers[:], logging.root.level
    try:
        take_lines_of_libraries()
        server = Server(create_app(settings), settings)
        server.config.load()
        assert not logging.getLogger("uvicorn.access").hasHandlers()
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)
        logging.captureWarnings(capture=False)


def test_settings_decide(settings: Settings) -> None:
    changed = {"idle_seconds": 61, "root_path": "/prices", "proxies": None}
    config = Server(create_app(settings), settings.model_copy(update=changed)).config
    assert (config.timeout_keep_alive, config.root_path, config.proxy_headers) == (61, "/prices", False)
    assert (config.server_header, config.access_log) == (False, False)

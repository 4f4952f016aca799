from __future__ import annotations

from tests.app.conftest import (  # noqa: F401
    anyio_backend,
    artifact,
    client,
    network,
    own_environment,
    problem,
    served,
    settings,
    template,
)

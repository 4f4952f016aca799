"""How jobs are written to their database: JSON, so that whoever can write the database cannot run code."""

from __future__ import annotations

import json
from typing import Any

from dbos import Serializer

ERROR_KEY = "__error__"


class JobFailed(Exception):
    """What stopped a job, as one sentence."""


class JsonSerializer(Serializer):
    """JSON for values and one sentence for an exception; the worker and every client must use the same."""

    def name(self) -> str:
        """Stored beside each value."""
        return "sobolite_json"

    def serialize(self, data: Any) -> str:
        """Plain data, or an exception, as text."""
        if isinstance(data, BaseException):
            data = {ERROR_KEY: str(data) or type(data).__name__}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 (the base class names it so)
        """Inverse of `serialize`; an exception comes back as JobFailed."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {ERROR_KEY}:
            return JobFailed(data[ERROR_KEY])
        return data

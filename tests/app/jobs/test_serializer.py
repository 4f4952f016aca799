from __future__ import annotations

import pytest

from app.jobs.serializer import JobFailed, JsonSerializer


def test_a_job_never_comes_back_as_code() -> None:
    serializer = JsonSerializer()
    assert serializer.deserialize(serializer.serialize({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
    failure = serializer.deserialize(serializer.serialize(ValueError("no such file")))
    assert isinstance(failure, JobFailed)
    assert str(failure) == "no such file"
    with pytest.raises(ValueError, match="Expecting value"):
        serializer.deserialize("gASVBAAAAAAAAABLAS4=")

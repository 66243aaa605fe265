"""One S3 server for the tests of a file, a fresh line to it and a cache of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from robomix.remote import retries
from tests.remote.storage import Line, Storage, environment, s3_storage


@pytest.fixture(scope="module")
def s3_server() -> Iterator[Storage]:
    with s3_storage() as storage:
        yield storage


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def s3(s3_server: Storage, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Object storage without faults, from which nothing has been fetched; retries do not wait."""
    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(retries, "PAUSES", (0.0,) * 3)
    fresh = Line()
    for name in ("faults", "rate", "requests", "sent"):
        setattr(s3_server.line, name, getattr(fresh, name))
    return s3_server

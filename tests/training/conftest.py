"""Two small robots that tests of the training share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `write_two`."""
    from tests.training.test_loop import write_two  # only for tests that ask: it imports the whole training

    return write_two(tmp_path_factory.mktemp("data"))

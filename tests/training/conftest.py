"""Two small robots that tests of the training share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the datasets `arm` (3 wide, 10 fps) and `crane` (5 wide, 30 fps)."""
    from tests.training.test_loop import write  # only for tests that ask: it imports the whole training

    folder = tmp_path_factory.mktemp("data")
    write(folder / "arm", 3, 1.0, 10, 0, "pick")
    write(folder / "crane", 5, 100.0, 30, 1, "lift")
    return folder

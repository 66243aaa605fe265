"""What every test shares: no network, a cache of its own, and where real recordings lie."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("SVT_LOG", "1")
os.environ["OMP_NUM_THREADS"] = "1"  # two test workers on two cores: threads of their own only get in the way

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def isolated_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Robomix and Hugging Face caches in a folder of this test session, inherited by its child processes."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBOMIX_CACHE", str(folder / "robomix"))
        patch.setenv("HF_DATASETS_CACHE", str(folder / "datasets"))
        patch.setenv("HF_LEROBOT_HOME", str(folder / "lerobot"))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of recordings of real robots; a test that asks for it is skipped where it is missing."""
    folder = Path(os.environ.get("ROBOMIX_REAL_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set ROBOMIX_REAL_DATA")
    return folder

"""Reading ahead fetches what the loader then reads, no less, and keeps within its bound."""

import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from robomix.config import MixtureConfig
from robomix.errors import RemoteError
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.mixture.loader import Loader, make_loader
from robomix.mixture.read_ahead import ReadAhead
from robomix.mixture.resolve import make_schedule
from robomix.remote import blocks
from robomix.remote.counts import counts
from robomix.video.pool import decoders
from tests.fixtures import write_v30
from tests.remote.storage import Storage

CAMERA = "observation.images.top"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 1 << 12)
    decoders.close()


def written(folder: Path, **spec: object) -> Path:
    """A dataset whose videos have hundreds of blocks."""
    spec = {"lengths": (40,) * 12, "cameras": {CAMERA: (96, 128)}, "episodes_per_video_file": 6} | spec
    write_v30(folder, **spec)
    return folder


def opened(root: str | Path, horizons: dict[str, list[int]] | None = None) -> Mixture:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(root)}]})
    return make_mixture(config, delta_indices=horizons)


def loader_of(mixture: Mixture, steps: int, batch_size: int = 4) -> Loader:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(source.config.root)} for source in mixture.sources]})
    return make_loader(mixture, make_schedule(mixture.sources, config, seed=1, batch_size=batch_size), stop=steps)


@pytest.mark.parametrize(
    "spec",
    [{}, {"gop": 12, "b_frames": 2}, {"gop": 40}, {"codec": "libsvtav1"}],
    ids=["short GOPs", "B-frames", "one GOP for each episode", "AV1"],
)
def test_what_workers_read_has_been_fetched(cache: Path, tmp_path: Path, spec: dict[str, object]) -> None:
    mixture = opened(f"file://{written(tmp_path / 'set', **spec)}", {CAMERA: [-3, 0]})
    loader = loader_of(mixture, 6)
    before = counts.fetched
    with closing(ReadAhead(mixture, loader.requests())) as ahead:
        ahead.wait()
        fetched = counts.fetched
        assert fetched > before
        read = list(loader)
    assert len(read) == 6
    assert counts.fetched == fetched, "a worker had to fetch"
    files = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.mp4"))
    assert (fetched - before) * blocks.BLOCK < files, "and it was less than everything"


def test_a_local_dataset_needs_nothing(cache: Path, tmp_path: Path) -> None:
    mixture = opened(written(tmp_path / "set"))
    with closing(ReadAhead(mixture, loader_of(mixture, 6).requests())) as ahead:
        ahead.wait()
        ahead.received(3)
    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]


def test_it_stays_within_its_distance_and_goes_on_as_batches_are_received(cache: Path, tmp_path: Path) -> None:
    mixture = opened(f"file://{written(tmp_path / 'set')}")
    loader = loader_of(mixture, 40)
    sizes = [sum(job() for job in mixture.fetches(request)) for request in loader.requests()]
    distance = sum(sizes[:5])
    with closing(ReadAhead(mixture, loader.requests(), distance=distance, threads=2)) as ahead:
        for received in (0, 7, 20, 38):
            ahead.received(received)
            ahead.wait()
            ready = sum(ahead._ready.values())
            assert min(distance, sum(sizes[received:])) <= ready <= distance + 2 * max(sizes)
            assert min(ahead._ready) == received


def test_what_it_cannot_fetch_ends_the_training(s3: Storage, tmp_path: Path) -> None:
    mixture = opened(s3.put(written(tmp_path / "set"), "bucket", tmp_path.name))
    s3.line.faults += [(".mp4", "503")] * 100
    with closing(ReadAhead(mixture, loader_of(mixture, 6).requests())) as ahead:
        with pytest.raises(RemoteError, match="failed 4 times"):
            ahead.wait()
        with pytest.raises(RemoteError, match=r"reading bytes .* of s3://bucket/.*\.mp4 failed"):
            ahead.received(1)
    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]


def test_closing_in_the_middle_ends_its_threads(s3: Storage, tmp_path: Path) -> None:
    mixture = opened(s3.put(written(tmp_path / "set"), "bucket", tmp_path.name))
    s3.line.rate = 2e6
    ahead = ReadAhead(mixture, loader_of(mixture, 50).requests())
    ahead.received(1)
    ahead.close()
    s3.line.rate = None
    for thread in ahead._threads:
        thread.join(10)
    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]


def test_far_samples_are_those_of_a_copy_even_with_a_tiny_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "set", gop=12, b_frames=2)
    here, far = opened(folder), opened(f"file://{folder}")
    monkeypatch.setenv("ROBOMIX_REMOTE_CACHE", str(6 * blocks.BLOCK))
    loaders = [loader_of(mixture, 10) for mixture in (here, far)]
    store = blocks.block_cache()
    with closing(ReadAhead(far, loaders[1].requests(), threads=3)) as ahead:
        for number, (one, two) in enumerate(zip(*loaders, strict=True), start=1):
            ahead.received(number)
            np.testing.assert_array_equal(one[CAMERA].numpy(), two[CAMERA].numpy())
            np.testing.assert_array_equal(one["action"].numpy(), two["action"].numpy())
            # Beyond the bound at most what threads are adding while others delete.
            assert sum(size for _, size, _ in store._blocks()) <= store.bound + 4 * store.bound

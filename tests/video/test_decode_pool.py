"""Open decoders are reused, bounded, lent to one thread at a time, and never shared between processes."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.errors import ConfigError, FormatError
from robomix.video.pool import DecoderPool, decoders
from tests.pictures import decode_video, pictures, row_and_camera, write_video

HEIGHT, WIDTH = 32, 48


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """Three videos of 20 frames; those of video i carry the camera number i."""
    paths = [tmp_path / f"{i}.mp4" for i in range(3)]
    for i, path in enumerate(paths):
        write_video(path, pictures(range(20), i, HEIGHT, WIDTH), Fraction(30), gop=5)
    return paths


def read(pool: DecoderPool, path: Path, *frames: int) -> list[tuple[int, int]]:
    out = np.empty((len(frames), 3, HEIGHT, WIDTH), np.uint8)
    with pool.lend(path) as decoder:
        decoder.read_into(np.array(frames), out, np.arange(len(frames)))
    return [row_and_camera(image) for image in out]


def test_a_returned_decoder_is_lent_again(videos: list[Path]) -> None:
    pool = DecoderPool()
    with pool.lend(videos[0]) as first:
        pass
    with pool.lend(videos[0]) as second, pool.lend(videos[0]) as third, pool.lend(videos[1]) as other:
        assert second is first
        assert third is not first
        assert other.path == videos[1]


def test_idle_decoders_are_bounded_and_the_least_recently_used_closes(videos: list[Path]) -> None:
    pool = DecoderPool(capacity=2)
    for path in (videos[0], videos[1], videos[0], videos[2]):
        read(pool, path, 3)
    assert len(pool) == 2
    with pool.lend(videos[0]) as kept, pool.lend(videos[1]) as reopened:
        assert kept.decoded == 8
        assert reopened.decoded == 0
    pool.close()
    assert len(pool) == 0


def test_files_stay_closed_beyond_the_capacity(videos: list[Path]) -> None:
    pool = DecoderPool(capacity=1)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    for _ in range(5):
        for path in videos:
            read(pool, path, 0)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_decoder_that_failed_is_not_lent_again(videos: list[Path]) -> None:
    pool = DecoderPool()
    with pytest.raises(FormatError, match="no frame 99"):
        read(pool, videos[0], 99)
    assert len(pool) == 0
    assert read(pool, videos[0], 4) == [(4, 0)]


def test_a_replaced_file_is_opened_anew(videos: list[Path]) -> None:
    pool = DecoderPool()
    assert read(pool, videos[0], 4) == [(4, 0)]
    os.replace(videos[1], videos[0])
    assert read(pool, videos[0], 4) == [(4, 1)]
    videos[0].unlink()
    with pytest.raises(FormatError, match=r"0\.mp4 does not exist"):
        read(pool, videos[0], 4)


def test_threads_share_files_without_mixing_frames(videos: list[Path]) -> None:
    pool, rng = DecoderPool(capacity=3), np.random.default_rng(0)
    jobs = [(int(i), rng.integers(0, 20, 6).tolist()) for i in rng.integers(0, 3, 60)]
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda job: read(pool, videos[job[0]], *job[1]), jobs))
    assert results == [[(frame, i) for frame in frames] for i, frames in jobs]
    assert len(pool) <= 3


def send_frames(path: Path, frames: list[int], results: Any) -> None:
    results.put(read(decoders, path, *frames))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_parent_and_child_decode_the_same_file_at_once(videos: list[Path], method: str) -> None:
    truth = decode_video(videos[0])
    assert row_and_camera(truth[7]) == (7, 0)
    read(decoders, videos[0], 7)  # a decoder the child inherits when forked
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=send_frames, args=(videos[0], list(range(20)), results), daemon=True)
    child.start()
    mine = [read(decoders, videos[0], frame)[0] for frame in range(20)]
    assert results.get(timeout=30) == mine == [(frame, 0) for frame in range(20)]
    child.join()
    assert child.exitcode == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_the_pool_is_locked_does_not_hang_the_child(videos: list[Path]) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with decoders._lock:
        child = context.Process(target=send_frames, args=(videos[2], [3], results), daemon=True)
        child.start()
    assert results.get(timeout=30) == [(3, 2)]
    child.join()


def test_the_capacity_can_be_set_by_environment(videos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_OPEN_VIDEOS", "1")
    pool = DecoderPool()
    for path in videos:
        read(pool, path, 0)
    assert len(pool) == 1
    monkeypatch.setenv("ROBOMIX_OPEN_VIDEOS", "many")
    with pytest.raises(ConfigError, match="ROBOMIX_OPEN_VIDEOS is 'many', expected a number of files"):
        read(pool, videos[0], 0)

"""Where the packets of a video lie in its file, against what FFmpeg's demuxer says."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from robomix.remote.stores import FarFile
from robomix.video.byte_ranges import FarLayout
from robomix.video.mp4 import read_stored_samples
from tests.pictures import pictures, write_video


def assert_found(path: Path) -> None:
    """Each packet's place and size in the index are FFmpeg's."""
    stored = read_stored_samples(path)
    assert stored is not None
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    np.testing.assert_array_equal(np.stack([stored.offsets, stored.sizes], axis=1), packets)


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("h264", 2), ("libsvtav1", 0)])
def test_packets_are_where_ffmpeg_finds_them(tmp_path: Path, codec: str, b_frames: int) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, pictures(range(40), 0, 32, 48), Fraction(10), codec=codec, gop=8, b_frames=b_frames)
    assert_found(path)


def test_packets_of_a_recording_are_where_ffmpeg_finds_them(real_data: Path) -> None:
    for path in [*real_data.glob("g1_v30/videos/**/*.mp4"), *sorted(real_data.glob("cr5_v21/videos/**/*.mp4"))[:2]]:
        assert_found(path)


def test_the_blocks_of_frames_are_those_of_their_packets_from_the_key_frame_on() -> None:
    """Packets of 100 kB in blocks of 100 kB: opening reads block 0; a packet's own block and what lies behind it."""
    n, size = 40, 100_000
    starts = np.arange(n, dtype=np.int64) * size
    file = FarFile("memory://x", n * size, "")
    layout = FarLayout(file, np.array([0]), starts, starts + size, np.arange(n), np.arange(0, n, 10), delay=1)
    assert layout.blocks(np.array([12]), size).tolist() == [0, 10, 11, 12, 13, 14], "frame, delay, FFmpeg's buffer"
    assert layout.blocks(np.array([12, 31, 10]), size).tolist() == [0, 10, 11, 12, 13, 14, 30, 31, 32, 33]
    assert layout.blocks(np.array([39]), size).tolist() == [0, *range(30, 40)], "nothing beyond the end"

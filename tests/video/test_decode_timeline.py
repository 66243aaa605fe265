"""The timeline of a file from its index equals the one from its packets, or the index is declined."""

import struct
from pathlib import Path

import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.video.mp4 import read_sample_table
from robomix.video.timeline import Timelines, read_timeline, walk_packets
from tests.damage import truncate
from tests.video.odd_files import COUNT, ODD_FILES, Odd, write_odd


@pytest.mark.parametrize("odd", ODD_FILES.values(), ids=list(ODD_FILES))
def test_the_index_agrees_with_the_packets_or_is_declined(tmp_path: Path, odd: Odd) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, odd)
    assert (read_sample_table(path) is not None) == odd.index
    indexed, walked = read_timeline(path), walk_packets(path)
    assert indexed.count == walked.count
    np.testing.assert_array_equal(indexed.times, walked.times)
    np.testing.assert_array_equal(indexed.keys, walked.keys)
    assert indexed.reorder == walked.reorder


def test_an_open_group_starts_at_the_key_frame_before_the_leading_frames(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, ODD_FILES["open groups, HEVC"])
    timeline = read_timeline(path)
    key = int(timeline.keys[1])
    assert timeline.key_before(np.array([key - 1, key, key + 1])).tolist() == [0, key, key]


def test_edit_lists_that_cut_the_end_or_change_the_speed_are_declined(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd())
    content = path.read_bytes()
    place = content.index(b"elst") + 12
    duration, start, rate = struct.unpack_from(">Iii", content, place)
    assert read_sample_table(path) is not None
    for changed in [(duration // 2, start, rate), (duration, start, rate * 2), (duration, start + 1, rate)]:
        path.write_bytes(content[:place] + struct.pack(">Iii", *changed) + content[place + 12 :])
        assert read_sample_table(path) is None, changed


def test_lying_counts_neither_crash_nor_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd())
    content = path.read_bytes()
    # Counts follow the four letters of a box and four bytes of flags; those of stts and ctts also lead each run.
    counts = [("stsz", 12), ("stts", 8), ("stts", 12), ("ctts", 8), ("ctts", 12), ("stss", 8), ("stsd", 8), ("elst", 8)]
    for box, offset in counts:
        place = content.index(box.encode()) + offset
        path.write_bytes(content[:place] + b"\xff\xff\xff\xf0" + content[place + 4 :])
        assert read_sample_table(path) is None, (box, offset)


def test_random_damage_to_the_index_is_never_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd())
    content, rng = path.read_bytes(), np.random.default_rng(0)
    begin = content.index(b"moov")
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(begin, len(content), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            table = read_sample_table(path)
        except FormatError:
            continue
        assert table is None or len(table.times) == COUNT


@pytest.mark.parametrize("muxer", [{}, {"movflags": "faststart"}], ids=["index last", "index first"])
def test_a_cut_off_file_says_how_much_is_missing(tmp_path: Path, muxer: dict[str, str]) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd(muxer=muxer))
    truncate(path)
    with pytest.raises(FormatError, match=r"video\.mp4 is cut off: its part 'mdat' should end at byte [\d,]+, but"):
        read_timeline(path)


def test_timelines_are_kept_until_the_file_changes_or_room_runs_out(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.mp4" for i in range(3)]
    for path in paths:
        write_odd(path, Odd())
    timelines = Timelines(frames=2 * COUNT)
    first = timelines.get(paths[0])
    assert timelines.get(paths[0]) is first
    timelines.get(paths[1])
    assert timelines.get(paths[0]) is first
    timelines.get(paths[2])  # room for two: paths[1] is the one used least recently
    assert timelines.get(paths[0]) is first
    paths[0].write_bytes(paths[0].read_bytes() + bytes(8))
    assert timelines.get(paths[0]) is not first
    with pytest.raises(FormatError, match=r"gone\.mp4 does not exist"):
        timelines.get(tmp_path / "gone.mp4")

"""Cutting and joining without encoding: every decoded frame is the one it was, shown when it should be."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from robomix.video.decoding_order import CutError, decoding_order
from robomix.video.remux import Clip, remux, stream_key
from tests.pictures import decode_video, pictures, write_video
from tests.video.odd_files import COUNT, HEIGHT, ODD_FILES, WIDTH, Odd, write_odd

FPS = Fraction(30)
CUTTABLE = sorted(set(ODD_FILES) - {"intra refresh in Matroska", "AVI", "open groups, H.264", "open groups, HEVC"})


def times_of(path: Path) -> list[Fraction]:
    """When each frame is shown, in order of presentation, as plain PyAV decodes it."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def clips_of(path: Path) -> list[Clip]:
    """The file cut at every key frame."""
    order = decoding_order(path)
    bounds = [*sorted(order.rank[order.is_key].tolist()), len(order.rank)]
    return [Clip(path, a, b) for a, b in pairwise(bounds)]


@pytest.mark.parametrize("name", CUTTABLE)
def test_stretches_put_together_in_another_order_have_the_very_frames_they_had(tmp_path: Path, name: str) -> None:
    path, target = tmp_path / "in.bin", tmp_path / "out.mp4"
    write_odd(path, ODD_FILES[name])
    frames = decode_video(path)
    clips = clips_of(path)[::-1]
    if "refresh" in name:
        with pytest.raises(CutError, match="what it calls a key frame is none"):
            remux(clips, target, FPS)
        assert list(tmp_path.iterdir()) == [path]
        return
    count = sum(map(len, clips))
    assert remux(clips, target, FPS) == count
    assert np.array_equal(decode_video(target), np.concatenate([frames[clip.start : clip.stop] for clip in clips]))
    assert times_of(target) == [i / FPS for i in range(count)]


@pytest.mark.parametrize("name", ["open groups, H.264", "open groups, HEVC"])
def test_a_cut_through_an_open_group_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in.mp4"
    write_odd(path, ODD_FILES[name])
    first, second, *_ = clips_of(path)
    for clip in (first, second):
        with pytest.raises(CutError, match="cannot be cut at frames"):
            remux([clip], tmp_path / "out.mp4", FPS)
    assert list(tmp_path.iterdir()) == [path]
    whole = Clip(path, 0, COUNT)
    remux([whole, whole], tmp_path / "out.mp4", FPS)
    assert np.array_equal(decode_video(tmp_path / "out.mp4"), np.concatenate([decode_video(path)] * 2))


@pytest.mark.parametrize("codec", ["h264", "hevc", "libsvtav1"])
@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30_000, 1001), Fraction(10)])
def test_files_of_any_length_even_one_frame_join_on_the_grid_of_the_rate(
    tmp_path: Path, codec: str, fps: Fraction
) -> None:
    lengths, clips, frames = (37, 1, 50, 1, 1, 12), [], []
    for i, length in enumerate(lengths):
        path = tmp_path / f"it's {i} é.mp4"
        write_video(path, pictures(range(100 * i, 100 * i + length), 0, 64, 96), fps, codec=codec, gop=12, b_frames=2)
        clips.append(Clip(path, 0, length))
        frames.append(decode_video(path))
    if len({stream_key(clip.path) for clip in clips}) > 1:  # x264 writes its look-ahead into short files' parameters
        pytest.skip("this encoder sets decoders up otherwise for short files")
    target = tmp_path / "joined.mp4"
    assert remux(clips, target, fps) == sum(lengths)
    assert np.array_equal(decode_video(target), np.concatenate(frames))
    assert times_of(target) == [i / fps for i in range(sum(lengths))]
    with av.open(str(target)) as container:
        assert container.streams.video[0].average_rate == fps
        assert container.streams.video[0].frames == sum(lengths)


def test_files_whose_decoders_are_set_up_otherwise_are_not_joined(tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    write_odd(one, Odd(codec="libx265", options={"x265-params": "log-level=error:ref=1", "preset": "fast"}))
    write_odd(two, Odd(codec="libx265", options={"x265-params": "log-level=error:ref=4", "preset": "slow"}))
    with pytest.raises(CutError, match="decoders of different settings"):
        remux([Clip(one, 0, COUNT), Clip(two, 0, COUNT)], tmp_path / "out.mp4", FPS)


def test_a_remuxed_file_is_cut_and_joined_again_without_a_change(tmp_path: Path) -> None:
    path, once, twice = tmp_path / "in.mp4", tmp_path / "once.mp4", tmp_path / "twice.mp4"
    write_odd(path, ODD_FILES["B-frames"])
    remux(clips_of(path), once, FPS)
    remux(clips_of(once), twice, FPS)
    assert once.read_bytes() == twice.read_bytes()
    assert decode_video(twice).shape == (COUNT, 3, HEIGHT, WIDTH)

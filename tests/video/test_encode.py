"""Encoded videos: exact frame times, key frames at episode starts, clear refusals, and nothing half-written."""

import weakref
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from robomix.errors import ConfigError
from robomix.formats import open_dataset
from robomix.mixture.transforms.pictures import resized
from robomix.video.encode import encode_video
from tests.fixtures import write_v30
from tests.pictures import decode_video, picture, pictures, row_and_camera

CODECS = ["libsvtav1", "h264"]


def packets_of(path: Path) -> list[tuple[Fraction, bool]]:
    """(time in seconds, key frame?) of each packet in file order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(p.pts * stream.time_base, p.is_keyframe) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("fps", [Fraction(10), Fraction(80), Fraction(2997, 100), Fraction(30000, 1001)])
def test_frame_i_is_shown_at_exactly_i_over_fps(tmp_path: Path, codec: str, fps: Fraction) -> None:
    path = tmp_path / "video.mp4"
    assert encode_video(path, pictures(range(45), 0, 32, 48), fps, codec=codec) == 45
    assert [time for time, _ in packets_of(path)] == [i / fps for i in range(45)]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
        assert stream.start_time == 0
        assert stream.duration * stream.time_base == 45 / fps


@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_decodes_to_the_picture_given(tmp_path: Path, codec: str) -> None:
    frames = pictures(range(20), 3, 32, 48)
    encode_video(tmp_path / "video.mp4", frames, Fraction(30), codec=codec)
    decoded = decode_video(tmp_path / "video.mp4")
    assert [row_and_camera(image) for image in decoded] == [(row, 3) for row in range(20)]
    assert np.abs(decoded.astype(int) - frames).mean() < 10


@pytest.mark.parametrize("codec", CODECS)
def test_each_episode_starts_on_a_key_frame_even_off_the_rhythm_of_two(tmp_path: Path, codec: str) -> None:
    path, starts = tmp_path / "video.mp4", [0, 5, 6, 13]
    still = np.repeat(picture(7, 0, 64, 64)[None], 16, axis=0)  # no scene change that would make a key frame by itself
    encode_video(path, still, Fraction(10), codec=codec, episode_starts=starts)
    keys = {i for i, (_, key) in enumerate(packets_of(path)) if key}
    assert keys.issuperset(starts)
    assert keys != set(range(16)), "key frames everywhere would prove nothing"


def test_decoding_from_an_episode_start_gives_the_same_frames(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    encode_video(path, pictures(range(12), 0, 64, 64), Fraction(10), episode_starts=[0, 5])
    whole = decode_video(path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(round(Fraction(5, 10) / stream.time_base), stream=stream)
        first = next(container.decode(stream))
    assert first.pts * stream.time_base == Fraction(5, 10)
    assert np.array_equal(first.to_ndarray(format="rgb24").transpose(2, 0, 1), whole[5])


def test_channels_first_and_channels_last_give_the_same_file(tmp_path: Path) -> None:
    frames = pictures(range(6), 0, 32, 48)
    encode_video(tmp_path / "chw.mp4", frames, Fraction(10))
    encode_video(tmp_path / "hwc.mp4", frames.transpose(0, 2, 3, 1), Fraction(10))
    assert (tmp_path / "chw.mp4").read_bytes() == (tmp_path / "hwc.mp4").read_bytes()


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    assert encode_video(tmp_path / "video.mp4", pictures([9], 0, 32, 48), Fraction(50)) == 1
    assert row_and_camera(decode_video(tmp_path / "video.mp4")[0]) == (9, 0)


def test_the_index_stands_before_the_frames(tmp_path: Path) -> None:
    encode_video(tmp_path / "video.mp4", pictures(range(5), 0, 32, 48), Fraction(10))
    content = (tmp_path / "video.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_frames_are_not_kept(tmp_path: Path) -> None:
    alive = most = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for row in range(60):
            image = picture(row, 0, 32, 48)
            weakref.finalize(image, forget)
            alive += 1
            most = max(most, alive)
            yield image

    def forget() -> None:
        nonlocal alive
        alive -= 1

    encode_video(tmp_path / "video.mp4", stream(), Fraction(10))
    assert most <= 4


@pytest.mark.parametrize("name", ["it's großer 100%d.mp4", "a:b.mp4"])
def test_odd_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    encode_video(Path(name), pictures(range(3), 0, 32, 48), Fraction(10))
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("size", "codec", "message"),
    [
        ((33, 48), "h264", r"33x48 .*needs both even.*32x48.*images"),
        ((32, 49), "libsvtav1", r"32x49 .*needs both even.*32x48"),
        ((24, 24), "libsvtav1", r"24x24 .*at least 32 each way.*'h264'"),
    ],
)
def test_sizes_that_video_cannot_have_are_refused(
    tmp_path: Path, size: tuple[int, int], codec: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        encode_video(tmp_path / "video.mp4", [picture(0, 0, *size)], Fraction(10), codec=codec)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_codec_is_named_with_the_one_meant(tmp_path: Path) -> None:
    known = r"\['h264', 'h264_lossless', 'libsvtav1'\]"
    with pytest.raises(ConfigError, match=rf"'libsvtav'.*{known}.*Did you mean 'libsvtav1'"):
        encode_video(tmp_path / "video.mp4", [picture(0, 0, 32, 48)], Fraction(10), codec="libsvtav")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (picture(2, 0, 32, 64), r"Frame 2 .*\(3, 32, 64\).*expected uint8 of shape \(3, 32, 48\)"),
        (picture(2, 0, 32, 48).astype(np.float32), r"Frame 2 .* is float32"),
    ],
)
def test_a_frame_of_another_kind_is_named_and_leaves_no_file(tmp_path: Path, bad: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encode_video(tmp_path / "video.mp4", [*pictures(range(2), 0, 32, 48), bad], Fraction(10))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("frames", "message"), [([], "no frames"), ([np.zeros((4, 4), np.uint8)], r"shape \(4, 4\)")])
def test_nothing_to_encode_is_an_error(tmp_path: Path, frames: list[np.ndarray], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encode_video(tmp_path / "video.mp4", frames, Fraction(10))
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_encoding_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"old")

    def frames() -> Iterator[np.ndarray]:
        yield picture(0, 0, 32, 48)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_video(path, frames(), Fraction(10))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert encode_video(path, pictures(range(4), 0, 32, 48), Fraction(10)) == 4
    assert len(decode_video(path)) == 4


def test_equal_pictures_give_equal_files_every_time(tmp_path: Path) -> None:
    """With x264's `mbtree` some of them had other bytes."""
    write_v30(tmp_path / "set", lengths=(8, 6, 7, 9), gop=1, cameras={"observation.images.top": (48, 64)})
    dataset = open_dataset(tmp_path / "set")
    frames = torch.from_numpy(dataset.read_frames("observation.images.top", np.arange(30)))
    images, path, found = resized(frames, 32, 32).numpy(), tmp_path / "video.mp4", set()
    for _ in range(200):
        encode_video(path, images, dataset.fps, codec="h264", episode_starts=(0, 8, 14, 21))
        found.add(path.read_bytes())
    assert len(found) == 1

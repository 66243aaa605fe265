"""What is said of a video file by its packets is what decoding it shows."""

from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.tools.check.raw.glances import glance
from robomix.tools.check.raw.videos import Videos, read_index, read_video
from robomix.video.timeline import walk_packets
from tests.defects.films import blank_packet, rewrite, turn
from tests.pictures import pictures, write_video
from tests.video.odd_files import COUNT, HEIGHT, ODD_FILES, WIDTH, Odd, write_odd

FRAMES = pictures(range(24), 0, 64, 96)


def film(path: Path, **options: object) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    rewrite(path, FRAMES, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("odd", ODD_FILES.values(), ids=ODD_FILES)
def test_packets_are_counted_and_timed_as_the_decoder_gives_them(odd: Odd, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_odd(path, odd)
    facts, timeline = read_video(path), walk_packets(path)
    with av.open(str(path)) as container:
        shown = [frame.pts for frame in container.decode(video=0)]
    assert facts.count == timeline.count
    assert (facts.height, facts.width) == (HEIGHT, WIDTH)
    if facts.is_timed:
        assert np.sort(facts.times).tolist() == sorted(shown)
        assert facts.keys.tolist() == timeline.keys.tolist()
        assert set(facts.cuttable.tolist()) <= set(facts.keys.tolist())
    assert facts.count + facts.hidden == COUNT
    assert not facts.is_cut_off


@pytest.mark.parametrize("odd", ODD_FILES.values(), ids=ODD_FILES)
def test_the_index_of_a_whole_file_says_what_its_packets_say(odd: Odd, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_odd(path, odd)
    found, expected = read_index(path), read_video(path)
    for field in fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)


def test_the_index_of_a_file_that_was_cut_off_is_not_believed(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[:-500])
    assert read_index(path).is_cut_off


def test_open_groups_cannot_be_cut(tmp_path: Path) -> None:
    for name, is_closed in (("open groups, H.264", False), ("B-frames", True)):
        write_odd(tmp_path / "film.mp4", ODD_FILES[name])
        facts = read_video(tmp_path / "film.mp4")
        assert (facts.cuttable.tolist() == facts.keys.tolist()) is is_closed


def test_the_header_of_a_file_is_told(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", audio=True, aspect=Fraction(4, 3))
    turn(path)
    facts = read_video(path)
    assert (facts.codec, facts.pix_fmt, facts.bits, facts.height, facts.width) == ("h264", "yuv420p", 8, 64, 96)
    assert (facts.aspect, facts.rotation, facts.audio_streams) == (Fraction(4, 3), 90, 1)
    assert facts.declared_count == facts.count == 24
    assert facts.rate == pytest.approx(10)
    assert not facts.full_range


def test_parameter_sets_tell_files_apart_that_cannot_be_joined(tmp_path: Path) -> None:
    same = [read_video(film(tmp_path / name)).parameters for name in ("a.mp4", "b.mp4")]
    other = read_video(film(tmp_path / "c.mp4", bf=2)).parameters
    assert same[0] == same[1] != other


def test_a_file_cut_off_behind_its_index_has_fewer_packets_than_promised(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[:-500])
    facts = read_video(path)
    assert facts.declared_count == 24
    assert 0 < facts.count < 24
    assert facts.is_cut_off


def test_a_file_is_read_once_and_damage_is_said_in_words(tmp_path: Path) -> None:
    film(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    read: list[str] = []

    def counted(path: Path) -> object:
        read.append(path.name)
        return read_video(path)

    videos = Videos(tmp_path, counted)  # type: ignore[arg-type]
    assert videos.facts("good.mp4") is videos.facts("good.mp4")
    assert videos.facts("bad.mp4") is None
    assert str(videos["bad.mp4"]).startswith("cannot be opened as a video")
    assert read == ["good.mp4", "bad.mp4"]


def test_all_frames_are_looked_at_and_lost_ones_are_missing(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    whole = glance(path, 24)
    assert whole.grey.shape == (24, 8, 8)
    assert len(np.unique(whole.checksums)) == 24
    assert np.abs(whole.grey.mean((1, 2)) - FRAMES.mean((1, 2, 3))).max() < 3
    blank_packet(path, 0)
    assert len(glance(path, 24).times) < 24


def test_brightness_runs_from_black_to_white_whatever_the_range(tmp_path: Path) -> None:
    black_and_white = np.stack([np.zeros((3, 64, 96)), np.full((3, 64, 96), 255)] * 4).astype(np.uint8)
    for pix_fmt in ("yuv420p", "yuvj420p", "yuv420p10le"):
        rewrite(tmp_path / "film.mp4", black_and_white, pix_fmt=pix_fmt)
        grey = glance(tmp_path / "film.mp4", 8).grey
        assert grey[::2].max() <= 4
        assert grey[1::2].min() >= 250


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"film\.mp4 does not exist"):
        read_video(tmp_path / "film.mp4")
    write_video(tmp_path / "film.mp4", FRAMES, Fraction(10))
    assert read_video(tmp_path / "film.mp4").count == 24

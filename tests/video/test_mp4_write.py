"""Samples copied as bytes: what FFmpeg reads of the new file is what it wrote itself when it copied the packets."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.video import mp4_write
from robomix.video.decoding_order import decoding_order
from robomix.video.mp4 import read_presentation, read_stored_samples
from robomix.video.mp4_write import Piece, Timing, write_mp4
from robomix.video.remux import Clip, remux
from tests.defects.films import rewrite, turn
from tests.pictures import decode_video, pictures
from tests.video.odd_files import COUNT, ODD_FILES, write_odd

FPS = Fraction(30)
SIMPLE = ["B-frames", "one key frame", "AV1", "later start", "uneven times", "index first", "full chroma", "ten bits"]


def packets(path: Path) -> list[tuple[int | None, int | None, bool, bytes]]:
    with av.open(str(path)) as container:
        demuxed = container.demux(video=0)
        return [(p.pts, p.dts, p.is_keyframe, bytes(p)) for p in demuxed if p.size]


def piece(path: Path, start: int, stop: int) -> Piece:
    samples = read_stored_samples(path)
    assert samples is not None
    return Piece(path, samples, start, stop)


def timing(path: Path) -> Timing:
    order = decoding_order(path)
    return Timing(15360, 512, order.rank, order.is_key)


@pytest.mark.parametrize("name", SIMPLE)
def test_packets_and_their_times_are_those_of_a_file_that_ffmpeg_wrote(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES[name])
    clips = [Clip(source, 0, COUNT)] * 2
    remux(clips, tmp_path / "by_bytes.mp4", FPS)
    monkeypatch.setattr("robomix.video.remux.read_stored_samples", lambda path: None)  # FFmpeg takes each packet
    remux(clips, tmp_path / "by_packets.mp4", FPS)
    assert packets(tmp_path / "by_bytes.mp4") == packets(tmp_path / "by_packets.mp4")
    assert (tmp_path / "by_bytes.mp4").read_bytes() != (tmp_path / "by_packets.mp4").read_bytes()


def test_offsets_beyond_32_bits_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES["B-frames"])
    monkeypatch.setattr(mp4_write, "_LONG", 1000)
    write_mp4(tmp_path / "out.mp4", [piece(source, 0, COUNT)], timing(source))
    data = (tmp_path / "out.mp4").read_bytes()
    assert b"co64" in data
    assert b"stco" not in data
    np.testing.assert_array_equal(decode_video(tmp_path / "out.mp4"), decode_video(source))


def test_sound_between_the_frames_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    frames = pictures(range(24), 0, 64, 96)
    rewrite(source, frames, audio=True)
    own = piece(source, 0, 24)
    assert (own.samples.offsets[1:] != (own.samples.offsets + own.samples.sizes)[:-1]).any()
    remux([Clip(source, 0, 24)], tmp_path / "out.mp4", Fraction(10))
    np.testing.assert_array_equal(decode_video(tmp_path / "out.mp4"), decode_video(source))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_pictures_that_are_to_be_turned_still_are(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    rewrite(source, pictures(range(24), 0, 64, 96))
    turn(source)
    remux([Clip(source, 0, 24)], tmp_path / "out.mp4", Fraction(10))
    found = read_presentation(tmp_path / "out.mp4")
    assert found is not None
    assert found.rotation == 90


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES["index first"])
    own, when = piece(source, 0, COUNT), timing(source)
    source.write_bytes(source.read_bytes()[:-10])
    with pytest.raises(FormatError, match=r"in\.mp4 ends 10 bytes before the frames its index lists"):
        write_mp4(tmp_path / "out.mp4", [own], when)


@pytest.mark.parametrize("box", ["avc1", "url ", "stsc"])
def test_what_cannot_be_copied_by_its_bytes_is_left_to_ffmpeg(tmp_path: Path, box: str) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES["B-frames"])
    assert read_stored_samples(source) is not None
    data = bytearray(source.read_bytes())
    place = data.rindex(box.encode())
    if box == "avc1":
        data[place : place + 4] = b"encv"  # encrypted
    elif box == "url ":
        data[place + 7] = 0  # the samples lie in another file
    else:
        data[place + 15] += 1  # chunks begin at the second
    source.write_bytes(data)
    assert read_stored_samples(source) is None


def test_samples_beyond_the_end_of_the_file_are_none(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES["B-frames"])
    data = bytearray(source.read_bytes())
    place = data.rindex(b"stco") + 12
    data[place : place + 4] = len(data).to_bytes(4, "big")
    source.write_bytes(data)
    assert read_stored_samples(source) is None


def test_a_copy_that_ffmpeg_finds_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.mp4"
    write_odd(source, ODD_FILES["B-frames"])
    write = write_mp4

    def damaged(target: Path, pieces: list[Piece], when: Timing) -> None:
        write(target, pieces, when)
        data = bytearray(target.read_bytes())
        data[data.index(b"mdat") + 20] ^= 1
        target.write_bytes(data)

    monkeypatch.setattr("robomix.video.remux.write_mp4", damaged)
    with pytest.raises(FormatError, match="read back, its frame 0 is not frame 0 of"):
        remux([Clip(source, 0, COUNT)], tmp_path / "out.mp4", FPS)
    assert list(tmp_path.iterdir()) == [source]

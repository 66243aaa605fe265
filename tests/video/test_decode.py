"""Frame i is the i-th in presentation order, bit for bit, from any file and in whatever order frames are asked for."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.video.decode import Decoder, FrameError
from robomix.video.timeline import Timelines
from tests.fixtures import decode_video, row_and_camera
from tests.pictures import pictures, write_video
from tests.video.odd_files import COUNT, HEIGHT, ODD_FILES, WIDTH, Odd, write_odd


def read(decoder: Decoder, frames: list[int]) -> np.ndarray:
    out = np.zeros((len(frames), 3, HEIGHT, WIDTH), np.uint8)
    decoder.read_into(np.array(frames), out, np.arange(len(frames)))
    return out


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames in groups of ten, without B-frames."""
    path = tmp_path_factory.mktemp("video") / "h264.mp4"
    write_odd(path, Odd(options={"g": "10", "bf": "0", "sc_threshold": "0"}))
    return path


@pytest.mark.parametrize("odd", ODD_FILES.values(), ids=list(ODD_FILES))
def test_random_access_equals_decoding_everything(tmp_path: Path, odd: Odd) -> None:
    write_odd(tmp_path / "video.mp4", odd)
    truth = decode_video(tmp_path / "video.mp4")
    decoder, rng = Decoder(tmp_path / "video.mp4", Timelines()), np.random.default_rng(0)
    assert decoder.timeline.count == len(truth)
    for size in (1, 1, 1, 1, 1, 1, 1, 1, 4, 20, COUNT):
        frames = rng.integers(0, len(truth), size).tolist()
        np.testing.assert_array_equal(read(decoder, frames), truth[frames])
    np.testing.assert_array_equal(read(decoder, list(range(len(truth)))), truth)
    np.testing.assert_array_equal(read(decoder, [len(truth) - 1, 0]), truth[[-1, 0]])


def test_frames_carry_their_own_numbers(h264: Path) -> None:
    decoder = Decoder(h264, Timelines())
    assert [row_and_camera(image)[0] for image in read(decoder, [17, 3, 39, 3, 0])] == [17, 3, 39, 3, 0]


def test_each_group_is_decoded_once_however_the_frames_are_ordered(h264: Path) -> None:
    decoder = Decoder(h264, Timelines())
    read(decoder, [15, 3, 13, 3, 35, 11])  # groups of ten: frames 0-3, then 10-15, then 30-35
    assert decoder.decoded == 4 + 6 + 6


def test_decoding_goes_on_where_it_stopped(h264: Path) -> None:
    decoder = Decoder(h264, Timelines())
    for frame in range(8):
        read(decoder, [frame])
    assert decoder.decoded == 8


def test_skipped_groups_are_not_decoded(h264: Path) -> None:
    decoder = Decoder(h264, Timelines())
    read(decoder, [0, 30])
    assert decoder.decoded == 2


def test_frames_go_to_the_positions_given_and_nowhere_else(h264: Path) -> None:
    out = np.full((5, 3, HEIGHT, WIDTH), 7, np.uint8)
    Decoder(h264, Timelines()).read_into(np.array([9, 2, 9]), out, np.array([4, 0, 2]))
    assert (out[[1, 3]] == 7).all()
    assert [row_and_camera(out[i])[0] for i in (4, 0, 2)] == [9, 2, 9]


def test_a_frame_beyond_the_end_or_of_another_size_is_refused(h264: Path) -> None:
    decoder = Decoder(h264, Timelines())
    with pytest.raises(FrameError, match=r"h264.mp4 has 40 frames, no frame 40") as error:
        read(decoder, [40])
    assert error.value.frame == 40
    with pytest.raises(FrameError, match="frame 1 is 64 x 48, the dataset's frames of this camera are 32 x 16"):
        decoder.read_into(np.array([1]), np.empty((1, 3, 16, 32), np.uint8), np.array([0]))


def test_a_damaged_stretch_is_named_and_the_rest_still_reads(h264: Path, tmp_path: Path) -> None:
    truth, path = decode_video(h264), tmp_path / "damaged.mp4"
    content = bytearray(h264.read_bytes())
    with av.open(str(h264)) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in spans[20:30]:
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    decoder = Decoder(path, Timelines())
    with pytest.raises(FrameError, match=r"damaged.mp4: frame 24 of 40 cannot be decoded; the file is damaged there"):
        read(decoder, [24])
    intact = [*range(20), *range(30, 40)]
    np.testing.assert_array_equal(read(decoder, intact), truth[intact])


def test_a_video_that_starts_inside_a_group_says_so_and_shifts_nothing(h264: Path, tmp_path: Path) -> None:
    truth, path = decode_video(h264), tmp_path / "cut.mp4"
    with av.open(str(h264)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in [packet for packet in source.demux(video=0) if packet.size][5:]:
            packet.stream = stream
            target.mux(packet)
    decoder = Decoder(path, Timelines())
    assert decoder.timeline.count == 35
    np.testing.assert_array_equal(read(decoder, [5, 34]), truth[[10, 39]])
    with pytest.raises(FrameError, match=r"frame 3 of 35 cannot be decoded"):
        read(decoder, [3])


def test_a_jump_that_cannot_start_there_backs_up_instead_of_starting_over(tmp_path: Path) -> None:
    write_odd(tmp_path / "video.mkv", ODD_FILES["intra refresh in Matroska"])
    decoder = Decoder(tmp_path / "video.mkv", Timelines())
    assert decoder.timeline.keys.tolist() == [0, 12, 24, 36]
    read(decoder, [36])  # from frame 24, since the picture is whole only some frames after 36
    assert decoder.decoded < 20


def test_an_index_that_lies_is_replaced_by_the_packets(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_odd(path, Odd(options={"g": "10", "bf": "0"}))
    truth, content = decode_video(path), path.read_bytes()
    # Only the index says which frames are key frames; let it say that frame 5 is one.
    place = content.index(b"stss") + 4 + 4 + 4
    path.write_bytes(content[: place + 4] + (6).to_bytes(4, "big") + content[place + 8 :])
    decoder = Decoder(path, Timelines())
    assert 5 in decoder.timeline.keys
    np.testing.assert_array_equal(read(decoder, [0, 3, 25]), truth[[0, 3, 25]])


def test_a_video_cannot_send_the_reader_elsewhere(tmp_path: Path) -> None:
    write_video(tmp_path / "real.mp4", pictures(range(3), 0, HEIGHT, WIDTH), Fraction(30))
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n"
    for name, text in {"hls.mp4": playlist, "concat.mp4": "ffconcat version 1.0\nfile real.mp4\n"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FormatError, match=f"{name} cannot be opened as a video"):
            Decoder(tmp_path / name, Timelines())


def test_an_unknown_codec_is_refused(h264: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.mp4").write_bytes(h264.read_bytes().replace(b"avc1", b"q7zz"))
    with pytest.raises(FormatError, match=r"odd\.mp4 has a video stream in an unknown codec"):
        Decoder(tmp_path / "odd.mp4", Timelines())


def test_a_file_with_sound_only_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(FormatError, match=r"sound.mp4 has no video stream, only \['audio'\]"):
        Decoder(tmp_path / "sound.mp4", Timelines())

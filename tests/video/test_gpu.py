"""Frames of the GPU are the processor's bit for bit, or refused; a stand-in for the GPU tells where none is at hand."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from robomix import MixtureConfig, make_mixture, open_dataset
from robomix.errors import ConfigError
from robomix.video import gpu
from robomix.video.decode import Decoder, FrameError
from robomix.video.gpu import GpuDecoder
from robomix.video.pool import DecoderPool
from robomix.video.timeline import Timelines
from tests.fixtures import decode_video, write_v21
from tests.video.odd_files import COUNT, HEIGHT, ODD_FILES, WIDTH, Odd, write_odd
from tests.video.on_gpu import Rehearsal, gpu_is_there

NOT_ON_GPU = ("AVI", "pictures only", "full chroma")
ON_GPU = {name: odd for name, odd in ODD_FILES.items() if name not in NOT_ON_GPU}
LARGE = 256
"""Height and width of pictures that every video unit takes."""

no_gpu = pytest.mark.skipif(gpu_is_there(), reason="there is a GPU")
needs_gpu = pytest.mark.skipif(not gpu_is_there(), reason="no NVIDIA GPU that decodes videos")


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Rehearsal)


def use(monkeypatch: pytest.MonkeyPatch, stand_in: type[Rehearsal]) -> None:
    monkeypatch.setattr(gpu, "hardware_codec", stand_in)
    monkeypatch.setattr(gpu, "_compared", set())
    monkeypatch.setattr(stand_in, "decoded", 0)


def read(decoder: Decoder, frames: list[int]) -> np.ndarray:
    out = np.zeros((len(frames), 3, HEIGHT, WIDTH), np.uint8)
    decoder.read_into(np.array(frames), out, np.arange(len(frames)))
    return out


@pytest.mark.parametrize("odd", ON_GPU.values(), ids=list(ON_GPU))
def test_random_access_gives_what_the_processor_gives(tmp_path: Path, odd: Odd, rehearsal: None) -> None:
    path, rng = tmp_path / "video.mp4", np.random.default_rng(0)
    write_odd(path, odd)
    truth, decoder = decode_video(path), GpuDecoder(path, Timelines())
    for size in (1, 1, 1, 1, 4, 20, COUNT):
        frames = rng.integers(0, len(truth), size).tolist()
        np.testing.assert_array_equal(read(decoder, frames), truth[frames])
    np.testing.assert_array_equal(read(decoder, list(range(len(truth)))), truth)
    decoder.close()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(66, 50), (322, 242)], ids=str)
def test_planes_are_pulled_apart_whatever_the_range_depth_and_size(
    pix_fmt: str, size: tuple[int, int], tmp_path: Path, rehearsal: None
) -> None:
    width, height = size
    with av.open(str(tmp_path / "video.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        noise = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), np.uint8)
        for image in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    truth = decode_video(tmp_path / "video.mp4")
    out = np.empty_like(truth)
    GpuDecoder(tmp_path / "video.mp4", Timelines()).read_into(np.arange(4), out, np.arange(4))
    np.testing.assert_array_equal(out, truth)


def test_recordings_of_robots_are_what_the_processor_gives(real_data: Path, rehearsal: None) -> None:
    files = [sorted(real_data.glob(f"{name}/videos/**/*.mp4"))[0] for name in ("cr5_v21", "gr1_v20", "g1_v30")]
    for path in files:
        processor, decoder = Decoder(path, Timelines()), GpuDecoder(path, Timelines())
        frames = np.random.default_rng(0).integers(0, processor.timeline.count, 6)
        with av.open(str(path)) as container:
            shape = (6, 3, container.streams.video[0].height, container.streams.video[0].width)
        ours, theirs = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        decoder.read_into(frames, ours, np.arange(6))
        processor.read_into(frames, theirs, np.arange(6))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "held_back"), [("B-frames", 2), ("AV1", 0), ("VP9 in WebM", 0)])
def test_the_decoder_is_told_how_many_frames_to_put_in_order(
    tmp_path: Path, name: str, held_back: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which H.264 need not say. x264 does, so the pictures would not show it."""
    told: list[str] = []

    class Notes(Rehearsal):
        def decode(self, packet: av.Packet) -> Iterator[av.VideoFrame]:
            told.append(self.options["has_b_frames"])
            return super().decode(packet)

    use(monkeypatch, Notes)
    write_odd(tmp_path / "video", ODD_FILES[name])
    read(GpuDecoder(tmp_path / "video", Timelines()), [20])
    assert set(told) == {str(held_back)}


@pytest.mark.parametrize(("name", "codec"), [("AVI", "mpeg4"), ("pictures only", "mjpeg")])
def test_a_codec_the_gpu_is_not_asked_for_is_named(tmp_path: Path, name: str, codec: str, rehearsal: None) -> None:
    write_odd(tmp_path / "video", ODD_FILES[name])
    with pytest.raises(
        ConfigError, match=rf"video: decode_device: the GPU decodes h264, .*this video is {codec}\..*out"
    ):
        GpuDecoder(tmp_path / "video", Timelines())


def test_frames_in_a_format_nobody_asked_for_are_refused_as_those_of_a_fallback_would_be(tmp_path: Path) -> None:
    frame = av.VideoFrame(64, 48, "yuv420p")
    with pytest.raises(gpu.FormatError, match="found a frame in yuv420p, expected one that holds yuv420p"):
        gpu.planar(frame, "yuv420p")


class Refuses(Rehearsal):
    def decode(self, packet: av.Packet) -> list[av.VideoFrame]:
        raise av.error.InvalidDataError(1, "Invalid data")


def test_what_only_the_gpu_does_not_decode_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Refuses)
    write_odd(tmp_path / "video.mp4", ODD_FILES["ten bits"])
    message = r"does not decode frame 7 of this video \(h264, yuv420p10le, 64 x 48\), which the processor does"
    with pytest.raises(ConfigError, match=message):
        read(GpuDecoder(tmp_path / "video.mp4", Timelines()), [7])


def test_damage_is_the_processors_to_tell(tmp_path: Path, rehearsal: None) -> None:
    write_odd(tmp_path / "whole.mp4", Odd(options={"g": "10", "bf": "0", "sc_threshold": "0"}))
    content = bytearray((tmp_path / "whole.mp4").read_bytes())
    with av.open(str(tmp_path / "whole.mp4")) as container:
        spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in spans[20:30]:
        content[position : position + size] = b"\xff" * size
    (tmp_path / "damaged.mp4").write_bytes(content)
    decoder = GpuDecoder(tmp_path / "damaged.mp4", Timelines())
    with pytest.raises(FrameError, match="frame 24 of 40 cannot be decoded; the file is damaged there"):
        read(decoder, [24])
    with pytest.raises(FrameError, match="has 40 frames, no frame 40"):
        read(decoder, [40])
    np.testing.assert_array_equal(read(decoder, [3, 35]), decode_video(tmp_path / "whole.mp4")[[3, 35]])


class Brighter(Rehearsal):
    by = 1

    def changed(self, frame: av.VideoFrame) -> av.VideoFrame:
        luma = frame.planes[0]
        luma.update((np.frombuffer(luma, np.uint8) + np.uint8(self.by)).tobytes())
        return frame


@pytest.mark.parametrize("by", [1, 3])
def test_frames_may_differ_by_one_grey_level_and_no_more(
    by: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Brighter)
    monkeypatch.setattr(Brighter, "by", by)
    path = tmp_path / "video.mp4"
    write_odd(path, Odd(pix_fmt="yuvj420p"))  # full range: a level of luma is a level of grey
    decoder = GpuDecoder(path, Timelines())
    if by == 1:
        apart = np.abs(read(decoder, [7, 8]).astype(int) - decode_video(path)[[7, 8]])
        assert apart.max() == 1
        return
    with pytest.raises(ConfigError, match=r"frame 7 of this video \(h264, .* is up to 3 grey levels from"):
        read(decoder, [7, 8])


def test_each_file_is_compared_once(tmp_path: Path, rehearsal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write_odd(tmp_path / "video.mp4", ODD_FILES["B-frames"])
    asked: list[int] = []
    by_processor = GpuDecoder._by_processor
    monkeypatch.setattr(
        GpuDecoder, "_by_processor", lambda self, n, shape: asked.append(n) or by_processor(self, n, shape)
    )
    for _ in range(2):
        decoder = GpuDecoder(tmp_path / "video.mp4", Timelines())
        read(decoder, [9, 4])
        read(decoder, [5])
    assert asked == [9]


def test_a_decoder_of_one_device_is_not_lent_for_the_other(tmp_path: Path, rehearsal: None) -> None:
    write_odd(tmp_path / "video.mp4", ODD_FILES["B-frames"])
    pool = DecoderPool()
    with pool.lend(tmp_path / "video.mp4") as processor:
        pass
    with pool.lend(tmp_path / "video.mp4", "cuda") as first:
        assert (processor.device, first.device) == ("cpu", "cuda")
    with pool.lend(tmp_path / "video.mp4", "cuda") as again, pool.lend(tmp_path / "video.mp4") as other:
        assert again is first
        assert other is processor


def test_a_mixture_reads_where_it_is_told(tmp_path: Path, rehearsal: None) -> None:
    write_v21(tmp_path / "set")
    config = {"datasets": [{"root": str(tmp_path / "set")}]}
    theirs = make_mixture(MixtureConfig.from_dict(config))
    ours = make_mixture(MixtureConfig.from_dict(config | {"decode_device": "cuda"}))
    opened = Rehearsal.decoded
    assert opened  # a frame of each camera, so that what cannot work is told before training
    expected = theirs.__getitems__(range(len(theirs)))
    assert Rehearsal.decoded == opened
    batch = pickle.loads(pickle.dumps(ours)).__getitems__(range(len(ours)))
    assert Rehearsal.decoded >= opened + len(ours)
    for key in theirs.meta.camera_keys:
        assert (batch[key] == expected[key]).all()


@no_gpu
def test_a_machine_without_a_gpu_is_told_at_opening(tmp_path: Path) -> None:
    write_v21(tmp_path / "set")
    message = r"decode_device: found no NVIDIA GPU that decodes videos, asked for cuda:0 .*Leave `decode_device` out"
    with pytest.raises(ConfigError, match=message):
        open_dataset(tmp_path / "set", decode_device="cuda")
    entries = {"datasets": [{"root": str(tmp_path / "set")}], "decode_device": "cuda"}
    with pytest.raises(ConfigError, match=message):
        make_mixture(MixtureConfig.from_dict(entries))


@no_gpu
def test_each_process_of_a_machine_asks_for_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(ConfigError, match="asked for cuda:3"):
        gpu.require_gpu()


def test_another_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"decode_device: found 'gpu', expected .*cpu.*cuda"):
        MixtureConfig.from_dict({"datasets": [{"root": "a"}], "decode_device": "gpu"})


@needs_gpu
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
def test_a_gpu_gives_what_the_processor_gives(codec: str, tmp_path: Path) -> None:
    """On H200, A100 and the like; a codec that this GPU does not know is a skip that says so."""
    with av.open(str(tmp_path / "video.mp4"), "w") as container:
        stream = container.add_stream(codec, rate=30, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = LARGE, LARGE, "yuv420p"
        base = np.random.default_rng(0).integers(0, 256, (LARGE // 8, LARGE // 8, 3), np.uint8)
        for shift in range(COUNT):
            image = np.roll(base.repeat(8, 0).repeat(8, 1), 3 * shift, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))
    truth, frames = decode_video(tmp_path / "video.mp4"), np.random.default_rng(0).permutation(COUNT)
    out = np.empty_like(truth)
    decoder = GpuDecoder(tmp_path / "video.mp4", Timelines())
    try:
        decoder.read_into(frames, out, frames)
    except ConfigError as error:
        if "does not decode frame" not in str(error):
            raise
        pytest.skip(str(error))
    np.testing.assert_array_equal(out, truth)

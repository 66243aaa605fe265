"""Pixels equal PyAV's and Pillow's own conversion, and work is shared out without decoding anything twice."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from robomix.errors import FormatError
from robomix.video.pictures import decode_picture, picture_size
from robomix.video.rgb import PlanarRgb, planar_is_exact
from robomix.video.spread import shares
from robomix.video.timeline import Timeline

FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gray", "rgb24", "gbrp", "bgra"]
SIZES = [(64, 48), (640, 480), (98, 50), (34, 18), (17, 9), (2, 2)]


def noise(pixel_format: str, width: int, height: int, seed: int) -> av.VideoFrame:
    frame, rng = av.VideoFrame(width, height, pixel_format), np.random.default_rng(seed)
    for plane in frame.planes:
        values = rng.integers(0, 256, plane.buffer_size, np.uint8)
        if pixel_format.endswith("10le"):
            values[1::2] %= 4  # the upper byte of ten bits in sixteen
        plane.update(values.tobytes())
    return frame


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_frames_become_the_same_rgb_as_in_pyav(pixel_format: str, size: tuple[int, int]) -> None:
    converter, (width, height) = PlanarRgb(), size
    for seed in (1, 2):
        frame, out = noise(pixel_format, width, height, seed), np.empty((3, height, width), np.uint8)
        converter.write(frame, out)
        np.testing.assert_array_equal(out, frame.to_ndarray(format="rgb24").transpose(2, 0, 1))


def test_one_converter_serves_frames_of_changing_size() -> None:
    converter = PlanarRgb()
    for seed, size in enumerate([(64, 48), (32, 32), (64, 48)]):
        frame, out = noise("yuv420p", *size, seed), np.empty((3, size[1], size[0]), np.uint8)
        converter.write(frame, out)
        np.testing.assert_array_equal(out, frame.to_ndarray(format="rgb24").transpose(2, 0, 1))


def test_deep_colour_never_takes_the_planar_route() -> None:
    assert not planar_is_exact("yuv420p10le", 64, 48)


@pytest.mark.parametrize(("kind", "options"), [("png", {}), ("jpeg", {"quality": 90}), ("webp", {"lossless": True})])
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_encoded_pictures_become_what_pillow_decodes(kind: str, options: dict, channels: int, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(file, kind, **options)
    out = np.empty((channels, 20, 30), np.uint8)
    assert picture_size(file.getvalue(), "it") == (20, 30)
    decode_picture(file.getvalue(), out, "it")
    expected = np.asarray(Image.open(file).convert(mode)).reshape(20, 30, channels)
    np.testing.assert_array_equal(out, expected.transpose(2, 0, 1))
    if kind == "png":
        np.testing.assert_array_equal(out, pixels.transpose(2, 0, 1))


def test_a_picture_of_another_size_is_refused_before_it_is_decoded() -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, "png")
    header_only = file.getvalue()[:50]
    with pytest.raises(FormatError, match=r"picture 7 is 30 x 20, the dataset's other pictures .* are 40 x 20"):
        decode_picture(header_only, np.empty((3, 20, 40), np.uint8), "picture 7")


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robomix.video.spread._processors", lambda: 2)


def timeline(group: int) -> Timeline:
    return Timeline(1000, np.arange(1000), np.arange(0, 1000, group), 0)


def test_many_frames_of_a_file_are_shared_out_at_key_frames(two_processors: None) -> None:
    frames = np.arange(0, 320, 10)
    assert shares(frames, timeline(2)) == [slice(0, 16), slice(16, 32)]
    parts = [set(timeline(50).key_before(frames[share]).tolist()) for share in shares(frames, timeline(50))]
    assert len(parts) == 2
    assert not parts[0] & parts[1]


def test_few_frames_or_those_of_one_group_stay_together(two_processors: None) -> None:
    assert shares(np.arange(15), timeline(2)) == [slice(0, 15)]
    assert shares(np.repeat(np.arange(4), 10), timeline(2)) == [slice(0, 40)]
    assert shares(np.arange(40), timeline(1000)) == [slice(0, 40)]

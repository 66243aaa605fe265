"""How a camera's frames are stored, from the header of its first file: nothing is decoded."""

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.cached import CachedDataset
from robomix.formats.lerobot.cameras import VideoCamera
from robomix.formats.pictures import PictureCamera
from robomix.tools.inspect.description import CameraDescription
from robomix.video.mp4 import read_sample_table
from robomix.video.timeline import open_video


def describe_camera(dataset: Dataset, key: str) -> CameraDescription:
    """The camera `key` of `dataset`. What is wrong with its file is said in the description, not raised."""
    feature = dataset.features[key]
    camera = dataset.camera(key) if isinstance(dataset, CachedDataset) else None
    try:
        if isinstance(camera, VideoCamera):
            codec, pixels = _video_header(camera.paths[0])
            return _description(key, feature, codec, pixels, _cut_off(camera.paths[0]))
        if isinstance(camera, PictureCamera) and dataset.num_frames:
            return _description(key, feature, _picture_codec(camera), None)
    except FormatError as error:
        return _description(key, feature, None, None, str(error))
    return _description(key, feature, None, None)


def _description(
    key: str, feature: Feature, codec: str | None, pixels: str | None, problem: str | None = None
) -> CameraDescription:
    _, height, width = feature.shape
    return CameraDescription(key, height, width, feature.storage, codec, pixels, problem)


def _video_header(path: Path) -> tuple[str, str | None]:
    """Codec and pixel format of a video."""
    with open_video(path) as container:
        context = container.streams.video[0].codec_context
        codec, pixels = context.codec.canonical_name, context.pix_fmt
    return codec, pixels


def _cut_off(path: Path) -> str | None:
    """What is wrong with a video that opens and lacks its end."""
    try:
        read_sample_table(path)
    except FormatError as error:
        return str(error)
    return None


def _picture_codec(camera: PictureCamera) -> str | None:
    try:
        picture = Image.open(io.BytesIO(camera.encoded(0)))
    except (UnidentifiedImageError, OSError):
        return None  # reading the frame will say what is wrong with it
    return (picture.format or "").lower() or None

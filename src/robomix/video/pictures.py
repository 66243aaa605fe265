"""Encoded pictures (PNG, JPEG, ...) to planar uint8 arrays, as LeRobot's image columns are decoded."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from robomix.errors import FormatError

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def picture_size(data: bytes, where: str) -> tuple[int, int]:
    """(height, width) of an encoded picture, from its header."""
    with _open(data, where) as picture:
        return picture.height, picture.width


def decode_picture(data: bytes, out: np.ndarray, where: str) -> None:
    """Decode into `out`, (C, H, W) uint8. Raises FormatError, naming `where`, for damage or another size."""
    channels, height, width = out.shape
    with _open(data, where) as picture:
        if (picture.height, picture.width) != (height, width):
            raise FormatError(
                f"{where} is {picture.width} x {picture.height}, the dataset's other pictures of this camera are "
                f"{width} x {height} (width x height). Exclude the episode."
            )
        try:
            pixels = np.asarray(picture.convert(_MODES[channels]))
        except (OSError, ValueError, SyntaxError) as error:
            raise FormatError(f"{where} cannot be decoded: {error}. Restore it, or exclude the episode.") from error
    out[...] = pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _open(data: bytes, where: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise FormatError(
            f"{where} is no picture in {', '.join(_FORMATS)}. Restore it, or exclude the episode."
        ) from error
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FormatError(f"{where} cannot be opened: {error}. Restore it, or exclude the episode.") from error

"""Pictures inside the page, as small JPEGs."""

import base64
import io

import numpy as np
from PIL import Image

from robomix.report.blocks import Picture

_SIDE = 160
"""Longest side on the page, in pixels; a larger one would make the file heavy and show no more."""


def picture(pixels: np.ndarray, caption: str, badge: str = "") -> Picture:
    """A frame (C, H, W), made smaller where a side is longer than the page shows.

    Of 3 or more channels the first three count; uint8 or, from 0 to 1, floating point.
    """
    image = _small(pixels)
    return Picture(_uri(image), caption, image.width, image.height, badge)


def film(frames: np.ndarray, caption: str, id: str = "") -> Picture:
    """Frames (N, C, H, W) of one camera side by side."""
    images = [_small(frame) for frame in frames]
    whole = Image.new("RGB", (sum(image.width for image in images), max(image.height for image in images)))
    for i, image in enumerate(images):
        whole.paste(image, (i * image.width, 0))
    return Picture(_uri(whole), caption, whole.width, whole.height, is_film=True, id=id)


def _small(pixels: np.ndarray) -> Image.Image:
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = (np.clip(np.nan_to_num(pixels), 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels[0] if len(pixels) < 3 else np.ascontiguousarray(np.moveaxis(pixels[:3], 0, -1)))
    image.thumbnail((_SIDE, _SIDE))
    return image.convert("RGB")


def _uri(image: Image.Image) -> str:
    held = io.BytesIO()
    image.save(held, "JPEG", quality=78)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()

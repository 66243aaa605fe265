"""How cameras are kept: as video, or as pictures in the table; and by which encoder what must be encoded is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.write_meta import declare
from robomix.tools.build.content import Content, Drawn, Episode, FrameReader, Rows
from robomix.tools.build.frames import encodable
from robomix.video.encode import encoder_like, find_encoder
from robomix.video.pictures import decode_picture

Storage = Literal["keep", "video", "image"]


def encoder_of(content: Content) -> str:
    """The encoder of the codec in which the content's videos are declared; LeRobot's own where that is none."""
    found = {(_said(content.features[key], "codec"), _said(content.features[key], "pix_fmt")) for key in content.videos}
    return (len(found) == 1 and encoder_like(*found.pop())) or "libsvtav1"


def stored_as(content: Content, storage: Storage, codec: str) -> Content:
    """`content` with all cameras as `video` or as `image`, which is PNG and keeps every pixel as it is decoded.

    Videos stay as they are under `video`, and pictures under `image`. `codec` encodes pictures that become video.
    """
    if storage == "keep":
        return content
    other = "image" if storage == "video" else "video"
    keys = [key for key, spec in content.features.items() if spec["dtype"] == other]
    shapes = {key: _picture(key, content.features[key]) for key in keys}
    features = {
        key: declare(replace(shapes[key], storage=storage), content.fps, find_encoder(codec)) if key in keys else spec
        for key, spec in content.features.items()
    }
    made = _as_video if storage == "video" else _as_pictures
    return replace(content, features=features, episodes=tuple(made(episode, shapes) for episode in content.episodes))


@dataclass(frozen=True)
class CellFrames:
    """Camera frames that are kept as encoded pictures in a column."""

    rows: Rows
    key: str
    height: int
    width: int
    where: str

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8. Raises FormatError for a cell that holds no such picture."""
        cells, out = self.rows.table()[self.key], np.empty((len(rows), 3, self.height, self.width), np.uint8)
        for image, row in zip(out, rows.tolist(), strict=True):
            data = cells[row].as_py()["bytes"]
            if data is None:
                raise FormatError(f"{self.where}, frame {row}: its picture lies outside of the table; embed it first.")
            decode_picture(data, image, f"{self.where}, frame {row}")
        return out


def _as_video(episode: Episode, shapes: Mapping[str, Feature]) -> Episode:
    where = f"{episode.origin.dataset}, episode {episode.origin.episode}"
    numbers = np.arange(episode.length)
    readers: dict[str, FrameReader] = {
        key: CellFrames(episode.rows, key, shape.shape[1], shape.shape[2], f"{where}, camera {key!r}")
        for key, shape in shapes.items()
    }
    drawn = {key: Drawn(reader, numbers, "it is kept as single pictures") for key, reader in readers.items()}
    drawn |= {key: part for key, part in episode.videos.items() if key in shapes and isinstance(part, Drawn)}
    known = {key: stats for key, stats in episode.camera_stats.items() if key not in shapes}
    return replace(episode, videos=dict(episode.videos) | drawn, camera_stats=known)  # the codec changes pixels


def _as_pictures(episode: Episode, shapes: Mapping[str, Feature]) -> Episode:
    parts = {key: episode.videos[key] for key in shapes}
    drawn = {key: part if isinstance(part, Drawn) else encodable(part, "") for key, part in parts.items()}
    return replace(episode, videos=dict(episode.videos) | drawn)


def _picture(key: str, spec: Mapping[str, Any]) -> Feature:
    features, warnings = parse_features({key: spec}, Path("info.json"))
    if key not in features:
        raise FormatError(f"camera {key!r} cannot be kept otherwise: {warnings[0]}.")
    _, height, width = features[key].shape
    return Feature("camera", "uint8", (3, height, width))


def _said(spec: Mapping[str, Any], what: str) -> str:
    """What a camera's declaration says of its video; `None` where it says nothing."""
    blocks = [spec[name] for name in ("info", "video_info") if isinstance(spec.get(name), Mapping)]
    return str(next((block[f"video.{what}"] for block in blocks if f"video.{what}" in block), None))

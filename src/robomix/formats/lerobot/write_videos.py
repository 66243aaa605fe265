"""Where the camera frames of a LeRobot v3.0 dataset go: episodes one after another into mp4 files, or PNGs."""

import io
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from robomix.features import Feature
from robomix.formats.lerobot.write_tables import VIDEO_PATH, Place
from robomix.video.encode import VideoEncoder


@dataclass
class VideoFile:
    """One finished or growing mp4 of a camera."""

    path: Path
    starts: list[int] = field(default_factory=list)
    """Frame at which each of its episodes begins."""
    frames: int = 0


class VideoTrack:
    """One camera's series of mp4 files; the next file starts where the coming episode would reach the size limit."""

    def __init__(self, root: Path, key: str, feature: Feature, fps: Fraction, codec: str, limit: int) -> None:
        self.key = key
        self.files: list[VideoFile] = []
        self._root, self._fps, self._codec, self._limit = root, fps, codec, limit
        self._height, self._width = feature.shape[1:]
        self._place = Place()
        self._encoder: VideoEncoder | None = None

    def start_episode(self, length: int) -> None:
        """The next `length` frames are an episode."""
        if self._encoder is not None and self._encoder.expected_size(length) >= self._limit:
            self.close()
            self._place = self._place.next()
        if self._encoder is None:
            path = self._root / self._place.fill(VIDEO_PATH.replace("{video_key}", self.key))
            self._encoder = VideoEncoder(path, height=self._height, width=self._width, fps=self._fps, codec=self._codec)
            self.files.append(VideoFile(path))
        self.files[-1].starts.append(self._encoder.frames)

    def add(self, image: np.ndarray) -> None:
        """Take the next frame (3, H, W) uint8."""
        assert self._encoder is not None, "start_episode comes first"
        file = self.files[-1]
        self._encoder.add(image, key_frame=file.frames == file.starts[-1])
        file.frames = self._encoder.frames

    def window(self) -> dict[str, int | float]:
        """Where the last episode lies, as columns of meta/episodes: times are frame counts over fps, never sums."""
        file, prefix = self.files[-1], f"videos/{self.key}"
        return self._place.columns(prefix) | {
            f"{prefix}/from_timestamp": float(file.starts[-1] / self._fps),
            f"{prefix}/to_timestamp": float(file.frames / self._fps),
        }

    def close(self) -> None:
        """Finish the current file, if any."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def discard(self) -> None:
        """Give up the current file, if any."""
        if self._encoder is not None:
            self._encoder.discard()
            self._encoder = None


def png_bytes(image: np.ndarray) -> bytes:
    """A frame (3, H, W) uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(buffer, format="png")
    return buffer.getvalue()

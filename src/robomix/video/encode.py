"""Encoding camera frames to mp4 so that any episode in the file can be found, cut and decoded by frame index.

Frame i of a file is shown at exactly i / fps: timestamps are integers on the grid of the frame rate, from 0, without
gaps. A key frame is forced wherever an episode starts, so a decoder never has to begin in another episode and a later
merge can cut without encoding again. Pictures are coded as yuv420p in groups of two (every frame needs at most one
other frame), LeRobot's choice for random access, in frame order (no B-frames), with the index at the head of the file.
`h264_lossless` alone keeps every pixel: it codes red, green and blue themselves.

Frames pass through one at a time: memory does not grow with the length of the video. The file appears under its name
only when it is complete.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
import av.video.frame
import numpy as np

from robomix.errors import ConfigError, RobomixError, did_you_mean

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints a banner per video to stderr; 1 leaves it only errors.

_THREADS = 4
"""x264 gives other bytes for another number of threads, and by default takes as many as fit the machine."""
_X264 = (("bf", "0"), ("x264-params", "mbtree=0"))
"""Without B-frames; and without x264's propagation of quality over frames to come, with which the same pictures gave
other bytes in one of six runs where key frames are forced. Over two frames there is little to propagate."""


@dataclass(frozen=True)
class Encoder:
    """Settings of one encoder of the FFmpeg that PyAV carries."""

    name: str
    """What a caller asks for."""
    codec: str
    """Name of the coded format, as info.json of a LeRobot dataset has it."""
    crf: int
    """Constant quality; less is better."""
    preset: int | str
    min_side: int
    """Smallest height and width: SVT-AV1 ends the process with a division by zero at 24 x 24."""
    extra: tuple[tuple[str, str], ...] = ()
    g: int = 2
    """Distance of key frames."""
    pix_fmt: str = "yuv420p"
    """Of the frames in the file."""
    library: str = ""
    """FFmpeg's name of the encoder; empty: as `name`."""
    bytes_per_pixel: float = 0.04
    """What frames of robots take, roughly; only decides where the next file begins, and how much disk is asked for."""

    @property
    def is_lossless(self) -> bool:
        return self.pix_fmt == "gbrp"

    def options(self) -> dict[str, str]:
        return {"g": str(self.g), "crf": str(self.crf), "preset": str(self.preset)} | dict(self.extra)


ENCODERS = {
    encoder.name: encoder
    for encoder in (
        Encoder("libsvtav1", "av1", crf=30, preset=12, min_side=32),
        Encoder("h264", "h264", crf=23, preset="veryfast", min_side=2, extra=_X264),
        # x264 drops nothing at crf 0; with libx264rgb nothing is lost on the way to it either, as it would be in YUV.
        Encoder(
            "h264_lossless",
            "h264",
            crf=0,
            preset="veryfast",
            min_side=1,
            extra=_X264,
            pix_fmt="gbrp",
            library="libx264rgb",
            bytes_per_pixel=0.7,
        ),
    )
}


def find_encoder(name: str) -> Encoder:
    """The settings for `name`; raises ConfigError for a codec robomix does not write."""
    if name not in ENCODERS:
        raise ConfigError(f"Unknown video codec {name!r}: use one of {sorted(ENCODERS)}.{did_you_mean(name, ENCODERS)}")
    return ENCODERS[name]


def encoder_like(codec: str, pix_fmt: str) -> str | None:
    """The encoder that writes such video, or video of this codec at least; None where there is none.

    Both as info.json of a LeRobot dataset has them.
    """
    own = [encoder for encoder in ENCODERS.values() if encoder.codec == codec]
    exact = [encoder for encoder in own if encoder.pix_fmt == pix_fmt]
    return next((encoder.name for encoder in (*exact, *own)), None)


def check_picture_size(height: int, width: int, encoder: Encoder, what: str) -> None:
    """Raise ConfigError if pictures of this size cannot be coded; `what` names them in the message."""
    if not encoder.is_lossless and (height % 2 or width % 2):
        raise ConfigError(
            f"{what} is {height}x{width} (height x width), but {encoder.pix_fmt} video needs both even. "
            f"Crop or resize it to {height - height % 2}x{width - width % 2}, use codec 'h264_lossless', or store it "
            "as images."
        )
    if min(height, width) < encoder.min_side:
        raise ConfigError(
            f"{what} is {height}x{width} (height x width), but {encoder.name} needs at least {encoder.min_side} "
            "each way. Use codec 'h264', resize it, or store it as images."
        )


class VideoEncoder:
    """One mp4 being written. Use it in a `with` block: leaving it with an error removes the unfinished file."""

    def __init__(self, path: Path, *, height: int, width: int, fps: Fraction, codec: str = "libsvtav1") -> None:
        encoder = find_encoder(codec)
        check_picture_size(height, width, encoder, str(path))
        self.path = Path(path).absolute()  # FFmpeg would read a relative `a:b.mp4` as a protocol.
        self.frames = 0
        """Frames taken so far."""
        self._coded_frames, self._coded_bytes = 0, 0
        self._shape = (height, width, 3)
        self._time_base = 1 / Fraction(fps)
        self._unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._unfinished.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._unfinished), "w", format="mp4", options={"movflags": "faststart"})
        try:
            library = encoder.library or encoder.name
            self._stream = self._container.add_stream(library, rate=Fraction(fps), options=encoder.options())
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = "rgb24" if encoder.is_lossless else encoder.pix_fmt
            self._stream.codec_context.time_base = self._time_base
            self._stream.codec_context.thread_count = _THREADS
        except BaseException:
            self.discard()
            raise

    def add(self, image: np.ndarray, *, key_frame: bool = False) -> None:
        """Take the next frame, (C, H, W) or (H, W, C) uint8 RGB; `key_frame` marks the start of an episode.

        Raises ConfigError for another shape or dtype.
        """
        frame = av.VideoFrame.from_ndarray(self._rows_of_pixels(image), format="rgb24")
        frame = frame.reformat(format=self._stream.pix_fmt)
        frame.pts, frame.time_base = self.frames, self._time_base
        if key_frame:
            frame.pict_type = av.video.frame.PictureType.I
        self._mux(frame)
        self.frames += 1

    def expected_size(self, more: int) -> int:
        """Bytes the file will have after `more` frames, judged by those coded so far: 0 while there are none."""
        return self._coded_bytes * (self.frames + more) // max(1, self._coded_frames)

    def close(self) -> int:
        """Finish the file and put it in its place; the number of frames in it. Raises ConfigError without frames."""
        if not self.frames:
            self.discard()
            raise ConfigError(f"No frames for the video {self.path}: a video needs at least one.")
        try:
            self._mux(None)
            self._container.close()
            with open(self._unfinished, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self._unfinished, self.path)
        except BaseException:
            self.discard()
            raise
        return self.frames

    def discard(self) -> None:
        """Stop and remove the unfinished file."""
        self._container.close()
        self._unfinished.unlink(missing_ok=True)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._coded_frames += 1
                self._coded_bytes += packet.size
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise RobomixError(
                f"FFmpeg could not encode frame {self.frames} of the video {self.path}: {error}"
            ) from error

    def _rows_of_pixels(self, image: np.ndarray) -> np.ndarray:
        """`image` as contiguous (H, W, 3)."""
        image = np.asarray(image)
        height, width, channels = self._shape
        if image.dtype != np.uint8 or image.shape not in {(channels, height, width), self._shape}:
            raise ConfigError(
                f"Frame {self.frames} of the video {self.path} is {image.dtype} of shape {image.shape}: expected uint8 "
                f"of shape {(channels, height, width)} (C, H, W) or {self._shape} (H, W, C)."
            )
        return np.ascontiguousarray(image if image.shape == self._shape else image.transpose(1, 2, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def encode_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: Fraction,
    *,
    codec: str = "libsvtav1",
    episode_starts: Iterable[int] = (0,),
) -> int:
    """Encode `frames`, each (C, H, W) or (H, W, C) uint8, to the mp4 `path`; the number of frames written.

    The first frame decides the size; a frame of 3 rows first is read as (C, H, W). Frames listed in `episode_starts`
    become key frames. Raises ConfigError for no frames, another size or dtype, or a size that video cannot have;
    then no file is left.
    """
    starts, images = set(episode_starts), iter(frames)
    first = np.asarray(next(images, np.empty(0)))
    if first.ndim != 3 or 3 not in (first.shape[0], first.shape[2]):
        found = f"a first frame of shape {first.shape}" if first.size else "no frames"
        raise ConfigError(f"The video {path} got {found}: expected RGB frames (3, H, W) or (H, W, 3).")
    height, width = first.shape[1:] if first.shape[0] == 3 else first.shape[:2]
    with VideoEncoder(path, height=height, width=width, fps=fps, codec=codec) as encoder:
        encoder.add(first, key_frame=True)
        for image in images:
            encoder.add(image, key_frame=encoder.frames in starts)
    return encoder.frames

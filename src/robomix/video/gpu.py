"""Videos decoded by an NVIDIA GPU's video unit (NVDEC), through the FFmpeg that PyAV brings along.

The standards of H.264, HEVC, VP9 and AV1 fix every bit of a decoded frame, so NVDEC gives the luma and chroma that the
processor gives. It hands them over with both chroma planes in one; pulled apart again, they take the processor's own
way to RGB. What a GPU or its driver should make of that all the same is not left to trust: of each file one frame is
compared with the processor's, and nothing falls back to the processor unasked.
"""

import os
from collections.abc import Iterator

import av
import numpy as np
from av import VideoFrame
from av.codec import CodecContext
from av.codec.hwaccel import HWAccel
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from robomix.errors import ConfigError, FormatError
from robomix.video.decode import Decoder, FrameError

CODECS = ("h264", "hevc", "vp9", "av1")
"""What NVDEC is asked to decode; which of them, and in which sizes and depths, depends on the GPU."""
MAX_APART = 1
"""Grey levels by which a frame of the GPU may differ from the processor's."""

_PLANAR = {"nv12": ("yuv420p", "yuvj420p"), "p010le": ("yuv420p10le",)}
"""Formats NVDEC hands over, and the processor's with the same content."""
_INSTEAD = "Leave `decode_device` out, and the processor decodes"
_ANEW = "; or write the videos anew as H.264 with `robomix materialize --as=video`"

_compared: set[tuple[str, int, int]] = set()
"""Files of which this process has compared a frame."""


class GpuDecoder(Decoder):
    """An open video file whose frames the GPU decodes; see `Decoder`. Frames come to the memory of the processor.

    Raises ConfigError where there is no GPU to be used, and for videos it does not decode as the processor does.
    """

    device = "cuda"

    def read_into(self, frames: np.ndarray, out: np.ndarray, positions: np.ndarray) -> None:
        """See `Decoder`. What the processor does not decode either raises its FrameError."""
        try:
            super().read_into(frames, out, positions)
        except FrameError as error:
            self._by_processor(error.frame, out.shape)
            raise ConfigError(
                f"{self.path}: decode_device: the GPU does not decode frame {error.frame} of this video "
                f"({self._kind()}), which the processor does. {_INSTEAD}{_ANEW}."
            ) from error
        if len(frames) and self.key not in _compared:
            self._compare(int(frames[0]), out[int(positions[0])])
            _compared.add(self.key)

    def _open(self) -> None:
        super()._open()
        self._codec = open_codec(self._stream, self.timeline.reorder)

    def _decode(self) -> Iterator[VideoFrame]:
        self._codec.flush_buffers()
        wanted = self._stream.codec_context.pix_fmt
        for packet in self._container.demux(self._stream):
            for frame in self._codec.decode(packet):
                yield planar(frame, wanted)

    def _by_processor(self, frame: int, shape: tuple[int, ...]) -> np.ndarray:
        """(3, H, W) uint8: the frame as the processor decodes it."""
        out = np.empty((1, *shape[1:]), np.uint8)
        decoder = Decoder(self.path, self._timelines)
        try:
            decoder.read_into(np.array([frame]), out, np.array([0]))
        finally:
            decoder.close()
        picture: np.ndarray = out[0]
        return picture

    def _compare(self, frame: int, ours: np.ndarray) -> None:
        theirs = self._by_processor(frame, (1, *ours.shape))
        apart = int(np.abs(ours.astype(np.int16) - theirs).max())
        if apart > MAX_APART:
            raise ConfigError(
                f"{self.path}: decode_device: frame {frame} of this video ({self._kind()}) as the GPU decodes it is "
                f"up to {apart} grey levels from what the processor decodes, expected {MAX_APART} at most. {_INSTEAD}."
            )

    def _kind(self) -> str:
        context = self._stream.codec_context
        return f"{context.codec.canonical_name}, {context.pix_fmt}, {context.width} x {context.height}"


def open_codec(stream: VideoStream, reorder: int) -> CodecContext:
    """A decoder on the GPU for the packets of `stream`, of which decoding runs `reorder` frames ahead.

    Raises ConfigError for codecs NVDEC is not asked for, and where no GPU can be used.
    """
    name = stream.codec_context.codec.canonical_name
    if name not in CODECS:
        raise ConfigError(
            f"{stream.container.name}: decode_device: the GPU decodes {', '.join(CODECS)}, and this video is {name}. "
            f"{_INSTEAD}{_ANEW}."
        )
    # Not the stream's own decoder: for AV1 that would be dav1d, which knows no GPU.
    codec = hardware_codec(name)
    codec.extradata = stream.codec_context.extradata
    # H.264 does not always say how many frames are held back to be put in order; the file's time stamps do.
    codec.options = {"has_b_frames": str(max(reorder, int(stream.codec_context.has_b_frames)))}
    return codec


def require_gpu() -> None:
    """Raises ConfigError where there is no GPU that decodes videos; for this process, that is cuda:$LOCAL_RANK."""
    hardware_codec("h264")


def hardware_codec(name: str) -> CodecContext:
    """A decoder of this process's GPU for the codec `name`. Raises ConfigError where there is none."""
    device = os.environ.get("LOCAL_RANK", "0")
    # The primary context is the one PyTorch works in; a context for each open file would take its memory each time.
    gpu = HWAccel("cuda", device, allow_software_fallback=False, options={"primary_ctx": "1"})
    try:
        codec: CodecContext = CodecContext.create(name, "r", gpu)
    except (av.FFmpegError, OSError) as error:
        raise ConfigError(
            f"decode_device: found no NVIDIA GPU that decodes videos, asked for cuda:{device} ({error}). `nvidia-smi` "
            "must show it; a container needs the driver's video part, too (NVIDIA_DRIVER_CAPABILITIES=compute,video,"
            f"utility). {_INSTEAD}."
        ) from error
    if not codec.is_hwaccel:
        raise ConfigError(f"decode_device: PyAV {av.__version__} is built without CUDA for {name}. {_INSTEAD}.")
    return codec


def planar(frame: VideoFrame, wanted: str | None) -> VideoFrame:
    """A frame as NVDEC hands it over, with its planes apart: in `wanted`, the format that the processor decodes to.

    Raises FormatError for any other format.
    """
    if wanted is None or wanted not in _PLANAR.get(frame.format.name, ()):
        raise FormatError(f"found a frame in {frame.format.name}, expected one that holds {wanted}")
    made = VideoFrame(frame.width, frame.height, wanted)
    made.pts = frame.pts
    dtype, shift = (np.uint8, 0) if frame.format.name == "nv12" else (np.uint16, 6)
    luma, chroma = (_rows(plane, dtype) for plane in frame.planes)
    half = made.planes[1].width
    parts = (luma[:, : frame.width], chroma[:, : 2 * half : 2], chroma[:, 1 : 2 * half : 2])
    for plane, part in zip(made.planes, parts, strict=True):
        np.right_shift(part[: plane.height], shift, out=_rows(plane, dtype)[: plane.height, : plane.width])
    return made


def _rows(plane: VideoPlane, dtype: type) -> np.ndarray:
    return np.frombuffer(plane, dtype).reshape(-1, plane.line_size // np.dtype(dtype).itemsize)

"""What stands in for a GPU in tests: frames decoded by the processor, handed over as NVDEC hands them over."""

from collections.abc import Iterator

import av
import numpy as np
from av import VideoFrame
from av.codec import CodecContext

from robomix.video import gpu

SOFTWARE = {"av1": "libdav1d"}


def gpu_is_there() -> bool:
    try:
        gpu.require_gpu()
    except gpu.ConfigError:
        return False
    return True


def handed_over(frame: VideoFrame) -> VideoFrame:
    """`frame` in 4:2:0 with both chroma planes in one, ten bits in the upper ones; of the rest only the time stamp."""
    deep = frame.format.name == "yuv420p10le"
    assert deep or frame.format.name in ("yuv420p", "yuvj420p"), "NVDEC gives other formats for this video"
    made = VideoFrame(frame.width, frame.height, "p010le" if deep else "nv12")
    made.pts = frame.pts
    dtype, shift = (np.uint16, 6) if deep else (np.uint8, 0)
    luma, u, v = (
        np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] << shift for plane in frame.planes
    )
    for plane, part in zip(made.planes, (luma, np.stack([u, v], -1).reshape(len(u), -1)), strict=True):
        rows = np.full((plane.height, plane.line_size // part.itemsize), 77, dtype)  # what lies beside is no picture
        rows[:, : part.shape[1]] = part
        plane.update(rows.tobytes())
    return made


class Rehearsal:
    """In place of `gpu.hardware_codec`: a decoder of the processor behind what `GpuDecoder` uses of one on the GPU."""

    decoded = 0
    """Frames handed over by all of them."""

    def __init__(self, name: str) -> None:
        self._codec = CodecContext.create(SOFTWARE.get(name, name), "r")
        self._codec.thread_count = 1
        self.extradata: bytes | None = None
        self.options: dict[str, str] = {}
        self._started = False

    def flush_buffers(self) -> None:
        self._codec.flush_buffers()

    def decode(self, packet: av.Packet) -> Iterator[VideoFrame]:
        if not self._started:
            self._codec.extradata, self._codec.options, self._started = self.extradata, self.options, True
        for frame in self._codec.decode(packet):
            Rehearsal.decoded += 1
            yield self.changed(handed_over(frame))

    def changed(self, frame: VideoFrame) -> VideoFrame:
        """For GPUs that do not give what the processor gives."""
        return frame

"""Videos as other recorders write them: other containers, edit lists, fragments, open groups, uneven times."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.pictures import pictures

COUNT, HEIGHT, WIDTH = 40, 48, 64
EVEN = range(0, 100 * COUNT, 100)
B_FRAMES = {"crf": "20", "preset": "fast", "g": "12", "bf": "3"}


@dataclass(frozen=True)
class Odd:
    """How to write one file; frame i carries the number i."""

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: B_FRAMES)
    times: Sequence[int] = EVEN
    """Presentation times in 1/3000 s."""
    container: str = "mp4"
    muxer: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    index: bool = True
    """Whether the MP4 index is simple enough to be trusted."""


_UNEVEN = np.cumsum(np.random.default_rng(1).integers(1, 400, COUNT)).tolist()
_REFRESH = "intra-refresh=1:keyint=10"
_X265 = {"preset": "fast", "x265-params": "log-level=error:open-gop=1:keyint=10:bframes=3"}

ODD_FILES = {
    "B-frames": Odd(),
    "one key frame": Odd(options=B_FRAMES | {"g": "250"}),
    "B-frames, key frame every second": Odd(options=B_FRAMES | {"g": "2", "bf": "1"}),
    "open groups, H.264": Odd(options=B_FRAMES | {"x264-params": "open-gop=1:keyint=12"}),
    "open groups, HEVC": Odd(codec="libx265", options=_X265),
    "intra refresh instead of key frames": Odd(options=B_FRAMES | {"bf": "0", "x264-params": _REFRESH}),
    "intra refresh in Matroska": Odd(options={"x264-params": _REFRESH}, container="matroska", index=False),
    "AV1": Odd(codec="libsvtav1", options={"g": "10", "preset": "12", "svtav1-params": "scd=0"}),
    "later start": Odd(times=[5000 + time for time in EVEN]),
    "edit list that cuts the start": Odd(times=[time - 700 for time in EVEN], index=False),
    "uneven times": Odd(times=_UNEVEN),
    "fragments": Odd(muxer={"movflags": "frag_keyframe+empty_moov"}, index=False),
    "index first": Odd(muxer={"movflags": "faststart"}),
    "no edit list": Odd(muxer={"use_editlist": "0"}),
    "Matroska": Odd(container="matroska", index=False),
    "AVI": Odd(codec="mpeg4", options={"g": "12", "bf": "2"}, container="avi", index=False),
    "transport stream": Odd(container="mpegts", index=False),
    "VP9 in WebM": Odd(codec="libvpx-vp9", options={"g": "12", "deadline": "realtime"}, container="webm", index=False),
    "pictures only": Odd(codec="mjpeg", options={}, container="mov", pix_fmt="yuvj420p"),
    "full chroma": Odd(pix_fmt="yuv444p"),
    "ten bits": Odd(pix_fmt="yuv420p10le"),
}


def write_odd(path: Path, odd: Odd) -> None:
    with av.open(str(path), "w", format=odd.container, options=odd.muxer) as container:
        stream = container.add_stream(odd.codec, rate=30, options=odd.options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, odd.pix_fmt
        stream.codec_context.time_base = Fraction(1, 3000)
        for time, image in zip(odd.times, pictures(range(COUNT), 0, HEIGHT, WIDTH), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image.transpose(1, 2, 0)), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 3000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

"""Ways to write a video file anew so that one thing about it is wrong."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.pictures import decode_video


def rewrite(
    file: Path,
    frames: np.ndarray | None = None,
    *,
    times: Sequence[int] | None = None,
    unit: Fraction = Fraction(1, 10),
    rate: Fraction = Fraction(10),
    codec: str = "h264",
    pix_fmt: str = "yuv420p",
    muxer: dict[str, str] | None = None,
    audio: bool = False,
    aspect: Fraction | None = None,
    **options: Any,
) -> None:
    """Encode `frames` (N, 3, H, W), by default those in the file, again; frame i is shown at times[i] units."""
    frames = decode_video(file) if frames is None else frames
    times = range(len(frames)) if times is None else times
    settings = {"crf": "20", "g": "2", "bf": "0"} | {key: str(value) for key, value in options.items()}
    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"} | (muxer or {})) as container:
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.width, stream.height, stream.pix_fmt = frames.shape[3], frames.shape[2], pix_fmt
        stream.codec_context.time_base = unit
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        sound = container.add_stream("aac", rate=16000) if audio else None
        for time, image in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image.transpose(1, 2, 0)), format="rgb24")
            frame.pts, frame.time_base = time, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 16000
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))


def turn(file: Path) -> None:
    """Put a rotation by 90 degrees into the track header of an MP4 file."""
    content = bytearray(file.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    quarter = [0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0, 0, 0, 1 << 30]
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big") for value in quarter)
    file.write_bytes(content)


def blank_packet(file: Path, number: int) -> None:
    """Overwrite the coded picture of a packet by zeros."""
    with av.open(str(file)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    position, size = packets[number]
    content = bytearray(file.read_bytes())
    content[position : position + size] = bytes(size)
    file.write_bytes(content)

"""Synthetic camera pictures that carry a number anyone can read back, even after lossy video coding.

A picture is a 4 x 4 grid of bright and dark blocks over a faint colour gradient. The blocks are the bits of a 16-bit
code: 12 bits for the row of the dataset, 4 bits for the camera. A frame of another row, episode or camera therefore
differs in whole blocks, not in shades.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

GRID = 4
ROW_BITS = 12
DARK, BRIGHT = 60, 190

ENCODER_OPTIONS = {
    "h264": {"crf": "20", "preset": "ultrafast"},
    "hevc": {"crf": "20", "preset": "ultrafast", "x265-params": "log-level=error:open-gop=0"},
    "libsvtav1": {"crf": "30", "preset": "12"},
}


def picture(row: int, camera: int, height: int, width: int) -> np.ndarray:
    """The picture of dataset row `row` (< 4096) seen by camera number `camera` (< 16): (3, H, W) uint8."""
    code = row + (camera << ROW_BITS)
    bits = np.array([(code >> i) & 1 for i in range(GRID * GRID)]).reshape(GRID, GRID)
    y = np.arange(height) * GRID // height
    x = np.arange(width) * GRID // width
    luma = np.where(bits[y][:, x], BRIGHT, DARK)
    ramp = np.linspace(-20, 20, width)[None, :] + np.zeros((height, 1))
    return np.stack([luma + ramp, luma + 0 * ramp, luma - ramp]).round().astype(np.uint8)


def pictures(rows: Iterable[int], camera: int, height: int, width: int) -> np.ndarray:
    """Pictures of several rows: (N, 3, H, W) uint8."""
    return np.stack([picture(row, camera, height, width) for row in rows])


def row_and_camera(image: np.ndarray) -> tuple[int, int]:
    """The (row, camera) that `picture` put into `image` (3, H, W) uint8, read from the middle of every block."""
    _, height, width = image.shape
    y = ((np.arange(GRID) + 0.5) * height / GRID).astype(int)
    x = ((np.arange(GRID) + 0.5) * width / GRID).astype(int)
    bits = image.mean(axis=0)[y][:, x] > (DARK + BRIGHT) / 2
    code = sum(int(bit) << i for i, bit in enumerate(bits.reshape(-1)))
    return code & ((1 << ROW_BITS) - 1), code >> ROW_BITS


def write_video(
    path: Path, frames: np.ndarray, fps: Fraction, *, codec: str = "h264", gop: int = 2, b_frames: int = 0
) -> None:
    """Encode `frames` (N, 3, H, W) uint8 to an mp4 with plain PyAV; frame i is shown at i / fps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ENCODER_OPTIONS[codec] | {"g": str(gop)} | ({"bf": str(b_frames)} if codec != "libsvtav1" else {})
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[3], frames.shape[2], "yuv420p"
        stream.codec_context.time_base = 1 / fps
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image.transpose(1, 2, 0)), format="rgb24")
            frame.pts, frame.time_base = i, 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decode_video(path: Path) -> np.ndarray:
    """All frames of a video in order of presentation, decoded by plain PyAV: (N, 3, H, W) uint8."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1) for frame in container.decode(video=0)]
    return np.stack(frames)

"""What a video file is, by its packets: counted, timed and described without decoding a picture.

The index of an MP4 file says what was meant to be in it; its packets say what is. A file that was cut off keeps an
index that promises all frames, so every packet is read here. That is still some hundred times faster than decoding.
Only of files whose bytes were just read otherwise is the index believed (`read_index`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np

from robomix.errors import FormatError
from robomix.video.mp4 import SampleTable, read_presentation, read_sample_table, read_stored_samples
from robomix.video.timeline import open_video

_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class VideoFacts:
    """One video file. Packets are in decoding order; those that an edit list hides are left out."""

    times: np.ndarray
    """(n,) int64: presentation times in units of `time_base`; the lowest int64 where a packet has none."""
    decode_times: np.ndarray
    """(n,) int64: decoding times, likewise."""
    is_key: np.ndarray
    """(n,) bool: packets that decode on their own."""
    time_base: Fraction
    """Seconds of a unit of time."""
    declared_count: int
    """Frames by the file's header; 0 where it does not say."""
    hidden: int
    """Packets that an edit list hides."""
    average_rate: Fraction | None
    """Frames per second by the file's header."""
    codec: str
    """Name of the coded format, such as av1."""
    profile: str | None
    pix_fmt: str | None
    bits: int
    """Of a pixel's brightness."""
    height: int
    width: int
    aspect: Fraction
    """Width of a pixel divided by its height."""
    full_range: bool
    """Brightness runs from 0 to 255, not from 16 to 235."""
    rotation: int
    """Degrees, clockwise, by which players turn the pictures."""
    parameters: str
    """Hex digest of the codec's parameter sets (SPS, PPS, sequence header)."""
    descriptions: int
    """How many sets of parameters the file's index has; more than 1: the decoder changes on the way."""
    audio_streams: int
    damage: str | None
    """Why reading stopped before the end."""

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def is_cut_off(self) -> bool:
        """Whether fewer packets are there than the header declares, or reading stopped before the end."""
        return self.damage is not None or self.declared_count > self.count + self.hidden

    @property
    def is_timed(self) -> bool:
        """Whether every packet has a presentation time."""
        return bool((self.times != _NO_TIME).all())

    @cached_property
    def ranks(self) -> np.ndarray:
        """(n,) int64: which frame in order of presentation each packet is."""
        ranks = np.empty(self.count, np.int64)
        ranks[np.argsort(self.times, kind="stable")] = np.arange(self.count)
        return ranks

    @cached_property
    def seconds(self) -> np.ndarray:
        """(n,) float64: presentation times in seconds, rising."""
        return np.sort(self.times) * float(self.time_base)

    @property
    def rate(self) -> float | None:
        """Frames per second by the usual step from frame to frame; None where there is none."""
        step = float(np.median(np.diff(self.seconds))) if self.count > 1 and self.is_timed else 0.0
        return 1 / step if step > 0 else None

    @property
    def lacks_edit_list(self) -> bool:
        """Whether all frames are late by the delay of reordering (B-frames), which an edit list should take away."""
        if not self.count or not self.is_timed or self.decode_times[0] < 0:
            return False
        return bool(self.times[0] > self.decode_times[0] and self.seconds[0] > 0)

    @cached_property
    def cuttable(self) -> np.ndarray:
        """(k,) int64, rising: frames at which the file can be cut without coding anew.

        They are key frames before which, in decoding order, exactly the frames shown before them lie (closed groups).
        """
        at = np.flatnonzero(self.is_key)
        return at[self.ranks[at] == at]

    @cached_property
    def keys(self) -> np.ndarray:
        """(k,) int64, rising: frames that decode on their own."""
        return np.sort(self.ranks[self.is_key])


class Videos:
    """The facts of a dataset's video files, each read once, when first asked for."""

    def __init__(self, root: Path, read: Callable[[Path], VideoFacts] | None = None) -> None:
        self._root, self._read = root, read or read_video
        self._known: dict[str, VideoFacts | str] = {}

    def __getitem__(self, name: str) -> VideoFacts | str:
        """The facts of the file `name`, relative to the dataset; in words why it is no video, where it is none."""
        if name not in self._known:
            try:
                self._known[name] = self._read(self._root / name)
            except FormatError as error:
                self._known[name] = str(error).removeprefix(f"{self._root / name} ")
        return self._known[name]

    def facts(self, name: str | None) -> VideoFacts | None:
        """As `[]`; None for what is no video."""
        found = self[name] if name is not None else None
        return found if isinstance(found, VideoFacts) else None


def read_video(path: Path) -> VideoFacts:
    """Read all packets of a video file. Raises FormatError for one that cannot be opened."""
    return _facts(path, None)


def read_index(path: Path) -> VideoFacts:
    """As `read_video`, by the index alone where it is simple and all that it lists lies within the file."""
    return _facts(path, read_sample_table(path) if read_stored_samples(path) is not None else None)


def _facts(path: Path, samples: SampleTable | None) -> VideoFacts:
    header = read_presentation(path)
    with open_video(path) as container:
        stream = container.streams.video[0]
        if samples is None:
            packets, hidden, damage = _packets(container, stream)
            columns = np.array(packets, np.int64).reshape(-1, 3)
        else:  # the index counts from the first sample; FFmpeg says what time it gives that one
            late = (stream.start_time or 0) - int(samples.times.min())
            columns = np.stack([samples.times + late, samples.decode_times + late, samples.is_key], 1)
            hidden, damage = 0, None
        context = stream.codec_context
        facts = VideoFacts(
            times=columns[:, 0],
            decode_times=columns[:, 1],
            is_key=columns[:, 2].astype(bool),
            time_base=Fraction(stream.time_base or 1),
            declared_count=stream.frames if "mp4" in container.format.name else 0,  # others only estimate it
            hidden=hidden,
            average_rate=stream.average_rate,
            codec=context.codec.canonical_name,
            profile=context.profile,
            pix_fmt=context.pix_fmt,
            bits=_bits(context),
            height=context.height,
            width=context.width,
            aspect=Fraction(context.sample_aspect_ratio or 1),
            full_range=int(context.color_range or 0) == 2 or (context.pix_fmt or "").startswith("yuvj"),
            rotation=header.rotation if header else 0,
            parameters=hashlib.blake2b(bytes(context.extradata or b""), digest_size=8).hexdigest(),
            descriptions=header.descriptions if header else 1,
            audio_streams=len(container.streams.audio),
            damage=damage,
        )
    return facts


def _packets(container: Any, stream: Any) -> tuple[list[tuple[int, int, bool]], int, str | None]:
    """(presentation time, decoding time, key) of the packets that are whole, how many are hidden, what stopped it."""
    packets: list[tuple[int, int, bool]] = []
    hidden = 0
    try:
        for packet in container.demux(stream):
            if packet.is_discard:
                hidden += 1
            elif packet.is_corrupt:
                return packets, hidden, f"packet {len(packets) + hidden} is cut off"
            elif packet.size:
                times = packet.pts, packet.dts
                packets.append((*(_NO_TIME if time is None else time for time in times), packet.is_keyframe))
    except (av.FFmpegError, OSError, ValueError) as error:
        return packets, hidden, f"reading stops after {len(packets)} packets: {error}"
    return packets, hidden, None


def _bits(context: Any) -> int:
    return int(context.format.components[0].bits) if context.format is not None else 8

"""A bounded pool of open video files.

Opening a file costs as much as decoding a frame, and a decoder that stays open can go on where it stopped. The pool
lends each decoder to one thread at a time, opens a further one for a file that is in use, and closes the least
recently used idle ones beyond its capacity.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from robomix.errors import ConfigError
from robomix.video.decode import Decoder
from robomix.video.gpu import GpuDecoder
from robomix.video.timeline import Timeline, Timelines, stat_video

DecodeDevice = Literal["cpu", "cuda"]
"""What decodes videos: the processor, or an NVIDIA GPU."""

_DECODERS: dict[DecodeDevice, type[Decoder]] = {"cpu": Decoder, "cuda": GpuDecoder}
_INHERITED: list[Decoder] = []
"""Decoders that a fork copied. They share file positions with the parent's, so they are neither used nor closed."""


class DecoderPool:
    """Open decoders of this process, idle ones kept for later. All methods may be called from any thread."""

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        """Idle decoders kept open; those at work come on top. None: ROBOMIX_OPEN_VIDEOS, by default 64."""
        self.decoded = 0
        """Frames decoded so far by decoders that were lent, wanted or passed over."""
        self._idle: list[Decoder] = []
        self._lock = threading.Lock()
        self._timelines = Timelines()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    @contextmanager
    def lend(self, path: Path, device: DecodeDevice = "cpu") -> Iterator[Decoder]:
        """A decoder of `path` for the block's own use. One that fails in the block is closed, not kept."""
        key = (str(path), *stat_video(path))
        decoder = self._take(key, device) or _DECODERS[device](path, self._timelines)
        before = decoder.decoded
        try:
            yield decoder
        except BaseException:
            decoder.close()
            raise
        with self._lock:
            self.decoded += decoder.decoded - before
        self._keep(decoder)

    def timeline(self, path: Path) -> Timeline:
        """The timeline of `path`, read on first use."""
        return self._timelines.get(path)

    def close(self) -> None:
        """Close all idle decoders."""
        with self._lock:
            idle, self._idle = self._idle, []
        for decoder in idle:
            decoder.close()

    def __len__(self) -> int:
        """How many idle decoders are open."""
        return len(self._idle)

    def _take(self, key: tuple[str, int, int], device: DecodeDevice) -> Decoder | None:
        """The most recently used idle decoder of the file, which is the likeliest to stand near the next frames."""
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if (self._idle[place].key, self._idle[place].device) == (key, device):
                    return self._idle.pop(place)
        return None

    def _keep(self, decoder: Decoder) -> None:
        capacity = _default_capacity() if self.capacity is None else self.capacity
        with self._lock:
            self._idle.append(decoder)
            surplus = self._idle[: max(0, len(self._idle) - capacity)]
            del self._idle[: len(surplus)]
        for old in surplus:
            old.close()

    def _leave_to_parent(self) -> None:
        """In a forked child: start empty, with locks nobody holds."""
        _INHERITED.extend(self._idle)
        self._idle, self._lock, self._timelines = [], threading.Lock(), Timelines()


def _default_capacity() -> int:
    text = os.environ.get("ROBOMIX_OPEN_VIDEOS", "64")
    if not text.isdigit():
        raise ConfigError(f"The environment variable ROBOMIX_OPEN_VIDEOS is {text!r}, expected a number of files.")
    return int(text)


decoders = DecoderPool()
"""The decoders of this process."""

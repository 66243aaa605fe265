"""Writing an MP4 file out of samples of other MP4 files, copied as they are.

What `mp4` reads, this writes: the boxes of ISO/IEC 14496-12 for one video track, and after them the samples. All sizes
are known beforehand, so the index stands before the samples without a second writing, and the samples are copied from
file to file a megabyte at a time, where a muxer takes each into its hands.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from robomix.errors import FormatError
from robomix.remote.opening import open_bytes
from robomix.video.mp4 import StoredSamples

_BLOCK = 1 << 20
_UNTURNED = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_UNDETERMINED = 0x55C4
"""The language `und`, five bits a letter."""
_LONG = 0xF000_0000
"""Bytes from which on offsets take 64 bits; up to where 32 would do, an index of 256 MB has room."""


@dataclass(frozen=True)
class Piece:
    """Neighbouring samples of one file."""

    path: Path
    samples: StoredSamples
    start: int
    stop: int

    def first(self) -> bytes:
        """Its first sample."""
        with open_bytes(self.path) as file:
            file.seek(int(self.samples.offsets[self.start]))
            return file.read(int(self.samples.sizes[self.start]))


@dataclass(frozen=True)
class Timing:
    """When the samples of a file are decoded and shown."""

    scale: int
    """Units of time per second."""
    tick: int
    """Units from each sample to the next."""
    shown: np.ndarray
    """(n,) int64: the place of each sample in the order of presentation."""
    is_key: np.ndarray
    """(n,) bool."""

    @property
    def delay(self) -> int:
        """By how many places decoding runs ahead of presentation at most."""
        return int((np.arange(len(self.shown)) - self.shown).max(initial=0))


def write_mp4(target: Path, pieces: Sequence[Piece], timing: Timing) -> None:
    """Writes the samples of `pieces`, which have equal descriptions, one after another to the new file `target`.

    Sample k is decoded at (k - delay) and shown at `shown[k]` ticks, by an edit list that takes the delay away. Raises
    FormatError where a file ends before its samples do.
    """
    sizes = np.concatenate([piece.samples.sizes[piece.start : piece.stop] for piece in pieces])
    runs = [run for piece in pieces for run in _runs(piece)]
    total = int(sizes.sum())
    begins = np.cumsum([0, *(size for _, _, size, _ in runs)])[:-1]
    counts = np.array([count for _, _, _, count in runs])
    data = struct.pack(">I4sQ", 1, b"mdat", 16 + total) if total > _LONG else struct.pack(">I4s", 8 + total, b"mdat")
    first = pieces[0].samples
    brand = first.kind if first.kind in (b"av01", b"avc1") else b""
    head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2", brand, b"mp41")
    places = len(head) + len(_index(first, sizes, counts, begins, total, timing)) + len(data)
    index = _index(first, sizes, counts, places + begins, total, timing)
    with open(target, "wb") as file:
        file.write(head + index + data)
        for path, offset, size, _ in runs:
            _copy(path, offset, size, file)


def _runs(piece: Piece) -> Iterator[tuple[Path, int, int, int]]:
    """(file, byte, bytes, samples) of each stretch that holds nothing but samples of the piece, in their order."""
    offsets = piece.samples.offsets[piece.start : piece.stop]
    sizes = piece.samples.sizes[piece.start : piece.stop]
    breaks = np.flatnonzero(offsets[1:] != offsets[:-1] + sizes[:-1]) + 1
    for a, b in pairwise([0, *breaks.tolist(), len(sizes)]):
        yield piece.path, int(offsets[a]), int(sizes[a:b].sum()), b - a


def _copy(path: Path, offset: int, size: int, target: BinaryIO) -> None:
    """Copies bytes of a file to the end of another; on disks that share no blocks the fastest way is a buffer."""
    with open_bytes(path) as source:
        source.seek(offset)
        while size:
            data = source.read(min(_BLOCK, size))
            if not data:
                raise FormatError(f"{path} ends {size:,} bytes before the frames its index lists. Is it cut off?")
            target.write(data)
            size -= len(data)


def _index(
    first: StoredSamples, sizes: np.ndarray, counts: np.ndarray, begins: np.ndarray, total: int, timing: Timing
) -> bytes:
    """The box `moov`: of samples of `sizes` (n,), in chunks of `counts` (c,) samples at the bytes `begins` (c,)."""
    long, duration = struct.Struct(">QQIQ"), len(sizes) * timing.tick
    lag = (timing.shown - np.arange(len(sizes)) + timing.delay) * timing.tick
    changes = np.flatnonzero(np.diff(counts, prepend=0))
    chunks = np.stack([changes + 1, counts[changes], np.ones_like(changes)], 1)
    table = [
        _box(b"stsd", first.description),
        _table(b"stts", np.array([[len(sizes), timing.tick]])),
        _table(b"ctts", _run_lengths(lag)) if lag.any() else b"",
        b"" if timing.is_key.all() else _table(b"stss", np.flatnonzero(timing.is_key)[:, None] + 1),
        _table(b"stsc", chunks),
        _box(b"stsz", struct.pack(">III", 0, 0, len(sizes)), sizes.astype(">u4").tobytes()),
        _table(b"co64", begins[:, None], ">u8") if total > _LONG else _table(b"stco", begins[:, None]),
    ]
    media = [
        _box(b"mdhd", _version(1), long.pack(0, 0, timing.scale, duration), struct.pack(">HH", _UNDETERMINED, 0)),
        _box(b"hdlr", _version(0), struct.pack(">I4s12x", 0, b"vide"), b"VideoHandler\0"),
        _box(
            b"minf",
            _box(b"vmhd", _version(0, 1), bytes(8)),
            _box(b"dinf", _box(b"dref", _version(0), struct.pack(">I", 1), _box(b"url ", _version(0, 1)))),
            _box(b"stbl", *table),
        ),
    ]
    edit = struct.pack(">IQqI", 1, duration, timing.delay * timing.tick, 1 << 16)
    enabled = 3  # and part of the presentation
    return _box(
        b"moov",
        _box(
            b"mvhd",
            *(_version(1), long.pack(0, 0, timing.scale, duration), struct.pack(">IH10x", 1 << 16, 1 << 8)),
            *(_UNTURNED, struct.pack(">24xI", 2)),
        ),
        _box(
            b"trak",
            _box(b"tkhd", _version(1, enabled), struct.pack(">QQI4xQ16x", 0, 0, 1, duration), first.display),
            _box(b"edts", _box(b"elst", _version(1), edit)),
            _box(b"mdia", *media),
        ),
    )


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _version(version: int, flags: int = 0) -> bytes:
    """What the body of a full box begins with."""
    return struct.pack(">I", version << 24 | flags)


def _table(name: bytes, rows: np.ndarray, kind: str = ">u4") -> bytes:
    """A full box with the table `rows` (entries, columns)."""
    return _box(name, _version(0), struct.pack(">I", len(rows)), rows.astype(kind).tobytes())


def _run_lengths(values: np.ndarray) -> np.ndarray:
    """(runs, 2): how often each value follows itself, and the value."""
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return np.stack([np.diff(np.append(begins, len(values))), values[begins]], 1)

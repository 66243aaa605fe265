"""The sample table of an MP4 file, read from its index without touching the video data.

The box `moov` (`mp4_boxes`) holds, per track, when each sample is decoded (`stts`), by how much its presentation lags
(`ctts`), and which samples are key frames (`stss`).
Reading it takes a millisecond where walking through all packets reads the whole file. Whatever this parser does not
fully understand (fragments, cutting edit lists, several video tracks) it declines, and packets are walked instead.
The same box says where in the file each sample lies (`stsc`, `stco` or `co64`, `stsz`), so that samples can be copied.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robomix.errors import FormatError
from robomix.remote.opening import RangeFile
from robomix.video.mp4_boxes import (
    DeclinedError,
    boxes,
    expand,
    handler,
    long_numbers,
    numbers,
    read_index,
    sizes_of,
    timescale,
)

_COPIED = (b"av01", b"avc1", b"avc3", b"hev1", b"hvc1", b"mp4v", b"vp09")
"""Kinds of samples that mean the same in any file with the same description; encrypted ones do not."""
_IN_THE_FILE = 1
"""Flag of a data reference (`url `): the samples lie in the file itself."""


@dataclass(frozen=True)
class SampleTable:
    """Samples of the only video track, in decoding order."""

    times: np.ndarray
    """(n,) int64: composition times in units of the track, up to a constant."""
    decode_times: np.ndarray
    """(n,) int64: decoding times, up to the same constant."""
    is_key: np.ndarray
    """(n,) bool: samples that decode on their own."""
    timescale: int
    """Units of time per second."""


@dataclass(frozen=True)
class StoredSamples:
    """Where the samples of the only video track lie, in decoding order, and what a reader must be told of them."""

    offsets: np.ndarray
    """(n,) int64: the byte of the file at which each begins."""
    sizes: np.ndarray
    """(n,) int64: bytes, none of them 0."""
    description: bytes
    """The box `stsd` without its head: the decoder's parameters."""
    kind: bytes
    """Four letters, such as av01."""
    display: bytes
    """The last 44 bytes of `tkhd`: how the pictures are turned and how large they are shown."""


@dataclass(frozen=True)
class Presentation:
    """How the only video track of a file is to be shown."""

    rotation: int
    """Degrees, clockwise: 0, 90, 180 or 270."""
    descriptions: int
    """Sets of decoder parameters; more than one: the decoder changes on the way."""


def read_sample_table(path: Path, source: RangeFile | None = None) -> SampleTable | None:
    """The samples of an MP4 file; None for other containers and for what is better read packet by packet.

    `source` may be the file, open already; it is closed.

    Raises FormatError where the file is visibly cut off.
    """
    index = read_index(path, source)
    if index is None:
        return None
    try:
        top = dict(boxes(index))
        if b"mvex" in top:
            return None
        tracks = [dict(boxes(body)) for name, body in boxes(index) if name == b"trak"]
        videos = [track for track in tracks if handler(track) == b"vide"]
        size = path.stat().st_size
        return _samples(videos[0], timescale(top[b"mvhd"]), size) if len(videos) == 1 else None
    except (DeclinedError, struct.error, KeyError, ValueError, IndexError):
        return None


def read_stored_samples(path: Path, source: RangeFile | None = None) -> StoredSamples | None:
    """Where the samples of an MP4 file lie; None for other containers and for what cannot be copied by its bytes.

    The samples are those of `read_sample_table`, of which none is None where this is not; `source` is as there.
    """
    try:
        index = read_index(path, source)
        tracks = [dict(boxes(body)) for name, body in boxes(index or b"") if name == b"trak"]
        [track] = [track for track in tracks if handler(track) == b"vide"]
        return _stored(track, path.stat().st_size)
    except (FormatError, OSError, DeclinedError, struct.error, KeyError, ValueError, IndexError):
        return None


def read_presentation(path: Path) -> Presentation | None:
    """How the video of an MP4 file is to be shown; None for other containers and what is not understood."""
    try:
        index = read_index(path)
        videos = [
            track
            for track in (dict(boxes(body)) for name, body in boxes(index or b"") if name == b"trak")
            if handler(track) == b"vide"
        ]
        table = dict(boxes(dict(boxes(dict(boxes(videos[0][b"mdia"]))[b"minf"]))[b"stbl"]))
        return Presentation(_rotation(videos[0][b"tkhd"]), struct.unpack_from(">I", table[b"stsd"], 4)[0])
    except (FormatError, OSError, DeclinedError, struct.error, KeyError, ValueError, IndexError):
        return None


def _rotation(header: bytes) -> int:
    """From the matrix of `tkhd`, whose entries a, b are the cosine and sine of the angle in 16.16 fixed point."""
    cosine, sine = struct.unpack_from(">ii", header, 52 if header[0] == 1 else 40)
    return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}.get((_sign(cosine), _sign(sine)), 0)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _samples(track: dict[bytes, bytes], movie_scale: int, file_size: int) -> SampleTable:
    media = dict(boxes(track[b"mdia"]))
    table = dict(boxes(dict(boxes(media[b"minf"]))[b"stbl"]))
    if struct.unpack_from(">I", table[b"stsd"], 4)[0] != 1:
        raise DeclinedError  # the decoder changes on the way
    count = len(sizes_of(table[b"stsz"], file_size))
    decode_times = np.cumsum(expand(table[b"stts"], count)) - expand(table[b"stts"], count)
    times = decode_times
    if b"ctts" in table:
        times = times + expand(table[b"ctts"], count).astype(np.uint32).view(np.int32)
    is_key = np.ones(count, bool)
    if b"stss" in table:
        is_key[:] = False
        is_key[numbers(table[b"stss"], 1)[:, 0] - 1] = True
    scale = timescale(media[b"mdhd"])
    if b"edts" in track:
        _check_edits(dict(boxes(track[b"edts"]))[b"elst"], int(times.min()), int(times.max()), scale / movie_scale)
    return SampleTable(times, decode_times, is_key, scale)


def _stored(track: dict[bytes, bytes], file_size: int) -> StoredSamples:
    information = dict(boxes(dict(boxes(track[b"mdia"]))[b"minf"]))
    table = dict(boxes(information[b"stbl"]))
    references = list(boxes(dict(boxes(information[b"dinf"]))[b"dref"][8:]))
    if len(references) != 1 or not references[0][1][3] & _IN_THE_FILE:
        raise DeclinedError
    [(kind, _)] = list(boxes(table[b"stsd"][8:]))
    sizes = sizes_of(table[b"stsz"], file_size)
    count = len(sizes)
    if kind not in _COPIED or b"stps" in table or not sizes.all():
        raise DeclinedError
    chunks = numbers(table[b"stco"], 1)[:, 0] if b"stco" in table else long_numbers(table[b"co64"])
    first, each, description = numbers(table[b"stsc"], 3).T
    held = np.repeat(each, np.diff(np.append(first, len(chunks) + 1)))  # samples of each chunk
    if first[0] != 1 or len(held) != len(chunks) or int(held.sum()) != count or (description != 1).any():
        raise DeclinedError
    before = np.cumsum(sizes) - sizes
    begins = np.repeat(before[np.minimum(np.cumsum(held) - held, count - 1)], held)
    offsets = np.repeat(chunks, held) + before - begins
    if offsets.min() < 0 or int((offsets + sizes).max()) > file_size:
        raise DeclinedError
    return StoredSamples(offsets, sizes, table[b"stsd"], kind, track[b"tkhd"][-44:])


def _check_edits(box: bytes, first: int, last: int, scale: float) -> None:
    """Accept an edit list that shows every sample from `first` to `last`, after at most a pause; decline others."""
    layout = ">Qqi" if box[0] == 1 else ">Iii"
    entries = struct.unpack_from(">I", box, 4)[0]
    if not 1 <= entries <= 2:
        raise DeclinedError
    edits = [struct.unpack_from(layout, box, 8 + i * struct.calcsize(layout)) for i in range(entries)]
    *pauses, (duration, start, rate) = edits
    if any(begin != -1 for _, begin, _ in pauses) or start != first or rate != 1 << 16:
        raise DeclinedError
    if duration and last >= start + duration * scale:
        raise DeclinedError

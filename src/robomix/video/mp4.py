"""The sample table of an MP4 file, read from its index without touching the video data.

An MP4 file is a tree of boxes (ISO/IEC 14496-12): size, four letters, content. The `moov` box holds, per track, when
each sample is decoded (`stts`), by how much its presentation lags (`ctts`), and which samples are key frames (`stss`).
Reading it takes a millisecond where walking through all packets reads the whole file. Whatever this parser does not
fully understand (fragments, cutting edit lists, several video tracks) it declines, and packets are walked instead.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robomix.errors import FormatError

_MAX_INDEX = 1 << 28
_BRANDS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


@dataclass(frozen=True)
class SampleTable:
    """Samples of the only video track, in decoding order."""

    times: np.ndarray
    """(n,) int64: composition times in units of the track, up to a constant."""
    is_key: np.ndarray
    """(n,) bool: samples that decode on their own."""


@dataclass(frozen=True)
class Presentation:
    """How the only video track of a file is to be shown."""

    rotation: int
    """Degrees, clockwise: 0, 90, 180 or 270."""
    descriptions: int
    """Sets of decoder parameters; more than one: the decoder changes on the way."""


class _DeclinedError(Exception):
    """Something legal that the simple reading here does not cover."""


def read_sample_table(path: Path) -> SampleTable | None:
    """The samples of an MP4 file; None for other containers and for what is better read packet by packet.

    Raises FormatError where the file is visibly cut off.
    """
    index = _read_index(path)
    if index is None:
        return None
    try:
        top = dict(_boxes(index))
        if b"mvex" in top:
            return None
        tracks = [dict(_boxes(body)) for name, body in _boxes(index) if name == b"trak"]
        videos = [track for track in tracks if _handler(track) == b"vide"]
        return _samples(videos[0], _timescale(top[b"mvhd"])) if len(videos) == 1 else None
    except (_DeclinedError, struct.error, KeyError, ValueError, IndexError):
        return None


def read_presentation(path: Path) -> Presentation | None:
    """How the video of an MP4 file is to be shown; None for other containers and what is not understood."""
    try:
        index = _read_index(path)
        videos = [
            track
            for track in (dict(_boxes(body)) for name, body in _boxes(index or b"") if name == b"trak")
            if _handler(track) == b"vide"
        ]
        table = dict(_boxes(dict(_boxes(dict(_boxes(videos[0][b"mdia"]))[b"minf"]))[b"stbl"]))
        return Presentation(_rotation(videos[0][b"tkhd"]), struct.unpack_from(">I", table[b"stsd"], 4)[0])
    except (FormatError, OSError, _DeclinedError, struct.error, KeyError, ValueError, IndexError):
        return None


def _rotation(header: bytes) -> int:
    """From the matrix of `tkhd`, whose entries a, b are the cosine and sine of the angle in 16.16 fixed point."""
    cosine, sine = struct.unpack_from(">ii", header, 52 if header[0] == 1 else 40)
    return {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}.get((_sign(cosine), _sign(sine)), 0)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _read_index(path: Path) -> bytes | None:
    """The body of `moov`; None where the file is no MP4. Boxes at the top level are checked against the file's size."""
    total = path.stat().st_size
    position, index = 0, None
    with open(path, "rb") as file:
        while position + 8 <= total:
            file.seek(position)
            size, name = struct.unpack(">I4s", file.read(8))
            header = 8
            if position == 0 and name not in _BRANDS:
                return None
            if size == 1:
                size, header = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0], 16
            elif size == 0:
                size = total - position
            if size < header or position + size > total:
                raise FormatError(
                    f"{path} is cut off: its part {name.decode('latin-1')!r} should end at byte {position + size:,}, "
                    f"but the file has {total:,}. Download it again; if it was recorded so, exclude its episodes."
                )
            if name == b"moov" and size <= _MAX_INDEX:
                index = file.read(size - header)
            position += size
    return index


def _boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(body):
        size, name = struct.unpack_from(">I4s", body, position)
        if size < 8 or position + size > len(body):
            raise _DeclinedError
        yield name, body[position + 8 : position + size]
        position += size


def _handler(track: dict[bytes, bytes]) -> bytes:
    return dict(_boxes(track[b"mdia"]))[b"hdlr"][8:12]


def _timescale(header: bytes) -> int:
    """Units per second, from `mvhd` (edit lists) or `mdhd` (samples)."""
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _samples(track: dict[bytes, bytes], movie_scale: int) -> SampleTable:
    media = dict(_boxes(track[b"mdia"]))
    table = dict(_boxes(dict(_boxes(media[b"minf"]))[b"stbl"]))
    if struct.unpack_from(">I", table[b"stsd"], 4)[0] != 1:
        raise _DeclinedError  # the decoder changes on the way
    fixed_size, count = struct.unpack_from(">II", table[b"stsz"], 4)
    if fixed_size or not 0 < count <= (len(table[b"stsz"]) - 12) // 4:
        raise _DeclinedError
    times = np.cumsum(_expand(table[b"stts"], count)) - _expand(table[b"stts"], count)
    if b"ctts" in table:
        times = times + _expand(table[b"ctts"], count).astype(np.uint32).view(np.int32)
    is_key = np.ones(count, bool)
    if b"stss" in table:
        is_key[:] = False
        is_key[_numbers(table[b"stss"], 1)[:, 0] - 1] = True
    if b"edts" in track:
        scale = _timescale(media[b"mdhd"]) / movie_scale
        _check_edits(dict(_boxes(track[b"edts"]))[b"elst"], int(times.min()), int(times.max()), scale)
    return SampleTable(times, is_key)


def _numbers(box: bytes, columns: int) -> np.ndarray:
    """The (entries, columns) int64 table of a full box: version and flags, entry count, entries of 32 bits."""
    entries = struct.unpack_from(">I", box, 4)[0]
    return np.frombuffer(box, ">u4", entries * columns, offset=8).astype(np.int64).reshape(entries, columns)


def _expand(box: bytes, count: int) -> np.ndarray:
    """Undo the run-length coding of (samples, value) pairs, which must cover `count` samples."""
    runs = _numbers(box, 2)
    if int(runs[:, 0].sum()) != count:
        raise _DeclinedError
    return np.repeat(runs[:, 1], runs[:, 0])


def _check_edits(box: bytes, first: int, last: int, scale: float) -> None:
    """Accept an edit list that shows every sample from `first` to `last`, after at most a pause; decline others."""
    layout = ">Qqi" if box[0] == 1 else ">Iii"
    entries = struct.unpack_from(">I", box, 4)[0]
    if not 1 <= entries <= 2:
        raise _DeclinedError
    edits = [struct.unpack_from(layout, box, 8 + i * struct.calcsize(layout)) for i in range(entries)]
    *pauses, (duration, start, rate) = edits
    if any(begin != -1 for _, begin, _ in pauses) or start != first or rate != 1 << 16:
        raise _DeclinedError
    if duration and last >= start + duration * scale:
        raise _DeclinedError

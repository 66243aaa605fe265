"""The boxes of an MP4 file, and the tables in them.

An MP4 file is a tree of boxes (ISO/IEC 14496-12): size, four letters, content. Of a whole file only the box `moov` is
read, which describes the rest. Tables are full boxes: version and flags, the number of entries, the entries.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robomix.errors import FormatError
from robomix.remote.opening import RangeFile, open_bytes

_MAX_INDEX = 1 << 28
_BRANDS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


class DeclinedError(Exception):
    """Something legal that the simple reading here does not cover."""


def read_index(path: Path, source: RangeFile | None = None) -> bytes | None:
    """The body of `moov`; None where the file is no MP4. Boxes at the top level are checked against the file's size."""
    total = path.stat().st_size
    position, index = 0, None
    with source or open_bytes(path) as file:
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


def boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(body):
        size, name = struct.unpack_from(">I4s", body, position)
        if size < 8 or position + size > len(body):
            raise DeclinedError
        yield name, body[position + 8 : position + size]
        position += size


def handler(track: dict[bytes, bytes]) -> bytes:
    return dict(boxes(track[b"mdia"]))[b"hdlr"][8:12]


def timescale(header: bytes) -> int:
    """Units per second, from `mvhd` (edit lists) or `mdhd` (samples)."""
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def sizes_of(box: bytes, file_size: int) -> np.ndarray:
    """(n,) int64: the bytes of each sample, from `stsz`: one number for all where they are equal, else a list."""
    fixed, count = struct.unpack_from(">II", box, 4)
    if not 0 < count <= (file_size // fixed if fixed else (len(box) - 12) // 4):
        raise DeclinedError
    return np.full(count, fixed, np.int64) if fixed else np.frombuffer(box, ">u4", count, offset=12).astype(np.int64)


def numbers(box: bytes, columns: int) -> np.ndarray:
    """The (entries, columns) int64 table of a full box: version and flags, entry count, entries of 32 bits."""
    entries = struct.unpack_from(">I", box, 4)[0]
    return np.frombuffer(box, ">u4", entries * columns, offset=8).astype(np.int64).reshape(entries, columns)


def long_numbers(box: bytes) -> np.ndarray:
    """The 64-bit entries of a full box."""
    entries = struct.unpack_from(">I", box, 4)[0]
    return np.frombuffer(box, ">u8", entries, offset=8).astype(np.int64)


def expand(box: bytes, count: int) -> np.ndarray:
    """Undo the run-length coding of (samples, value) pairs, which must cover `count` samples."""
    runs = numbers(box, 2)
    if int(runs[:, 0].sum()) != count:
        raise DeclinedError
    return np.repeat(runs[:, 1], runs[:, 0])

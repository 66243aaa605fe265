"""TFRecord files: for each record its length (u64), a checksum of that, its bytes, and a checksum of them.

Checksums are CRC32C, rotated and offset; https://www.tensorflow.org/tutorials/load_data/tfrecord has the layout.
Files are mapped, not read, so that memory does not grow with them.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from robomix.errors import FormatError
from robomix.files import damage

_HEAD, _TAIL = 12, 4
_BLOCK = 1 << 20


def mapped(path: Path) -> memoryview:
    """The bytes of a file, unmapped when the last view of them is gone.

    Raises FormatError for one that is missing, empty or no data at all.
    """
    if problem := damage(path):
        raise FormatError(f"{path} {problem}.")
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def record_spans(data: memoryview, path: Path) -> Iterator[tuple[int, int]]:
    """(begin, end) of each record's bytes in a TFRecord file, checked against both checksums.

    Raises FormatError where the file is cut off or damaged, naming the record.
    """
    place, number = 0, 0
    while place < len(data):
        head = bytes(data[place : place + _HEAD])
        if len(head) == _HEAD and _masked(google_crc32c.value(head[:8])) != struct.unpack("<I", head[8:])[0]:
            raise FormatError(
                f"{path}: the length of record {number}, at byte {place}, does not match its checksum. The file is "
                "damaged or no TFRecord file; copy or download it again."
            )
        begin = place + _HEAD
        end = begin + (struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else 0)
        if len(head) < _HEAD or end + _TAIL > len(data):
            raise FormatError(
                f"{path} ends inside record {number}, which starts at byte {place}: the copy was cut short. "
                "Copy or download it again."
            )
        if _checksum(data[begin:end]) != struct.unpack("<I", data[end : end + _TAIL])[0]:
            raise FormatError(f"{path}: record {number} does not match its checksum. Copy or download the file again.")
        yield begin, end
        place, number = end + _TAIL, number + 1


def _checksum(data: memoryview) -> int:
    crc = 0
    for start in range(0, len(data), _BLOCK):
        crc = google_crc32c.extend(crc, bytes(data[start : start + _BLOCK]))
    return _masked(crc)


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

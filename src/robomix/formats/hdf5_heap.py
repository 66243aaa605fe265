"""Values of varying length in HDF5 files, read without the HDF5 library.

Such an array holds, for each row, a length and a place in a *global heap collection* elsewhere in the file. The library
allocates whatever length a damaged row names, up to 4 GiB, and runs in circles on a damaged collection; so the few
bytes are followed here, each checked against the file. Their layout is that of the HDF5 File Format Specification
3.0, sections III.E (global heap) and IV.A.2.d (variable-length types).
"""

import os
from pathlib import Path

import h5py
import numpy as np

from robomix.errors import FormatError
from robomix.formats.hdf5 import Faults

_ROW = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_COLLECTION, _OBJECT = 16, 16
"""Bytes of the heads of a collection and of an object in it."""
_MOST = 1 << 28
"""Bytes of a value: a larger picture or text there is not."""


class HeapArray:
    """A one-dimensional array of values of varying length; each is given as bytes."""

    def __init__(self, array: h5py.Dataset, path: Path) -> None:
        """Raises FormatError for an array that is stored in a way not understood, or not wholly in the file."""
        self.shape: tuple[int, ...] = array.shape
        self.chunks = None
        self._path, self._name = path, str(array.name)
        with Faults(path, self._name):
            self._base = array.file.userblock_size
            self._rows = self._read_rows(array)

    def __getitem__(self, row: int) -> bytes:
        length, address, index = (int(value) for value in self._rows[row])
        if not length:
            return b""
        with open(self._path, "rb") as file:
            size = self._size(file.fileno(), length, address + self._base, index)
            value = os.pread(file.fileno(), length, size) if size else b""
        if len(value) != length:
            raise FormatError(
                f"{self._path}: row {row} of {self._name} points to {length:,} bytes that are not in the file. "
                "It is damaged; copy or export it again."
            )
        return value

    def _size(self, file: int, length: int, address: int, index: int) -> int:
        """Where the bytes of object `index` of the collection at `address` begin; 0 where there is none so long."""
        head = os.pread(file, _COLLECTION, address) if address < os.fstat(file).st_size else b""
        if head[:5] != b"GCOL\1" or length > _MOST:
            return 0
        place, end = address + _COLLECTION, address + int.from_bytes(head[8:16], "little")
        while place + _OBJECT <= end:
            entry = os.pread(file, _OBJECT, place)
            if len(entry) < _OBJECT:
                return 0
            size = int.from_bytes(entry[8:16], "little")
            if int.from_bytes(entry[:2], "little") == index:
                return place + _OBJECT if length <= size <= end - place else 0
            place += _OBJECT + -(-size // 8) * 8
        return 0

    def _read_rows(self, array: h5py.Dataset) -> np.ndarray:
        count, size = int(array.shape[0]), self._path.stat().st_size
        settings = array.id.get_create_plist()
        plain = array.file.id.get_create_plist().get_sizes()[0] == 8 and not settings.get_nfilters()
        if not plain or array.is_virtual or array.external:
            raise FormatError(
                f"{self._path}: {self._name} holds values of varying length and is compressed itself, or lies in other "
                "files; robomix does not read that. Repack the file: `h5repack -f NONE IN OUT`."
            )
        if array.chunks is None:
            places = [(array.id.get_offset(), 0, count)]
        else:
            if array.id.get_num_chunks() != -(-count // array.chunks[0]):
                raise FormatError(f"{self._path}: {self._name} has not been written to its end. Export it again.")
            stored = (array.id.get_chunk_info(i) for i in range(array.id.get_num_chunks()))
            places = [
                (c.byte_offset, c.chunk_offset[0], min(array.chunks[0], count - c.chunk_offset[0])) for c in stored
            ]
        if count * _ROW.itemsize > size or any(offset is None for offset, _, _ in places):
            raise FormatError(f"{self._path}: {self._name} declares {count:,} rows that are not in the file.")
        rows = np.zeros(count, _ROW)
        with open(self._path, "rb") as file:
            for offset, first, number in places:
                data = os.pread(file.fileno(), number * _ROW.itemsize, offset)
                if len(data) < number * _ROW.itemsize:
                    raise FormatError(f"{self._path}: {self._name} has been cut off. Copy the file again.")
                rows[first : first + number] = np.frombuffer(data, _ROW)
        return rows

"""From a list of values in a record to the array that `features.json` declares for it."""

import zlib
from dataclasses import dataclass

import numpy as np

from robomix.errors import FormatError
from robomix.formats.rlds.example import MalformedError, Values
from robomix.formats.rlds.features import Leaf

_MAX_ZLIB_RATIO = 1100
"""zlib makes at most 1,032 bytes of one."""


@dataclass(frozen=True)
class Record:
    """One episode: its values by name, and where it lies, for errors."""

    values: dict[str, Values]
    where: str

    def blobs(self, leaf: Leaf) -> list[memoryview]:
        """The pictures, texts or encoded tensors of a quantity, one for each step."""
        return self._of(leaf, "bytes").blobs()

    def steps(self, leaf: Leaf) -> int:
        """How many steps a quantity has values for."""
        if leaf.kind != "numeric" or leaf.encoding != "none":
            return len(self.blobs(leaf))
        count, size = len(self._numbers(leaf)), int(np.prod(leaf.shape or (), dtype=object))
        if count % size:
            raise FormatError(
                f"{self.where}: {leaf.path!r} has {count} values, expected a multiple of {size} for the shape "
                f"{list(leaf.shape or ())} that features.json declares. It belongs to another version of the data."
            )
        return count // size

    def array(self, leaf: Leaf) -> np.ndarray:
        """The numbers of a quantity: (steps, *shape) of its declared dtype."""
        shape = leaf.shape or ()
        if leaf.encoding != "none":
            rows = [self._decoded(leaf, blob) for blob in self.blobs(leaf)]
            return np.stack(rows) if rows else np.zeros((0, *shape), leaf.dtype)
        numbers = self._numbers(leaf).reshape(-1, *shape)
        if numbers.dtype == np.int64 and leaf.dtype != np.uint64:
            low, high = (0, 1) if leaf.dtype.kind == "b" else _bounds(leaf.dtype)
            if numbers.size and not low <= numbers.min() <= numbers.max() <= high:
                raise FormatError(
                    f"{self.where}: {leaf.path!r} has values from {numbers.min()} to {numbers.max()}, but features.json"
                    f" declares it {leaf.dtype}. It belongs to another version of the data."
                )
        return numbers.astype(leaf.dtype)

    def _numbers(self, leaf: Leaf) -> np.ndarray:
        if leaf.dtype.kind == "f":
            return self._of(leaf, "float").floats()
        return self._of(leaf, "int").ints()

    def _of(self, leaf: Leaf, kind: str) -> Values:
        values = self.values.get(leaf.path)
        if values is None or values.kind != kind:
            found = "does not have it" if values is None else f"has a list of {values.kind}"
            raise FormatError(
                f"{self.where}: features.json declares {leaf.path!r}, stored as a list of {kind}, but the record "
                f"{found}. features.json belongs to another version of the data; restore the right one."
            )
        return values

    def _decoded(self, leaf: Leaf, blob: memoryview) -> np.ndarray:
        shape = leaf.shape or ()
        size = int(np.prod(shape, dtype=object)) * leaf.dtype.itemsize
        data: bytes | memoryview = blob
        if leaf.encoding == "zlib":
            if size > _MAX_ZLIB_RATIO * len(blob):
                raise MalformedError(f"{leaf.path!r} has {len(blob)} compressed bytes for {size}")
            try:
                data = zlib.decompressobj().decompress(blob, size + 1)
            except zlib.error as error:
                raise MalformedError(f"{leaf.path!r} cannot be decompressed: {error}") from error
        if len(data) != size:
            raise MalformedError(f"{leaf.path!r} has {len(data)} bytes in a step, expected {size}")
        return np.frombuffer(data, leaf.dtype.newbyteorder("<")).reshape(shape)


def _bounds(dtype: np.dtype) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)

"""Opening a video wherever it lies: the file itself, or for a stand-in its bytes from far away."""

import io
from pathlib import Path
from typing import IO, Any

from robomix.remote.blocks import block_cache
from robomix.remote.stand_in import far_file
from robomix.remote.stores import FarFile

_MOST = 16
"""Blocks that one who reads on and on is given by one request, 4 MiB."""


class RangeFile(io.RawIOBase):
    """A file far away, readable and seekable, block by block through the cache. Belongs to one thread at a time."""

    def __init__(self, file: FarFile) -> None:
        """Opens nothing: that the file is gone or has changed shows when it is read, as a RemoteError."""
        super().__init__()
        self.file = file
        self.name = file.url
        self._cache = block_cache()
        self._position = 0
        self._held: dict[int, bytes] = {}
        self.touched: set[int] = set()
        """The blocks that were read so far."""
        self._stride = 1
        self._reached = 0  # the block after those of the last request

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.file.size}[whence]
        if start + offset < 0:
            raise ValueError(f"seeking to byte {start + offset} of {self.name}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self.file.size)
        count = max(0, stop - self._position)
        if count:
            first, last = self._position // self._cache.block, (stop - 1) // self._cache.block
            data = b"".join(self._blocks(first, last))
            at = self._position - first * self._cache.block
            view[:count] = data[at : at + count]
        self._position += count
        return count

    def _blocks(self, first: int, last: int) -> list[bytes]:
        """Blocks `first` to `last`; to one who reads on where nobody has fetched, ever more come with them."""
        self.touched.update(range(first, last + 1))
        if any(n not in self._held for n in range(first, last + 1)):
            goes_on = first == self._reached and not self._cache.holds(self.file, first)
            self._stride = min(2 * self._stride, _MOST) if goes_on else 1
            stop = min(max(last + 1, first + self._stride), -(-self.file.size // self._cache.block))
            self._held = dict(enumerate(self._cache.read(self.file, first, stop - 1), first))
            self._reached = stop
        return [self._held[n] for n in range(first, last + 1)]


def open_bytes(path: Path) -> IO[bytes] | RangeFile:
    """The bytes of a file, for reading. Raises OSError for a file that cannot be opened."""
    far = far_file(path)
    return open(path, "rb") if far is None else RangeFile(far)

"""Open HDF5 files of this process: one handle per file, a few at a time.

HDF5 does one thing at a time in a process, so all reading goes through one lock. A forked child must not use its
parent's handles: it finds none, and opens its own. The lock is held across the fork, so that no other thread is inside
the library when the child's copy of it is made.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py

from robomix.errors import FormatError
from robomix.formats.hdf5 import find, open_file

T = TypeVar("T")

MAX_OPEN = 128
"""Files kept open; a folder of episodes has one for each."""
MAX_ARRAYS = 4096
"""Arrays remembered per file; a look-up that checks every link costs as much as reading a small picture."""


class Handle:
    """One open file, and the arrays of it that have been looked up and checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = _identity(path)
        self.file = open_file(path)
        self._arrays: OrderedDict[str, Any] = OrderedDict()

    def array(self, name: str, check: Callable[[h5py.Group | h5py.Dataset, Path], T]) -> T:
        """What `check` made of the array called `name` when it was first looked up. Raises FormatError."""
        array: T | None = self._arrays.get(name)
        if array is None:
            found = find(self.file, name, self.path)
            if found is None:
                raise FormatError(f"{self.path} has no {name} any more. Open the dataset again.")
            array = check(found, self.path)
            if len(self._arrays) >= MAX_ARRAYS:
                self._arrays.popitem(last=False)
            self._arrays[name] = array
        return array

    def close(self) -> None:
        self._arrays.clear()
        self.file.close()


class Handles:
    """Files opened on first use, the least recently used ones closed."""

    def __init__(self, max_open: int = MAX_OPEN) -> None:
        self._max_open = max_open
        self._files: OrderedDict[Path, Handle] = OrderedDict()
        self._lock = threading.RLock()
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._forked)

    @contextmanager
    def lend(self, path: Path) -> Iterator[Handle]:
        """The file at `path`, open; nobody else uses HDF5 until it is given back. Raises FormatError.

        A file that has changed since it was opened is opened again. The thread that has a file may borrow it again.
        """
        with self._lock:
            handle = self._files.get(path)
            if handle is not None and handle.identity != _identity(path):
                self._files.pop(path).close()
                handle = None
            if handle is None:
                while len(self._files) >= self._max_open:
                    self._files.popitem(last=False)[1].close()
                handle = self._files[path] = Handle(path)
            self._files.move_to_end(path)
            yield handle

    def close(self) -> None:
        """Close all files; they are opened again when asked for."""
        with self._lock:
            while self._files:
                self._files.popitem()[1].close()

    def __len__(self) -> int:
        return len(self._files)

    def _forked(self) -> None:
        self.close()
        self._lock.release()


def _identity(path: Path) -> tuple[int, ...]:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}. Restore it, or open another dataset.") from error
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


handles = Handles()
"""Those of this process."""

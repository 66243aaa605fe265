"""What this process changes below a folder, counted as it happens, and what happens to it at one of these moments.

Python tells an audit hook before it opens, makes, renames or removes a file; so a moment is the same one in each run,
and the moments between two such calls, in which everything may be lost or left behind, are all among them.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR


class Moments:
    """Counts changes below `folder`; at number `at` of them, from 1, or at once for 0, the deed is done."""

    def __init__(self, folder: str, at: int | None, deed: str, argument: Any) -> None:
        self.count, self._folder, self._at, self._is_busy = 0, folder, at, False
        self._do = lambda: DEEDS[deed](argument)
        if at == 0:
            self._do()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_busy or not self._is_change(event, arguments):
            return
        self.count += 1
        if self.count == self._at:
            self._is_busy = True
            self._do()
            self._is_busy = False

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event not in _CHANGES and (event != "open" or not arguments[2] & _WRITING):
            return False
        path = arguments[0]
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self._folder)


def send(number: int) -> None:
    """The process gets a signal."""
    os.kill(os.getpid(), number)


def limit(size: int) -> None:
    """No file may be written beyond `size` bytes, as with a quota that is used up."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fill(path: str) -> None:
    """A file takes all that is free on its disk."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 8, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def truncate(path: str) -> None:
    """Half of a file goes."""
    os.truncate(path, os.path.getsize(path) // 2)


def append(path: str) -> None:
    """A file grows."""
    with open(path, "ab") as file:
        file.write(b"more of it")


def replace(path: str) -> None:
    """Another file, of the same size, takes the name of a file."""
    other = Path(path).with_name("other")
    other.write_bytes(bytes(os.path.getsize(path)))
    other.rename(path)


def give_up_powers(_: None) -> None:
    """From now on permissions count for the superuser, too."""
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3, this process
    assert ctypes.CDLL(None).capset(header, nothing) == 0


DEEDS: dict[str, Callable[[Any], None]] = {
    one.__name__: one for one in (send, limit, fill, truncate, append, replace, give_up_powers)
}

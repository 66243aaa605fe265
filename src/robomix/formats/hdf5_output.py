"""A file that HDF5 writes to, and that is told whether it could.

The HDF5 library does not survive a full disk: when it cannot write what it holds back until the file is closed, the
process is killed by a memory fault. So the writing itself is done here. A failure is kept, and whatever follows is
thrown away, until the one who writes asks with `check`.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py

from robomix.errors import ConfigError, RobomixError


class CheckedFile(io.FileIO):
    """A file at `path`, for h5py to write to; `target` is what it is going to be, and what errors name.

    It is a new one, or with mode `r+` one that is there. Raises ConfigError if it cannot be made.
    """

    def __init__(self, path: Path, target: Path, mode: Literal["x+", "r+"] = "x+") -> None:
        try:
            super().__init__(path, mode)
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error.strerror}. Choose another place.") from error
        self.target = target
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, or keep the reason why not."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self.failure is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file, or keep the reason why not."""
        try:
            return super().truncate(size) if self.failure is None else int(size or 0)
        except OSError as error:
            self.failure = error
            return int(size or 0)

    def check(self) -> None:
        """Raise RobomixError if something could not be written."""
        if self.failure is not None:
            raise RobomixError(
                f"{self.target} cannot be written: {self.failure.strerror}. Nothing is left of it; make room, or "
                "choose another place."
            )


@contextmanager
def new_file(path: Path, target: Path) -> Iterator[tuple[h5py.File, CheckedFile]]:
    """A new HDF5 file at `path`, and the `CheckedFile` it is written to; both are closed when the block ends."""
    with CheckedFile(path, target) as output, h5py.File(output, "w") as file:
        yield file, output


@contextmanager
def changed_file(path: Path, target: Path) -> Iterator[h5py.File]:
    """The HDF5 file at `path`, to be changed. Raises RobomixError at the end if something could not be written."""
    with CheckedFile(path, target, "r+") as output:
        with h5py.File(output, "r+") as file:
            yield file
        output.check()

"""The column cache: what robomix reads from a dataset once, and maps into memory ever after.

A dataset's numbers lie compressed in many files. The first opening copies them into one folder of the cache, a flat
file for each array, beside a `meta.json` that says what they are; later openings, and all workers, map these files
and share them through the page cache. A folder appears under its final name complete or not at all (built aside,
synced, renamed), and its name holds a digest of the source files' names, sizes and times: a source that changed is
looked up under another name, so nothing stale is ever found.

    $ROBOMIX_CACHE/columns/<digest of the dataset's path>/<digest of its files>/meta.json, 0.bin, 1.bin, ...
"""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from robomix.caches import cache_dir
from robomix.errors import ConfigError
from robomix.files import sync_below

LAYOUT = 1
"""Version of the cache's own layout; entries of another version are not found."""
_META = "meta.json"
_KEEP_S = 24 * 3600
"""How long the cache keeps what a killed build left, and entries of files that have changed since."""


def entry_folder(source: Path, key: str) -> Path:
    """Where the columns of the dataset at `source` lie when its files have the digest `key`."""
    name = hashlib.blake2b(str(source).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return cache_dir() / "columns" / name / f"{key}-{LAYOUT}"


@dataclass(frozen=True)
class Entry:
    """One finished folder of the cache."""

    folder: Path
    meta: dict[str, Any]
    """What the builder noted; `meta["arrays"]` maps an array's name to its file, dtype and shape."""

    def array(self, name: str) -> np.ndarray:
        """The array `name`, memory-mapped and read-only."""
        spec = self.meta["arrays"][name]
        shape = tuple(spec["shape"])
        if not math.prod(shape):
            return np.zeros(shape, spec["dtype"])
        return np.asarray(np.memmap(self.folder / spec["file"], spec["dtype"], "r", shape=shape))


@dataclass
class Builder:
    """A folder of the cache while it is filled."""

    folder: Path
    meta: dict[str, Any] = field(default_factory=dict)
    """Anything JSON can hold, kept for readers of the entry."""
    _arrays: dict[str, dict[str, Any]] = field(default_factory=dict)
    _files: Iterator[int] = field(default_factory=count)

    def array(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A new array of zeros on disk, writable. Raises ConfigError where the disk has no room for it."""
        path = self._new(name, dtype, shape)
        size = math.prod(shape) * dtype.itemsize
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise ConfigError(
                f"The cache needs {size:,} bytes for {name!r}, but {self.folder} has {free:,} bytes free. "
                "Free some space or point the environment variable ROBOMIX_CACHE to a larger disk."
            )
        if not size:
            path.touch()
            return np.zeros(shape, dtype)
        with open(path, "wb") as file:
            # Reserve the space now: a mapped write to a full disk would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return np.memmap(path, dtype, "r+", shape=shape)

    def append(self, name: str, data: bytes) -> int:
        """Add bytes to the array `name` of bytes, made on first use; returns where they start in it."""
        spec = self._arrays.get(name)
        if spec is None:
            self._new(name, np.dtype(np.uint8), (0,))
            spec = self._arrays[name]
        with open(self.folder / spec["file"], "ab") as file:
            start = spec["shape"][0]
            file.write(data)
        spec["shape"] = (start + len(data),)
        return start

    def drop(self, name: str) -> None:
        """Forget the array `name`, which was needed only while building."""
        (self.folder / self._arrays.pop(name)["file"]).unlink()

    def _new(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Path:
        file = f"{next(self._files)}.bin"
        self._arrays[name] = {"file": file, "dtype": dtype.str, "shape": shape}
        return self.folder / file

    def finish(self) -> None:
        """Write `meta.json` and see to it that everything is on the disk before the folder gets its name."""
        text = json.dumps(self.meta | {"arrays": self._arrays})
        (self.folder / _META).write_text(text)
        sync_below(self.folder)


def lookup(folder: Path) -> Entry | None:
    """The entry at `folder`; None where it is missing, or damaged in a way its files' sizes show."""
    try:
        meta = json.loads((folder / _META).read_text())
        for spec in meta["arrays"].values():
            if (folder / spec["file"]).stat().st_size != math.prod(spec["shape"]) * np.dtype(spec["dtype"]).itemsize:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Entry(folder, meta)


def build(folder: Path, fill: Callable[[Builder], None]) -> Entry:
    """Fill a new entry and publish it as `folder`; other processes may be doing the same.

    Whatever `fill` raises passes through and leaves nothing behind. Raises ConfigError where the cache cannot be
    written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent, keep=folder)
        workshop = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    except OSError as error:
        raise _unwritable(error) from error
    try:
        builder = Builder(workshop)
        fill(builder)
        builder.finish()
        return _publish(workshop, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _unwritable(error) from error
        raise
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _publish(workshop: Path, folder: Path) -> Entry:
    """Rename `workshop` to `folder`; if a sound entry got there first, use that one."""
    while True:
        try:
            workshop.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if entry := lookup(folder):
                return entry
            _discard(folder)
        else:
            entry = lookup(folder)
            assert entry is not None, "an entry just written reads back"
            return entry


def _discard(folder: Path) -> None:
    """Take a damaged entry out of the way in one step, then delete it."""
    grave = folder.parent / f".building-{os.getpid()}-{time.monotonic_ns()}"
    try:
        folder.rename(grave)
    except FileNotFoundError:
        return
    shutil.rmtree(grave, ignore_errors=True)


def _sweep(parent: Path, keep: Path) -> None:
    """Delete old neighbours of an entry: unfinished builds, and entries of files that have changed since.

    A process that still maps an entry keeps its pages; a worker that cannot find it opens the dataset anew.
    """
    for path in parent.iterdir():
        try:
            old = time.time() - path.stat().st_mtime > _KEEP_S
        except FileNotFoundError:
            continue
        if old and path != keep:
            shutil.rmtree(path, ignore_errors=True)


def _unwritable(error: OSError) -> ConfigError:
    return ConfigError(
        f"Cannot write the cache below {cache_dir()}: {error.strerror}. "
        "Point the environment variable ROBOMIX_CACHE to a folder you can write, on a disk with room."
    )

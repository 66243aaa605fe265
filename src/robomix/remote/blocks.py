"""A bounded cache of blocks of files far away, shared by all processes of the machine.

A block is 256 KiB of one version of a file; each lies in a file of its own, with a checksum at its end, that is
written aside and renamed. The time of change of that file says when the block was last wanted. The file `ledger` holds
the bytes of all blocks: whoever adds some first enters them, under a lock, and deletes the blocks that were not wanted
for longest until they fit. So the cache is never larger than its bound by more than what was being added while blocks
were counted anew, and a process that is killed leaves a ledger that says too much, which the next counting corrects.
"""

import contextlib
import os
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from robomix.caches import cache_dir
from robomix.errors import ConfigError
from robomix.remote.counts import counts
from robomix.remote.sizes import parse_size
from robomix.remote.stores import FarFile, store_of

BLOCK = 1 << 18
"""Bytes of a block: at 200 Mbit/s they take about as long as a request does to be answered."""
_TOGETHER = 32
"""Blocks fetched by one request at most, 8 MiB. Two processes never fetch the same blocks: one waits for the other."""
_SUM = 4
"""Bytes of the checksum at the end of a block's file, a CRC-32."""
_LOCKS = 256
_DEFAULT = "20GB"
_LEFTOVER_S = 3600
"""After how long an unfinished block is left of a process that was killed."""


@dataclass(frozen=True)
class BlockCache:
    """The cache in one folder. All methods may be called from any thread of any process."""

    folder: Path
    bound: int
    """Bytes."""
    block: int
    """Bytes of a block."""

    def read(self, file: FarFile, first: int, last: int) -> list[bytes]:
        """Blocks `first` to `last` of `file`, from the cache or else fetched, missing neighbours by one request.

        Raises RemoteError for what cannot be fetched, ConfigError where the cache cannot be written.
        """
        blocks = {n: data for n in range(first, last + 1) if (data := self._find(file, n)) is not None}
        counts.add(found=len(blocks))
        for start, stop in _runs([n for n in range(first, last + 1) if n not in blocks]):
            blocks |= self._fetch(file, start, stop)
        return [blocks[n] for n in range(first, last + 1)]

    def holds(self, file: FarFile, number: int) -> bool:
        """Whether a block is in the cache, whole or not."""
        return self._path(file, number).exists()

    def hold(self, file: FarFile, numbers: Sequence[int]) -> None:
        """See to it that blocks `numbers`, rising, of `file` are in the cache, and the last to be deleted.

        Raises as `read`.
        """
        for start, stop in _runs([n for n in numbers if not self._touch(file, n)]):
            self._fetch(file, start, stop)

    def _touch(self, file: FarFile, number: int) -> bool:
        """Note that a block is wanted; False if it is not in the cache, or visibly cut off."""
        path = self._path(file, number)
        try:
            if path.stat().st_size != min(self.block, file.size - number * self.block) + _SUM:
                return False
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unwritable(path, error) from error
        return True

    def _fetch(self, file: FarFile, start: int, stop: int) -> dict[int, bytes]:
        """Blocks start to stop - 1, which were not in the cache; by now another process may have fetched them."""
        with self._lock(f"{zlib.crc32(f'{file.key} {start // _TOGETHER}'.encode()) % _LOCKS}"):
            blocks = {n: data for n in range(start, stop) if (data := self._find(file, n)) is not None}
            counts.add(found=len(blocks))
            for a, b in _runs([n for n in range(start, stop) if n not in blocks]):
                end = min(b * self.block, file.size)
                data = store_of(file.url).read(file, a * self.block, end)
                fresh = {n: data[(n - a) * self.block : (n - a + 1) * self.block] for n in range(a, b)}
                counts.add(fetched=len(fresh))
                self._keep(file, fresh)
                blocks |= fresh
        return blocks

    def _find(self, file: FarFile, number: int) -> bytes | None:
        """A block that is in the cache and whole; a damaged one is deleted. It counts as wanted now."""
        path = self._path(file, number)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unwritable(path, error) from error
        data, checksum = content[:-_SUM], content[-_SUM:]
        sound = len(data) == min(self.block, file.size - number * self.block) and checksum == _checksum(data)
        with contextlib.suppress(FileNotFoundError):  # evicted since it was opened
            os.utime(path) if sound else path.unlink()
        return data if sound else None

    def _keep(self, file: FarFile, blocks: dict[int, bytes]) -> None:
        """Add blocks; those that are larger together than the whole cache are not kept."""
        size = sum(len(data) + _SUM for data in blocks.values())
        if size > self.bound:
            return
        try:
            self._enter(size)
            for number, data in blocks.items():
                path = self._path(file, number)
                path.parent.mkdir(exist_ok=True)
                descriptor, aside = tempfile.mkstemp(prefix=".", dir=path.parent)
                with open(descriptor, "wb") as opened:
                    opened.write(data + _checksum(data))
                os.rename(aside, path)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _enter(self, size: int) -> None:
        """Enter `size` bytes that will be added into the ledger, after making room for them."""
        ledger = self.folder / "ledger"
        with self._lock("ledger"):
            try:
                held = int(ledger.read_text())
            except (FileNotFoundError, ValueError):
                held = self._evict(self.bound - size)
            if held + size > self.bound:  # a little more room than needed, so that blocks are not counted every time
                held = self._evict(max(0, min(self.bound - size, self.bound - self.bound // 16)))
            ledger.write_text(f"{held + size}")

    def _evict(self, room: int) -> int:
        """Delete the blocks not wanted for longest until the others have `room`; returns the bytes of those left."""
        found = sorted(self._blocks())
        held = sum(size for _, size, _ in found)
        for used, size, path in found:
            leftover = path.name.startswith(".")
            if held <= room and not leftover:
                break
            if not leftover or time.time() - used > _LEFTOVER_S:
                path.unlink(missing_ok=True)
                held -= size
        return held

    def _blocks(self) -> Iterator[tuple[float, int, Path]]:
        """(when last wanted, bytes, path) of each block."""
        for shard in os.scandir(self.folder):
            for entry in os.scandir(shard) if shard.is_dir() and len(shard.name) == 2 else ():
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat()
                    yield stat.st_mtime, stat.st_size, Path(entry.path)

    def _path(self, file: FarFile, number: int) -> Path:
        return self.folder / file.key[:2] / f"{file.key}-{number}"

    def _lock(self, name: str) -> FileLock:
        try:
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return FileLock(self.folder / "locks" / name, poll_interval=0.01, thread_local=False)


def block_cache() -> BlockCache:
    """The cache below `cache_dir()`, of the size that ROBOMIX_REMOTE_CACHE says; raises ConfigError if it is none."""
    variable = "ROBOMIX_REMOTE_CACHE"
    bound = parse_size(os.environ.get(variable) or _DEFAULT, f"The environment variable {variable}")
    return BlockCache(cache_dir() / "remote" / "blocks", bound, BLOCK)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(start, stop) of the stretches of rising `numbers`, cut where one request must end."""
    start = 0
    for i in range(1, len(numbers) + 1):
        cut = i == len(numbers) or numbers[i] != numbers[i - 1] + 1 or numbers[i] % _TOGETHER == 0
        if cut:
            yield numbers[start], numbers[i - 1] + 1
            start = i


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_SUM, "big")


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"Cannot use the cache {path}: {error.strerror or error}. Point the environment variable ROBOMIX_CACHE to a "
        "folder you can write, on a disk with room, or let ROBOMIX_REMOTE_CACHE be smaller."
    )

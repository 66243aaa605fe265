"""Hidden folders in which something new grows next to its target, each held by the process that writes there.

A folder is held by a lock (flock) on a file in it. The system lets go of the lock when the process ends, however it
ends: so what is being written can be told from what a killed process has left behind.
"""

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robomix.errors import ConfigError
from robomix.files import nearest_above

_LOCK = "lock"


@contextmanager
def claimed(target: Path, key: str) -> Iterator[Path]:
    """The folder `.NAME.KEY.partial` next to `target`: new, or as a process that has ended left it; held in the block.

    What ended processes have left for `target` under other keys is removed. The folder itself is left to the caller.
    `key` is of 16 hex digits. Raises ConfigError where the folder cannot be made, and where another process is writing
    to `target`.
    """
    folder = target.with_name(f".{target.name}.{key}.partial")
    lock = _hold(folder, target)
    try:
        _remove_leftovers(target, folder)
        yield folder
    finally:
        os.close(lock)


def remove(folder: Path) -> None:
    """Removes a held folder, as far as the system allows; its lock goes last, so that nobody else takes the rest."""
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name != _LOCK:
                _remove_entry(entry)
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def clear_leftovers(target: Path) -> None:
    """Removes what processes that have ended have left next to `target`; what is held stays."""
    for folder in _folders_of(target):
        _removed(folder, target)


def free_for(target: Path) -> int:
    """Bytes free for what will be `target`: those of its disk, and those that ended processes have left for it there.

    What they have left, for it or for the folder that it appears in, is gone on with or removed before anything is
    written.
    """
    target = target.absolute()
    disk = nearest_above(target)
    left = (path for place in (target, target.parent) for folder in _folders_of(place) for path in folder.rglob("*"))
    return shutil.disk_usage(disk).free + sum(_taken(path) for path in left)


def make_folder(folder: Path, target: Path) -> None:
    """Makes a folder on the way to `target`. Raises ConfigError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}. Choose another place.") from error


def _hold(folder: Path, target: Path) -> int:
    """The descriptor of the folder's lock."""
    while True:
        make_folder(folder, target)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # another process has just removed the folder
        except OSError as error:
            raise ConfigError(f"{target} cannot be written: {error.strerror}. Choose another place.") from error
        try:
            if not _locked(lock, target):
                raise _busy(target)
            if _is_current(lock, folder):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _locked(lock: int, target: Path) -> bool:
    """Takes the lock, if nobody has it; whether nobody had."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ConfigError(
            f"{target} cannot be written: files there cannot be locked ({error.strerror}). Choose a place on another "
            "disk, and copy it there afterwards."
        ) from error
    return True


def _is_current(lock: int, folder: Path) -> bool:
    """Whether the file that was locked is still the one of that name: its holder may have removed the folder."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(folder / _LOCK))
    except FileNotFoundError:
        return False


def _remove_leftovers(target: Path, own: Path) -> None:
    for folder in _folders_of(target):
        if folder.name != own.name and not _removed(folder, target):
            if os.listdir(own) == [_LOCK]:
                remove(own)
            raise _busy(target)


def _folders_of(target: Path) -> list[Path]:
    """The hidden folders of `target`, whoever made them."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.partial")
    entries = list(os.scandir(target.parent)) if os.path.isdir(target.parent) else []
    return [Path(e.path) for e in entries if pattern.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]


def _removed(folder: Path, target: Path) -> bool:
    """Removes a hidden folder that nobody holds; False where somebody does."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return True  # gone meanwhile, or another user's
    try:
        if not _locked(lock, target):
            return False
        remove(folder)
    finally:
        os.close(lock)
    return True


def _taken(path: Path) -> int:
    """Bytes that a file takes on the disk; those of a folder are not worth counting."""
    try:
        status = path.lstat()
    except OSError:
        return 0  # gone meanwhile
    return status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0


def _remove_entry(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink()


def _busy(target: Path) -> ConfigError:
    return ConfigError(f"{target} is being written by another process. Wait for it to end, or choose another place.")

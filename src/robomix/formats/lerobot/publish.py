"""Building a folder aside and putting it in its place in one step, so that no reader ever sees half a dataset.

The folder grows under a hidden name next to its target, on the same disk. Only when it is complete, and flushed to
the disk, is it renamed. An error or Ctrl-C removes the hidden folder; a killed process leaves it behind, but nothing
under the target's name.
"""

import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robomix.errors import ConfigError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def check_target(target: Path, overwrite: bool) -> None:
    """Raise ConfigError if a dataset may not be written to `target`."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise ConfigError(f"{target} exists already. Choose another folder, or ask to overwrite it.")
    is_folder = target.is_dir() and not target.is_symlink()
    if not is_folder or not ((target / "meta" / "info.json").is_file() or not any(target.iterdir())):
        raise ConfigError(
            f"{target} exists and is not a folder of a LeRobot dataset (meta/info.json), so it is not overwritten. "
            "Remove it yourself, or choose another folder."
        )


@contextmanager
def staged_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new hidden folder next to `target`, which becomes `target` when the block ends without an error.

    Raises ConfigError at the start, and again before the last step, if `target` exists and `overwrite` is False, or if
    what lies there is no LeRobot dataset. With `overwrite` the old folder is replaced only at the end.
    """
    target = Path(target).absolute()
    check_target(target, overwrite)
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    staging.mkdir(parents=True)
    try:
        yield staging
        _flush(staging)
        check_target(target, overwrite)
        if target.exists():
            exchange(staging, target)
        else:
            os.rename(staging, target)
        _flush_entry(target.parent)
    finally:
        # After an exchange, what lies under the hidden name is the old dataset.
        shutil.rmtree(staging, ignore_errors=True)


def exchange(first: Path, second: Path) -> None:
    """Swap two folders' names: in one step where the system can (Linux), otherwise by renames."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = os.fsencode(first), os.fsencode(second)
    if not renameat2 or renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) != 0:
        exchange_by_renames(first, second)


def exchange_by_renames(first: Path, second: Path) -> None:
    """Swap two folders' names; for a moment nothing has the name `second`, and its folder that of `first`.old."""
    aside = first.with_name(f"{first.name}.old")
    os.rename(second, aside)
    os.rename(first, second)
    os.rename(aside, first)


def _flush(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for name in files:
            _flush_entry(Path(parent) / name)
        _flush_entry(Path(parent))


def _flush_entry(path: Path) -> None:
    """Have the system write a file or a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

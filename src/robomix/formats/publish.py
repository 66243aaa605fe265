"""Building a dataset aside and putting it in its place in one step, so that no reader ever sees half of it.

The folder or file grows under a hidden name next to its target, on the same disk. Only when it is complete, and flushed
to the disk, is it renamed. An error or Ctrl-C removes what lies under the hidden name; a killed process leaves it
behind, but nothing under the target's name.
"""

import ctypes
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robomix.errors import ConfigError
from robomix.files import sync, sync_below

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

Check = Callable[[Path], None]
"""Raises ConfigError if nothing may be written to that target."""


@contextmanager
def staged_folder(target: Path, check: Check) -> Iterator[Path]:
    """A new hidden folder next to `target`, which becomes `target` when the block ends without an error.

    `check` is asked at the start, and again before the last step; a folder that it lets pass is replaced then.
    """
    target = Path(target).absolute()
    check(target)
    staging = _hidden(target)
    _make_folder(staging, target)
    try:
        yield staging
        sync_below(staging)
        check(target)
        if target.exists():
            exchange(staging, target)
        else:
            os.rename(staging, target)
        sync(target.parent)
    finally:
        # After an exchange, what lies under the hidden name is the old dataset.
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def staged_file(target: Path, check: Check) -> Iterator[Path]:
    """A hidden path next to `target`, for a new file which becomes `target` when the block ends without an error.

    The block must have written and closed it by then. `check` as in `staged_folder`.
    """
    target = Path(target).absolute()
    check(target)
    _make_folder(target.parent, target)
    staging = _hidden(target)
    try:
        yield staging
        sync(staging)
        check(target)
        os.replace(staging, target)
        sync(target.parent)
    finally:
        with suppress(OSError):  # such as that nothing can have this name
            staging.unlink()


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


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")


def _make_folder(folder: Path, target: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}. Choose another place.") from error

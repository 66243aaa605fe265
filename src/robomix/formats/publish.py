"""Building a dataset aside and putting it in its place in one step, so that no reader ever sees half of it.

The folder or file grows in a hidden folder next to its target, on the same disk. Only when it is complete, and flushed
to the disk, is it renamed. An error or Ctrl-C removes the hidden folder; a killed process leaves it behind, but nothing
under the target's name, and the next one that writes there removes it, or goes on with it (`resumable_folder`).
"""

import ctypes
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from robomix.files import sync, sync_below
from robomix.formats.claims import claimed, make_folder, remove

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_RESULT, _DONE = "result", "done"

Check = Callable[[Path], None]
"""Raises ConfigError if nothing may be written to that target."""


@contextmanager
def staged_folder(target: Path, check: Check) -> Iterator[Path]:
    """A new hidden folder, which becomes `target` when the block ends without an error.

    `check` is asked at the start, and again before the last step; a folder that it lets pass is replaced then. Raises
    ConfigError where another process is writing to `target`.
    """
    target = Path(target).absolute()
    check(target)
    with claimed(target, uuid.uuid4().hex[:16]) as folder:
        try:
            root = folder / _RESULT
            make_folder(root, target)
            yield root
            sync_below(root)
            _publish(root, target, check)
        finally:
            # After an exchange, what lies there is the old dataset.
            remove(folder)


@dataclass(frozen=True)
class Stage:
    """Where a folder is built that can be gone on with."""

    root: Path
    """What becomes the target."""
    done: Path
    """What says how much of it is finished, for who goes on."""


@contextmanager
def resumable_folder(target: Path, check: Check, key: str) -> Iterator[Stage]:
    """As `staged_folder`, for a folder that can be gone on with: what a stopped process has built is there again.

    `key`, of 16 hex digits, stands for all that the result depends on: what was begun under another one is removed.
    What is built stays when the process is killed or interrupted, and when the system fails (a full disk); any other
    error removes it.
    """
    target = Path(target).absolute()
    check(target)
    with claimed(target, key) as folder:
        stage = Stage(folder / _RESULT, folder / _DONE)
        try:
            for made in (stage.root, stage.done):
                make_folder(made, target)
            yield stage
            _flush(stage)
            _publish(stage.root, target, check)
        except Exception as error:
            if not _is_of_the_system(error):
                remove(folder)
            raise
        remove(folder)


@contextmanager
def staged_file(target: Path, check: Check) -> Iterator[Path]:
    """A hidden path, for a new file which becomes `target` when the block ends without an error.

    The block must have written and closed it by then. `check` as in `staged_folder`.
    """
    target = Path(target).absolute()
    check(target)
    make_folder(target.parent, target)
    with claimed(target, uuid.uuid4().hex[:16]) as folder:
        try:
            staging = folder / target.name
            yield staging
            sync(staging)
            check(target)
            os.replace(staging, target)
            sync(target.parent)
        finally:
            remove(folder)


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


def _flush(stage: Stage) -> None:
    """Flushes what was built to the disk: once, at the end, so that the disk writes while files are still made.

    Until then no file needs it: one that a crash has halved does not match its marker. But when flushing fails, what
    the disk has refused may still be whole in memory; so nothing counts as finished any more.
    """
    try:
        sync_below(stage.root)
    except OSError:
        remove(stage.done)
        raise


def _publish(root: Path, target: Path, check: Check) -> None:
    check(target)
    if target.exists():
        exchange(root, target)
    else:
        os.rename(root, target)
    sync(target.parent)


def _is_of_the_system(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is one of the system: what was built so far is as good as before."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None

"""Which format a folder holds, decided by what lies in it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robomix.errors import FormatError, did_you_mean
from robomix.formats.base import Dataset
from robomix.formats.lerobot.dataset import is_lerobot, open_lerobot

_SHOWN = 8


@dataclass(frozen=True)
class Format:
    """One format that `open_dataset` knows."""

    name: str
    """For people, with what tells it apart."""
    sniff: Callable[[Path], bool]
    """Whether a path holds this format, from a look at file names."""
    open: Callable[[Path], Dataset]
    """Opens a path that `sniff` accepted; raises FormatError."""


FORMATS = (Format("LeRobot v2.0, v2.1, v3.0 (a folder with meta/info.json)", is_lerobot, open_lerobot),)
"""In the order they are tried."""


def open_dataset(path: str | Path) -> Dataset:
    """Open the dataset at `path`, whatever its format. The first opening reads it into the cache.

    Raises FormatError where there is no dataset, or one that cannot be read: what was found, and what to do.
    Warns about declared features that the files do not have.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FormatError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")
    for known in FORMATS:
        if known.sniff(path):
            return known.open(path)
    names = "; ".join(known.name for known in FORMATS)
    raise FormatError(f"{path} is not a dataset robomix knows: {_seen(path)}. It reads {names}.")


def _seen(path: Path) -> str:
    """What lies at a path that no format claims, and where a dataset near it is."""
    if not path.is_dir():
        return f"it is a file of {path.stat().st_size:,} bytes, not a folder"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    if not names:
        return "the folder is empty"
    near = [place for place in (path.parent, *sorted(path.iterdir())) if is_lerobot(place)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    hint = f", but {near[0]} is one" if near else ""
    return f"the folder holds {', '.join(names[:_SHOWN])}{more}{hint}"

"""Which format a folder holds, decided by what lies in it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from robomix.errors import FormatError, did_you_mean
from robomix.formats.aloha_hdf5 import is_aloha, open_aloha
from robomix.formats.base import Dataset
from robomix.formats.gr00t import is_gr00t, open_gr00t
from robomix.formats.lerobot.dataset import is_lerobot, open_lerobot
from robomix.formats.rlds.dataset import is_rlds, open_rlds
from robomix.formats.robomimic.dataset import is_robomimic, open_robomimic
from robomix.formats.zarr_buffer import is_zarr_buffer, open_zarr_buffer

_SHOWN = 8
_TRIED = 100
"""Entries of a folder that are looked at in search of a dataset."""


class Opener(Protocol):
    """Opens a dataset. `fps` is the rate the user gives: needed where the files say none, else it must be theirs."""

    def __call__(self, path: Path, fps: float | None = None) -> Dataset: ...


@dataclass(frozen=True)
class Format:
    """One format that `open_dataset` knows."""

    name: str
    """For people, with what tells it apart."""
    sniff: Callable[[Path], bool]
    """Whether a path holds this format, from a look at file names."""
    open: Opener
    """Opens a path that `sniff` accepted; raises FormatError."""


FORMATS = (
    Format("GR00T (LeRobot with meta/modality.json)", is_gr00t, open_gr00t),
    Format("LeRobot v2.0, v2.1, v3.0 (a folder with meta/info.json)", is_lerobot, open_lerobot),
    Format("ALOHA or ACT HDF5 (a folder with episode_0.hdf5, ...)", is_aloha, open_aloha),
    Format("robomimic HDF5 (a file, or a folder with one)", is_robomimic, open_robomimic),
    Format("Diffusion Policy zarr (a folder or a .zarr.zip, v2 or v3)", is_zarr_buffer, open_zarr_buffer),
    Format("RLDS (a TFDS folder with features.json and *.tfrecord-* files)", is_rlds, open_rlds),
)
"""In the order they are tried."""


def open_dataset(path: str | Path, *, fps: float | None = None) -> Dataset:
    """Open the dataset at `path`, whatever its format. The first opening reads it into the cache.

    `fps` says how many frames per second it has where its files do not; where they do, it must be theirs.

    Raises FormatError where there is no dataset, or one that cannot be read: what was found, and what to do.
    Warns about declared features that the files do not have.
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FormatError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")
    for known in FORMATS:
        try:
            mine = known.sniff(path)
        except PermissionError as error:
            raise FormatError(f"{error.filename} cannot be read: {error.strerror}. Check its permissions.") from error
        if mine:
            return known.open(path, fps)
    names = "; ".join(known.name for known in FORMATS)
    raise FormatError(f"{path} is not a dataset robomix knows: {_seen(path)}. It reads {names}.")


def _seen(path: Path) -> str:
    """What lies at a path that no format claims, and where a dataset near it is."""
    if not path.is_dir():
        return f"it is a file of {path.stat().st_size:,} bytes, not a folder"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
    if not names:
        return "the folder is empty"
    near = [place for place in (path.parent, *sorted(path.iterdir())[:_TRIED]) if _is_dataset(place)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    hint = f", but {near[0]} is one" if near else ""
    return f"the folder holds {', '.join(names[:_SHOWN])}{more}{hint}"


def _is_dataset(place: Path) -> bool:
    try:
        return any(known.sniff(place) for known in FORMATS)
    except PermissionError:
        return False

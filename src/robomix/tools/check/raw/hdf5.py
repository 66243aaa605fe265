"""The demonstrations of HDF5 files as they lie there: what arrays each has, and what the attributes say of them.

Everything goes through `robomix.formats.hdf5`, which follows no link out of the file. Arrays are not read, only their
shapes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from robomix.errors import FormatError
from robomix.formats.aloha_hdf5 import EPISODE_FILE, is_aloha
from robomix.formats.hdf5 import Faults, group_of, members, open_file
from robomix.formats.hdf5_text import attribute
from robomix.formats.robomimic.dataset import hdf5_file
from robomix.formats.robomimic.layout import subsets_of
from robomix.tools.check.finding import UnverifiableError

_DEMO = re.compile(r"demo_(\d{1,18})", re.ASCII)
_MAX_DEPTH, _MAX_ARRAYS = 8, 2000


@dataclass(frozen=True)
class Demonstration:
    """One episode."""

    id: int
    name: str
    """Group or file in which it lies."""
    lengths: Mapping[str, int]
    """Rows of each array, by its name below the episode; single values are left out."""
    num_samples: Any
    """As the attribute has it; None: there is none."""


@dataclass(frozen=True)
class Demonstrations:
    """What an HDF5 file, or a folder of them, holds."""

    every: list[Demonstration]
    actions: str
    """What the array of actions is called."""
    total: Any = None
    """Attribute of robomimic's group `data`."""
    env_args: str | None = None
    """Attribute of robomimic's group `data`, unchecked."""
    masks: Mapping[str, list[int]] | None = None
    """robomimic's lists of demonstrations."""
    odd_masks: tuple[str, ...] = ()
    """Why lists of demonstrations cannot be read."""


def is_hdf5(path: Path) -> bool:
    """Whether the path holds HDF5 recordings of robomimic or ALOHA, whatever their health."""
    return is_aloha(path) or hdf5_file(path) is not None


def read_demonstrations(path: Path) -> Demonstrations:
    """Look through robomimic's file or ALOHA's folder. Raises UnverifiableError where that is not possible."""
    try:
        return _aloha(path) if is_aloha(path) else _robomimic(hdf5_file(path) or path)
    except FormatError as error:
        raise UnverifiableError(str(error)) from error


def _robomimic(path: Path) -> Demonstrations:
    with open_file(path) as file:
        data = group_of(file, "data", path)
        if data is None:
            raise UnverifiableError(f"{path} has no group 'data'")
        every = [
            Demonstration(int(match[1]), f"data/{name}", _lengths(group, path), attribute(group, "num_samples", path))
            for name, group in members(data, path)
            if (match := _DEMO.fullmatch(name)) and isinstance(group, h5py.Group)
        ]
        odd: list[str] = []
        masks = subsets_of(file, path, odd)
        env_args = attribute(data, "env_args", path)
        total = attribute(data, "total", path)
    every.sort(key=lambda demonstration: demonstration.id)
    text = env_args if env_args is None else str(env_args)
    return Demonstrations(every, "actions", total, text, masks, tuple(odd))


def _aloha(path: Path) -> Demonstrations:
    every = []
    for name in sorted(entry.name for entry in path.iterdir() if entry.is_file()):
        match = EPISODE_FILE.fullmatch(name)
        if match:
            with open_file(path / name) as file:
                every.append(Demonstration(int(match[1]), name, _lengths(file, path / name), None))
    return Demonstrations(sorted(every, key=lambda demonstration: demonstration.id), "action")


def _lengths(episode: h5py.Group, path: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, array in _arrays(episode, path, "", _MAX_DEPTH):
        if len(found) >= _MAX_ARRAYS:
            break
        with Faults(path, name):
            if array.shape:
                found[name] = int(array.shape[0])
    return found


def _arrays(group: h5py.Group, path: Path, prefix: str, depth: int) -> Iterator[tuple[str, h5py.Dataset]]:
    for name, found in members(group, path):
        if isinstance(found, h5py.Dataset):
            yield prefix + name, found
        elif depth:
            yield from _arrays(found, path, f"{prefix}{name}/", depth - 1)


def json_problem(text: str) -> str | None:
    """Why a text is not a JSON object; None if it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None if isinstance(value, dict) else f"it is {type(value).__name__}, not an object"

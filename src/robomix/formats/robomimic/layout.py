"""What a robomimic file says besides its numbers: demonstrations, environment, selections. All of it is checked."""

import json
import re
from pathlib import Path
from typing import Any

import h5py

from robomix.errors import FormatError
from robomix.formats.hdf5 import Faults, group_of, members
from robomix.formats.hdf5_episodes import EpisodeGroup
from robomix.formats.hdf5_heap import HeapArray
from robomix.formats.hdf5_text import attribute

_DEMO = re.compile(r"demo_(\d{1,18})", re.ASCII)
_RAW = (
    "has no observations, only {found}: it is a raw recording of simulator states. robomimic makes observations of it "
    "by playing it back: `python -m robomimic.scripts.conversion.convert_robosuite --dataset RAW`, then `python -m "
    "robomimic.scripts.dataset_states_to_obs --dataset RAW --output_name obs.hdf5 --done_mode 2` (with --camera_names "
    "and --camera_height for pictures). Give the file which that writes."
)


def data_group(file: h5py.File, path: Path) -> h5py.Group:
    data = group_of(file, "data", path)
    if data is not None:
        return data
    with Faults(path, "/"):
        names = sorted(file.keys())
    hint = ""
    if "action" in names and "observations" in names:
        hint = " It looks like one episode of ALOHA or ACT: name it episode_0.hdf5 and give the folder it lies in."
    raise FormatError(
        f"{path} has no group 'data' with demonstrations, as robomimic writes it; it has "
        f"{', '.join(names) or 'nothing'}.{hint}"
    )


def demonstrations(data: h5py.Group, path: Path, left_out: list[str]) -> list[EpisodeGroup]:
    """In the order of their numbers, which may have gaps."""
    demos = []
    for name, found in members(data, path):
        match = _DEMO.fullmatch(name)
        if match is None or not isinstance(found, h5py.Group):
            left_out.append(f"left out data/{name}: it is not called demo_ and a number, or no group")
        elif f"demo_{int(match[1])}" != name:
            raise FormatError(f"{path}: data/{name} is called with leading zeros, expected data/demo_{int(match[1])}.")
        else:
            demos.append(EpisodeGroup(int(match[1]), path, f"data/{name}"))
    if not demos:
        raise FormatError(f"{path} has no demonstrations: its group 'data' holds no group demo_0, demo_1, ...")
    demos.sort(key=lambda demo: demo.id)
    _check_observed(data, demos, path)
    return demos


def _check_observed(data: h5py.Group, demos: list[EpisodeGroup], path: Path) -> None:
    for demo in demos:
        group = group_of(data, demo.group.removeprefix("data/"), path)
        if group is None or group_of(group, "obs", path) is None:
            names = ", ".join(name for name, _ in members(group, path)) if group else "nothing"
            if demo is demos[0]:
                raise FormatError(f"{path} {_RAW.format(found=names or 'nothing')}")
            raise FormatError(f"{demo.name} has no observations 'obs', as the others have, only {names}. Remove it.")


def check_samples(data: h5py.Group, demo: EpisodeGroup, length: int) -> None:
    said = attribute(data[demo.group.removeprefix("data/")], "num_samples", demo.path)
    if said is not None and said != length:
        raise FormatError(
            f"{demo.name} says num_samples {said!r}, but its actions have {length:,} rows. Correct the attribute, or "
            "export the file again."
        )


def check_total(data: h5py.Group, path: Path, frames: int) -> None:
    said = attribute(data, "total", path)
    if said is not None and said != frames:
        raise FormatError(
            f"{path}: data says total {said!r}, but the demonstrations have {frames:,} samples together. Some are "
            "missing, or the attribute was not updated; correct it, or export the file again."
        )


def read_env_args(data: h5py.Group, path: Path, left_out: list[str]) -> dict[str, Any] | None:
    text = attribute(data, "env_args", path)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        left_out.append("left out env_args of data: it is not a JSON object")
        return None
    return value


def robot_of(kwargs: Any) -> str | None:
    robots = kwargs.get("robots") if isinstance(kwargs, dict) else None
    names = [robots] if isinstance(robots, str) else robots if isinstance(robots, list) else []
    return "+".join(name for name in names if isinstance(name, str) and name.strip()) or None


def task_of(env_args: dict[str, Any] | None, path: Path) -> str:
    name = (env_args or {}).get("env_name")
    return name if isinstance(name, str) and name.strip() else path.stem


def subsets_of(file: h5py.File, path: Path, left_out: list[str]) -> dict[str, list[int]]:
    """The lists of `mask`, as numbers of demonstrations."""
    group = group_of(file, "mask", path)
    subsets: dict[str, list[int]] = {}
    for name, found in members(group, path) if group else ():
        names = _texts(found, path)
        if names is None:
            left_out.append(f"left out mask/{name}: it is not a list of names")
            continue
        matches = [_DEMO.fullmatch(text) for text in names]
        if not all(matches):
            left_out.append(f"left out mask/{name}: it lists what is not called demo_ and a number")
            continue
        subsets[name] = sorted({int(match[1]) for match in matches if match})
    return subsets


def _texts(found: h5py.Group | h5py.Dataset, path: Path) -> list[str] | None:
    """A list of texts, of fixed or varying length; None where it is none."""
    with Faults(path, str(found.name)):
        kind = h5py.check_string_dtype(found.dtype) if isinstance(found, h5py.Dataset) else None
        if kind is None or len(found.shape) != 1 or found.size > path.stat().st_size:
            return None
        rows = HeapArray(found, path) if kind.length is None else found
        return [bytes(rows[i]).rstrip(b"\0").decode(errors="replace") for i in range(found.shape[0])]

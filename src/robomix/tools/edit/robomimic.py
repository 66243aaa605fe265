"""A dataset of any format as a robomimic HDF5 file: `convert --to robomimic`.

The format holds one task (`env_name`), numbers, and pictures as arrays; frames of videos are decoded and kept without
further loss. What it cannot hold is refused, or told in the plan where no training of robomimic reads it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.lerobot.write_meta import number
from robomix.formats.publish import staged_file
from robomix.formats.robomimic.write_checks import check_storable, check_target, env_args_text
from robomix.formats.robomimic.writer import RobomimicWriter
from robomix.tools.build.blame import blaming_the_system
from robomix.tools.build.content import Drawn
from robomix.tools.build.estimate import WRITTEN_PER_SECOND, Estimate
from robomix.tools.build.fingerprint import expect_same, stamps_below
from robomix.tools.build.frames import DatasetFrames
from robomix.tools.build.places import disk_text, no_linked_source, no_room, no_source, time_text
from robomix.tools.build.plan import expect_sound
from robomix.tools.build.trial import as_gzip, tried
from robomix.tools.edit.read import open_recording

_AT_ONCE = 32
"""Frames in memory while they are written."""
_PIXEL = 2.0
"""Bytes of a pixel, where none can be tried."""
_SUFFIXES = (".hdf5", ".h5", ".hdf")


@dataclass(frozen=True)
class Hdf5Plan:
    """A file that is about to be written."""

    dataset: Dataset
    features: dict[str, Feature]
    env_args: dict[str, Any]
    target: Path
    overwrite: bool
    notes: tuple[str, ...]
    """What of the dataset the file will not hold."""
    takes: Estimate
    """Bytes and time."""
    replaced_bytes: int
    """Of what lies at the target, which stays until the new file is complete."""
    refusals: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "out": str(self.target),
            "version": "robomimic",
            "episodes": self.dataset.num_episodes,
            "frames": self.dataset.num_frames,
            "features": list(self.features),
            "bytes": self.takes.bytes,
            "replaced_bytes": self.replaced_bytes,
            "seconds": round(self.takes.seconds, 1),
            "env_args": self.env_args,
            "refusals": list(self.refusals),
        }


def plan_hdf5(path: Path, target: Path, *, fps: float | None = None, overwrite: bool = False) -> Hdf5Plan:
    """Decides what of the dataset at `path` goes into the file `target`. Raises FormatError for what is no dataset."""
    dataset = open_recording(path, fps)
    features = {key: _stored(feature) for key, feature in dataset.features.items() if feature.kind in _KINDS}
    notes = [f"{key} is {f.kind}, and left out" for key, f in dataset.features.items() if f.kind not in _KINDS]
    if any(feature.names for feature in dataset.features.values()):
        notes.append("names of vectors' entries have no place in the format, and are left out")
    given = dataset.env_args or _env_args(dataset)
    target = Path(target).absolute()
    replaced = os.path.getsize(target) if overwrite and os.path.isfile(target) else 0
    takes = _estimate(dataset, features)
    plan = Hdf5Plan(dataset, features, dict(given), target, overwrite, tuple(notes), takes, replaced)
    return replace(plan, refusals=tuple(_refusals(plan)))


def write_hdf5(plan: Hdf5Plan) -> None:
    """Writes the file, which appears complete and checked, or not at all.

    Raises ConfigError with all refusals at once, and for values that the format cannot hold.
    """
    if plan.refusals:
        raise ConfigError(f"{plan.target} is not written:" + "".join(f"\n  {reason}" for reason in plan.refusals))
    dataset, masks = plan.dataset, plan.dataset.subsets
    before = stamps_below([dataset.path])
    staged = staged_file(plan.target, partial(check_target, overwrite=plan.overwrite))
    with blaming_the_system(plan.target, "Nothing is left of it."), staged as staging:
        with RobomimicWriter(staging, env_args=plan.env_args, features=plan.features) as writer:
            ids = dataset.episodes.ids.tolist()
            bar = partial(tqdm, desc=f"Writing {plan.target.name}", unit="episode", delay=2, disable=None)
            for ordinal, episode in enumerate(bar(ids)):
                own = [name for name, chosen in masks.items() if episode in chosen]
                writer.add_episode(_episode(plan, ordinal), masks=own)
        expect_same(before, stamps_below([dataset.path]))
        expect_sound(staging)


def as_table(plan: Hdf5Plan) -> Table:
    """What a person reads before it is done."""
    table = Table(title=f"plan for {plan.target}", show_header=False)
    cameras = sum(feature.is_camera for feature in plan.features.values())
    rows = [
        ("format", "robomimic HDF5"),
        ("episodes, frames", f"{plan.dataset.num_episodes:,}, {plan.dataset.num_frames:,}"),
        ("task", str(plan.env_args.get("env_name"))),
        ("features", ", ".join(plan.features)),
        ("pictures decoded, kept without loss", f"{cameras * plan.dataset.num_frames:,}"),
        ("disk", disk_text(plan.target, plan.takes.bytes, plan.replaced_bytes)),
        ("time", f"about {time_text(plan.takes.seconds)}"),
        *(("refused", reason) for reason in plan.refusals),
    ]
    for row in rows:
        table.add_row(*row)
    return table


_KINDS = ("numeric", "camera")


def _stored(feature: Feature) -> Feature:
    shape = (3, *feature.shape[1:]) if feature.is_camera else feature.shape
    return Feature(feature.kind, feature.dtype, shape, storage="array" if feature.is_camera else "column")


def _env_args(dataset: Dataset) -> dict[str, Any]:
    """What says the task, the rate and the robot of a dataset that was not recorded in a simulator robomimic knows."""
    robots = [dataset.robot_type] if dataset.robot_type else []
    kwargs = {"control_freq": number(dataset.fps), "robots": robots}
    return {"env_name": dataset.tasks[0] if dataset.tasks else "", "type": "recorded", "env_kwargs": kwargs}


def _estimate(dataset: Dataset, features: dict[str, Feature]) -> Estimate:
    """What the file takes: numbers as they are, pictures as those that are tried."""
    numeric = [feature for feature in features.values() if not feature.is_camera]
    size = dataset.num_frames * sum(np.dtype(f.dtype).itemsize * int(np.prod(f.shape)) for f in numeric)
    rows = np.arange(dataset.num_frames)
    parts = [Drawn(DatasetFrames(dataset, key), rows, "") for key, feature in features.items() if feature.is_camera]
    trials = [tried([part], as_gzip, _PIXEL) for part in parts if len(part)]
    each, seconds = sum(trial.bytes for trial in trials), sum(trial.seconds for trial in trials)
    return Estimate(size, 0, round(each * len(rows)), seconds * len(rows) + size / WRITTEN_PER_SECOND)


def _refusals(plan: Hdf5Plan) -> Iterator[str]:
    used = np.unique(plan.dataset.task_indices())
    if len(used) > 1:
        texts = ", ".join(repr(plan.dataset.tasks[i]) for i in used[:5])
        yield (
            f"the format holds one task, and the dataset has {len(used)}: {texts}. Split it by task (robomix split "
            "--rules), or give all one text (robomix tasks --set)."
        )
    if plan.target.suffix not in _SUFFIXES:
        yield f"{plan.target} is not called as an HDF5 file: name it {plan.target.name}.hdf5."
    for ask in (
        partial(check_storable, plan.features),
        partial(env_args_text, plan.env_args),
        partial(check_target, plan.target, overwrite=plan.overwrite),
    ):
        try:
            ask()
        except ConfigError as error:
            yield str(error)
    yield from no_source(plan.target, [plan.dataset.path])
    yield from no_linked_source(plan.target, [plan.dataset.path])
    yield from no_room(plan.target, plan.takes.bytes)


def _episode(plan: Hdf5Plan, ordinal: int) -> dict[str, np.ndarray | Iterator[np.ndarray]]:
    start, stop = plan.dataset.episodes.starts[ordinal : ordinal + 2].tolist()
    rows = np.arange(start, stop)
    return {
        key: _frames(DatasetFrames(plan.dataset, key), rows) if feature.is_camera else plan.dataset.column(key)[rows]
        for key, feature in plan.features.items()
    }


def _frames(camera: DatasetFrames, rows: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(rows), _AT_ONCE):
        yield from camera.read(rows[begin : begin + _AT_ONCE])

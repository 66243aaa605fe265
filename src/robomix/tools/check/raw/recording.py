"""The numbers of a dataset by episode, whatever its format and health: what the families of values look at."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from robomix.features import BOOKKEEPING
from robomix.formats.base import Dataset
from robomix.formats.lerobot.features import entry_names
from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.owners import ends_of, owners
from robomix.tools.check.raw.profile import Profile, profile
from robomix.tools.check.raw.stretch import Stretch
from robomix.tools.check.raw.tables import is_number

_MAX_ENTRIES = 4096
"""Numbers of one frame beyond which a column is a picture, not a quantity."""
_ROWS = 1 << 16
"""Rows of a readable dataset looked at together."""


@dataclass(frozen=True)
class Recording:
    """The numbers of one dataset."""

    path: Path
    fps: float | None
    robot_type: str | None
    names: Mapping[str, tuple[str, ...] | None]
    """By feature, the names of its entries where the dataset has them."""
    stretches: Callable[[], Iterator[Stretch]] = field(repr=False)
    """Reads all episodes, some at a time."""

    @cached_property
    def profile(self) -> Profile:
        """What all numbers look like, from one pass over them. Raises UnverifiableError where none can be read."""
        return profile(self.stretches(), self.names, self.fps)


def recording_of_raw(raw: RawLeRobot) -> Recording:
    """A LeRobot dataset as it lies on disk. Raises UnverifiableError where no data file can be read."""
    files = raw.frames.files
    keys = sorted({
        name
        for file in files
        for name, column in zip(file.schema.names, file.schema.types, strict=True)
        if name not in BOOKKEEPING and is_number(column)
    })  # fmt: skip
    names = {key: _declared_names(raw, key) for key in keys}
    robot = raw.info.get("robot_type")
    try:
        fps = raw.fps
    except UnverifiableError:
        fps = None
    return Recording(raw.root, fps, robot if isinstance(robot, str) else None, names, partial(_of_files, raw, keys))


def recording_of_dataset(dataset: Dataset, *, fps_is_known: bool = True) -> Recording:
    """A dataset that can be opened, in its own rate and names."""
    names = {key: feature.names for key, feature in dataset.features.items() if feature.kind == "numeric"}
    fps = float(dataset.recorded_fps) if fps_is_known else None
    return Recording(dataset.path, fps, dataset.robot_type, names, partial(_of_dataset, dataset, list(names)))


def _declared_names(raw: RawLeRobot, key: str) -> tuple[str, ...] | None:
    try:
        spec = raw.features.get(key, {})
    except UnverifiableError:
        return None
    shape = spec.get("shape")
    if not isinstance(shape, list) or not all(isinstance(side, int) for side in shape):
        return None
    return entry_names(spec.get("names"), tuple(shape))


def _of_files(raw: RawLeRobot, keys: list[str]) -> Iterator[Stretch]:
    """File by file, some rows at a time: an episode that is spread over two files comes in two parts."""
    of, begin = owners(raw), 0
    for file in raw.frames.files:
        mine = of[begin : begin + file.num_rows]
        begin += file.num_rows
        quantities = [key for key, shape in raw.row_shapes(file).items() if 0 < math.prod(shape) <= _MAX_ENTRIES]
        kept, first = [key for key in keys if key in quantities], 0
        for columns in raw.numbers_in(file, kept, ends_of(mine)) if kept else [{}] if len(mine) else ():
            stop = first + len(next(iter(columns.values()), mine))
            yield _stretch(mine[first:stop], columns)
            first = stop


def _stretch(of: np.ndarray, columns: Mapping[str, np.ndarray]) -> Stretch:
    """Rows of the episodes `of` (n,), in the order of these."""
    order = np.argsort(of, kind="stable")
    ids, starts = np.unique(of[order], return_index=True)
    flat = {key: values.reshape(len(values), -1)[order] for key, values in columns.items()}
    return Stretch(ids, np.append(starts, len(of)), flat)


def _of_dataset(dataset: Dataset, keys: list[str]) -> Iterator[Stretch]:
    recording = dataset.recording
    starts, ids = recording.episodes.starts, recording.episodes.ids
    columns = {key: recording.column(key) for key in keys}
    first = 0
    while first < len(ids):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _ROWS, side="right")) - 1)
        rows = slice(starts[first], starts[last])
        values = {key: column[rows].reshape(rows.stop - rows.start, -1) for key, column in columns.items()}
        yield Stretch(ids[first:last], starts[first : last + 1] - starts[first], values)
        first = last

"""Rows and frames of a source as its samples hold them, after its transforms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.errors import AlignmentError
from robomix.formats.lerobot.write_tables import numeric_column
from robomix.mixture.source import Source
from robomix.tools.build.content import Rows
from robomix.video.pool import decoders

_AT_ONCE = 256
"""Frames that are read together: a transform may ask for camera images along with the numbers."""


@dataclass(frozen=True)
class SampleRows:
    """The rows of an episode of `source`: what its samples hold of `keys`, beside columns of the recording."""

    source: Source
    recorded: Rows
    kept: tuple[str, ...]
    """Columns of the recording that no sample holds, such as texts, or that the transforms leave alone."""
    keys: tuple[str, ...]
    first: int
    """The episode's first frame, as the source counts them."""
    length: int

    def table(self) -> pa.Table:
        """See `Rows`. Raises AlignmentError for a transform that fails, or that changes tasks."""
        table = self.recorded.table().select(list(self.kept))
        blocks = list(self._blocks())
        for key in self.keys:
            table = table.append_column(key, numeric_column(np.concatenate([block[key].numpy() for block in blocks])))
        return table

    @property
    def size(self) -> int:
        return self.recorded.size

    def _blocks(self) -> Iterator[dict[str, Any]]:
        for begin in range(0, self.length, _AT_ONCE):
            frames = self.first + np.arange(begin, min(begin + _AT_ONCE, self.length))
            values, recorded = samples(self.source, frames, self.keys)
            if values["task"] != recorded:
                raise AlignmentError(
                    f"source {self.source.name!r}: its transforms change the task {recorded[0]!r}, to "
                    f"{values['task'][0]!r}. Give tasks other texts with --task_map, or with `lang`."
                )
            yield values


@dataclass(frozen=True)
class SampleFrames:
    """The frames of one camera of `source`, by frame as the source counts them."""

    source: Source
    key: str

    @property
    def height(self) -> int:
        return self.source.features[self.key].shape[1]

    @property
    def width(self) -> int:
        return self.source.features[self.key].shape[2]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3, height, width) uint8."""
        frames: np.ndarray = samples(self.source, rows, (self.key,))[0][self.key].numpy()
        return np.repeat(frames, 3, axis=1) if frames.shape[1] == 1 else frames[:, :3]


def samples(source: Source, frames: np.ndarray, keys: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """What samples of `frames` (n,) hold of `keys`, key to tensor (n, ...) and `task`; and the tasks as recorded."""
    part = source.begin(frames, {}, keys)
    for job in part.jobs:
        job()
    return source.finish(part), [source.tasks[task] for task in part.task]


def is_untouched(source: Source, key: str, frames: int = 16) -> bool:
    """Whether the transforms of `source` leave the camera `key` as it is recorded, as far as `frames` of it tell.

    These are spread over all of its frames. A camera of another name or size is another one.
    """
    recorded = source.mapped_keys().get(key)
    if recorded is None or source.dataset.features[recorded].shape != source.features[key].shape:
        return False
    chosen = np.unique(np.linspace(0, source.frames.num_frames - 1, frames).round().astype(np.int64))
    made = samples(source, chosen, (key,))[0][key].numpy()
    same = np.array_equal(made, source.dataset.read_frames(recorded, source.frames.rows(chosen)))
    decoders.close()  # a merge may have any number of sources, and an idle decoder takes megabytes
    return same

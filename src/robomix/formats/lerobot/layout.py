"""Where the rows, tasks and videos of a LeRobot dataset lie, in the same terms for all versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.formats.parquet import numpy_type, open_parquet


@dataclass(frozen=True)
class EpisodeRecord:
    """What the metadata says of an episode."""

    index: int
    length: int
    first_task: str | None


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of rows, and which episodes they belong to."""

    name: str
    """Relative to the dataset."""
    spans: np.ndarray
    """(S, 4) int64: first row in the file, number of rows, ordinal of the episode, first frame of it."""
    passed_over: int = 0
    """Rows of episodes that were not chosen, which no span has."""


@dataclass(frozen=True)
class VideoFiles:
    """The video files of one camera."""

    names: list[str]
    """Relative to the dataset."""
    file_of: np.ndarray
    """(E,) int64: for each episode its file, a position in `names`."""
    first: np.ndarray
    """(E,) int64: for each episode the frame of the file that shows its first row."""


@dataclass(frozen=True)
class Layout:
    """What the reading of a version's metadata yields. Episodes are in rising order of their index."""

    episodes: list[EpisodeRecord]
    """Their lengths are what the data files have been found to hold."""
    data: list[DataFile]
    tasks: dict[int, str]
    """Text by task_index."""
    videos: dict[str, VideoFiles]
    warnings: list[str]
    """What was left out, and why."""

    @property
    def ids(self) -> np.ndarray:
        """(E,) int64: `episode_index` of each episode."""
        return np.array([episode.index for episode in self.episodes], np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """(E,) int64: rows of each episode."""
        return np.array([episode.length for episode in self.episodes], np.int64)


def check_episodes(records: Iterable[EpisodeRecord], where: Path) -> tuple[list[EpisodeRecord], list[str]]:
    """Sort records by index and leave out empty episodes, with warnings.

    Raises FormatError where an episode is listed twice, or none is left.
    """
    ordered = sorted(records, key=lambda record: record.index)
    for one, two in pairwise(ordered):
        if one.index == two.index:
            raise FormatError(f"{where} lists episode {one.index} more than once. Delete the entry that is wrong.")
    kept = [record for record in ordered if record.length > 0]
    if not kept:
        raise FormatError(f"{where} lists no episodes with frames, so there is nothing to read.")
    empty = [f"left out episode {record.index}: it has no frames" for record in ordered if record.length == 0]
    return kept, empty


def stored_types(root: Path, files: list[DataFile], keys: Iterable[str]) -> dict[str, pa.DataType]:
    """The type of each of the columns `keys` that any file has.

    Raises FormatError naming a file that lacks a column others have, or holds it in another type.
    """
    found: dict[str, tuple[pa.DataType, str]] = {}
    schemas = {}
    for file in files:
        with open_parquet(root / file.name) as parquet:
            schemas[file.name] = parquet.schema_arrow
    for name, schema in schemas.items():
        for key in keys:
            if key in schema.names:
                found.setdefault(key, (schema.field(key).type, name))
    for name, schema in schemas.items():
        for key, (kind, first) in found.items():
            if key not in schema.names:
                raise FormatError(f"{root / name} has no column {key!r}, but {first} has. Restore it, or delete both.")
            here = schema.field(key).type
            if numpy_type(here) != numpy_type(kind):
                raise FormatError(f"{root / name} has {key!r} as {here}, but {first} has it as {kind}. Convert one.")
    return {key: kind for key, (kind, _) in found.items()}

"""A LeRobot dataset as it lies on disk: every part read on its own, so that one broken part does not hide the others.

Nothing here corrects, sorts or completes what the files say. What cannot be read raises UnverifiableError where it is
asked for, and the check that is about that very thing asks for the reason instead (`problem_of`).
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.files import read_json, read_json_lines
from robomix.formats.lerobot.info import DEFAULT_PATHS, fill
from robomix.formats.parquet import read_columns
from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.folder import RawFolder
from robomix.tools.check.raw.parts import Shapes, read_parts, row_shapes, stops_at
from robomix.tools.check.raw.stats import EpisodeStats, of_lines, of_table
from robomix.tools.check.raw.tables import (
    DataFile,
    footer,
    metadata_table,
    numbers,
    stats_table,
    whole_table,
)
from robomix.tools.check.raw.values import mapping, whole
from robomix.tools.check.raw.videos import VideoFacts, read_video

if TYPE_CHECKING:
    from robomix.tools.check.raw.recording import Recording
    from robomix.tools.check.raw.windows import Footage

INFO = "meta/info.json"
MAX_ROWS = 1 << 28
"""Rows whose bookkeeping is looked at; a small file can claim any number."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Frames:
    """The bookkeeping columns of all readable data files, end to end in the order of `files`; None: no file has it."""

    files: tuple[DataFile, ...]
    file_of: np.ndarray
    """(N,) int64: position in `files`."""
    columns: Mapping[str, np.ndarray]
    """episode_index, frame_index, index, task_index (int64, -1 where missing) and timestamp (float64), each (N,)."""

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self.columns:
            raise UnverifiableError(f"no data file has a column {key!r}")
        return self.columns[key]

    def __len__(self) -> int:
        return len(self.file_of)


class RawLeRobot(RawFolder):
    """One LeRobot dataset, v2.0, v2.1 or v3.0, as it lies on disk."""

    def __init__(self, root: Path, read_video: Callable[[Path], VideoFacts] = read_video) -> None:
        super().__init__(root)
        self.read_video = read_video
        self._paths: dict[tuple[int | str, ...], str | None] = {}
        self._shapes: dict[str, Shapes] = {}

    @cached_property
    def info(self) -> dict[str, Any]:
        """What info.json holds, unchecked."""
        return self.read(read_json, INFO)

    @cached_property
    def layout(self) -> str:
        """v2 or v3: by the files that are there, whatever info.json says."""
        names = self.files
        if "meta/episodes.jsonl" in names or any(_is_episode_file(name) for name in names):
            return "v2"
        if any(name.startswith("meta/episodes/") for name in names) or any("/file-" in name for name in names):
            return "v3"
        raise UnverifiableError(
            "neither files of LeRobot v2.x (episode_*.parquet) nor of v3.0 (file-*.parquet) lie here"
        )

    @property
    def version(self) -> str | None:
        """As info.json has it, with the v."""
        found = self.info.get("codebase_version")
        return None if found is None else f"v{str(found).removeprefix('v')}"

    @cached_property
    def features(self) -> dict[str, dict[str, Any]]:
        """The declared features, unchecked."""
        found = self.info.get("features")
        if not isinstance(found, dict) or not found or not all(isinstance(spec, dict) for spec in found.values()):
            raise UnverifiableError(f"{INFO} declares no features")
        return found

    @property
    def cameras(self) -> list[str]:
        """Keys of the declared features that are video."""
        return [key for key, spec in self.features.items() if spec.get("dtype") == "video"]

    @cached_property
    def fps(self) -> float:
        found = self.info.get("fps")
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= sys.float_info.max:
            raise UnverifiableError(f"{INFO} has fps {found!r:.40}")
        return float(found)

    @property
    def chunks_size(self) -> int:
        found = self.info.get("chunks_size")
        return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 1000

    def template(self, which: str) -> str:
        """`data_path` or `video_path`: info.json's, or LeRobot's own where it has none."""
        found = self.info.get(which)
        return found if isinstance(found, str) else DEFAULT_PATHS[self.layout][which == "video_path"]

    def path_of(self, which: str, **values: int | str) -> str | None:
        """The file a template names; None where it asks for what there is not, or leads out of the dataset."""
        asked = (which, *values.values())
        if asked not in self._paths:
            try:
                self._paths[asked] = fill(self.template(which), self.root, **values)
            except FormatError:
                self._paths[asked] = None
        return self._paths[asked]

    @cached_property
    def episodes(self) -> list[Row]:
        """What the metadata says of each episode, in its own order, without the `stats/*` of v3.0."""
        if self.layout == "v2":
            return self.read(read_json_lines, "meta/episodes.jsonl")
        rows: list[Row] = []
        for name in self.episode_files:
            table = self.read(metadata_table, name)
            rows += table.to_pylist()
        return rows

    @cached_property
    def episode_rows(self) -> dict[int, Row]:
        """The metadata of each episode by its number, in its own order; of one that is listed twice, the first."""
        rows: dict[int, Row] = {}
        for row in self.episodes:
            index = whole(row.get("episode_index"))
            if index is not None and index >= 0:
                rows.setdefault(index, row)
        return rows

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Length of each episode by its number, as the metadata has it; -1 where that is no count."""
        found = {index: whole(row.get("length")) for index, row in self.episode_rows.items()}
        return {index: -1 if length is None or length < 0 else length for index, length in found.items()}

    @cached_property
    def episode_files(self) -> list[str]:
        """v3.0: the Parquet files that list the episodes."""
        names = [name for name in self.files if name.startswith("meta/episodes/") and name.endswith(".parquet")]
        if not names:
            raise UnverifiableError("no *.parquet lies below meta/episodes")
        return names

    @cached_property
    def tasks(self) -> list[tuple[Any, Any]]:
        """(task_index, text), unchecked, in the order of the file."""
        if self.layout == "v2":
            lines = self.read(read_json_lines, "meta/tasks.jsonl")
            return [(line.get("task_index"), line.get("task")) for line in lines]
        table = self.read(whole_table, "meta/tasks.parquet")
        texts = next((name for name in ("task", "__index_level_0__") if name in table.column_names), None)
        if texts is None or "task_index" not in table.column_names:
            raise UnverifiableError(f"meta/tasks.parquet has the columns {table.column_names}")
        return list(zip(table["task_index"].to_pylist(), table[texts].to_pylist(), strict=True))

    @cached_property
    def stats(self) -> dict[str, Any]:
        """meta/stats.json."""
        return self.read(read_json, "meta/stats.json")

    @cached_property
    def episode_stats(self) -> EpisodeStats:
        """Statistics of each episode: v2.1's episodes_stats.jsonl, or the `stats/*` columns of v3.0."""
        if self.layout == "v2":
            lines = _numbered(self.read(read_json_lines, "meta/episodes_stats.jsonl"))
            return of_lines([(index, mapping(line.get("stats"))) for line, index in lines])
        tables = [self.read(stats_table, name) for name in self.episode_files]
        try:
            table = pa.concat_tables(tables, promote_options="default")
        except pa.ArrowException as error:
            raise UnverifiableError(
                f"the files of meta/episodes have statistics of different types: {error}"
            ) from error
        ids = [-1 if (index := whole(row.get("episode_index"))) is None else index for row in self.episodes]
        return of_table(np.array(ids, np.int64), table)

    @cached_property
    def data_names(self) -> list[str]:
        """Every Parquet file that is not metadata, sorted."""
        return [name for name in self.files if name.endswith(".parquet") and not name.startswith("meta/")]

    @cached_property
    def _opened(self) -> dict[str, "DataFile | str"]:
        return {name: footer(self.root, name) for name in self.data_names}

    @property
    def data(self) -> list[DataFile]:
        """The data files whose footers can be read."""
        return [file for file in self._opened.values() if isinstance(file, DataFile)]

    @property
    def broken_data(self) -> dict[str, str]:
        """The data files that cannot be read, and why."""
        return {name: why for name, why in self._opened.items() if isinstance(why, str)}

    @cached_property
    def frames(self) -> Frames:
        """The bookkeeping columns of all readable data files."""
        if not self.data:
            raise UnverifiableError("there is no data file that can be read")
        if sum(file.num_rows for file in self.data) > MAX_ROWS:
            raise UnverifiableError(f"the data files claim more than {MAX_ROWS:,} rows")
        wanted = ("episode_index", "frame_index", "index", "task_index", "timestamp")
        parts: dict[str, list[np.ndarray]] = {key: [] for key in wanted}
        for file in self.data:
            table = self.read(partial(read_columns, names=wanted), file.name)
            for key in wanted:
                kind = np.float64 if key == "timestamp" else np.int64
                parts[key].append(numbers(table, key, file.num_rows, kind))
        present = [key for key in wanted if any(key in file.schema.names for file in self.data)]
        rows = [file.num_rows for file in self.data]
        return Frames(
            tuple(self.data),
            np.repeat(np.arange(len(rows)), rows),
            {key: np.concatenate(parts[key]) for key in present},
        )

    def column(self, key: str) -> Iterator[tuple[DataFile, np.ndarray]]:
        """A numeric feature of each readable file that has it: (rows, ...) float64 or its own integer type.

        Missing values are NaN. Files whose rows differ in size are left out; `F02` tells of them. Some rows at a time.
        """
        for file in self.data:
            for columns in self.numbers_in(file, [key]):
                yield from ((file, values) for values in columns.values())

    def row_shapes(self, file: DataFile) -> Shapes:
        """The shape of a row of those of a file's columns that are numbers of equal size in each."""
        if file.name not in self._shapes:
            self._shapes[file.name] = self.read(partial(row_shapes, schema=file.schema), file.name)
        return self._shapes[file.name]

    def numbers_in(
        self, file: DataFile, keys: Sequence[str], ends: Sequence[int] | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Those of the columns `keys` of a file that are numbers of equal size in each row (rows, ...), as `column`.

        `ends`: rising rows, the last of them the file's, at some of which parts end; None: at any.
        """
        shapes = {key: shape for key, shape in self.row_shapes(file).items() if key in keys}
        stops = stops_at(range(file.num_rows + 1) if ends is None else ends, shapes)
        parts = read_parts(self.root / file.name, list(shapes), stops)
        while shapes and (part := self.read(lambda _: next(parts, None), file.name)) is not None:
            yield part

    @cached_property
    def video_names(self) -> list[str]:
        """Every video file, sorted."""
        return [name for name in self.files if name.endswith((".mp4", ".mkv", ".avi", ".webm"))]

    @cached_property
    def footage(self) -> "Footage":
        """The videos: what they are by their packets, and where the metadata puts each episode in them."""
        from robomix.tools.check.raw.windows import Footage  # which knows this class

        return Footage(self)

    @cached_property
    def recording(self) -> "Recording":
        """The numbers of all episodes, in the form in which datasets of every format give them."""
        from robomix.tools.check.raw.recording import recording_of_raw  # which knows this class

        return recording_of_raw(self)


def _numbered(rows: list[Row]) -> Iterator[tuple[Row, int]]:
    """The rows that say which episode they are about, with its number."""
    for row in rows:
        index = whole(row.get("episode_index"))
        if index is not None:
            yield row, index


def _is_episode_file(name: str) -> bool:
    return "/episode_" in name and name.endswith((".parquet", ".mp4"))

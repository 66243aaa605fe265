"""Writing one file of a dataset: pure functions of the content and the file, for any process and any order."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.errors import FormatError
from robomix.formats.lerobot.write_stats import PixelCounts, Stats, column_stats, sampled_frames
from robomix.formats.lerobot.write_verify import verify_index
from robomix.formats.lerobot.write_videos import VideoFile as WrittenVideo
from robomix.formats.parquet import to_numpy
from robomix.mixture.padding import PaddingColumns
from robomix.tools.build.blame import blaming_sources
from robomix.tools.build.content import Content, Drawn, Episode
from robomix.tools.build.cuts import joined
from robomix.tools.build.layout import DataFile, VideoFile
from robomix.tools.build.measure import count_pictures, count_video, merged
from robomix.tools.build.padded import declared_padding, real_stats
from robomix.tools.build.spot_checks import check_spots
from robomix.tools.build.tables import BOOKKEEPING_TYPES, episode_tables
from robomix.video.encode import VideoEncoder
from robomix.video.remux import Clip, remux

_AT_ONCE = 32
"""Frames in memory while they are encoded."""
_NOT_NUMBERS = ("image", "string", "binary", "language")


@dataclass(frozen=True)
class WrittenRows:
    """What a data file holds, for the metadata."""

    stats: tuple[dict[str, Stats], ...]
    """Of each of its episodes, by feature; of cameras where nobody knew them."""
    pixels: Mapping[str, PixelCounts]
    """By camera all of whose episodes here were measured: what was counted."""
    size: int
    """Bytes of the file."""


@dataclass(frozen=True)
class WrittenFrames:
    """What a video file holds, for the metadata."""

    starts: tuple[int, ...]
    """The frame at which each of its episodes begins."""
    stats: tuple[Stats | None, ...]
    """Of each of its episodes' frames where they were encoded or nobody knew them; else None."""
    pixels: PixelCounts | None
    """What was counted, where all of its episodes were measured."""
    size: int


def write_data_file(
    content: Content, file: DataFile, root: Path, first_rows: np.ndarray, tasks: Mapping[str, int]
) -> WrittenRows:
    """Writes a Parquet file, a row group for each table of an episode, and reads it back.

    `first_rows` (E,) int64 says how many rows lie before each episode. Raises FormatError where the file does not hold
    afterwards what the episodes gave.
    """
    path = root / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    stats, digests, groups, padding = [], [], [], declared_padding(content)
    counted: dict[str, list[PixelCounts]] = {key: [] for key in _pictures(content)}
    with closing(_RowGroups(path)) as made:
        for number in range(file.first, file.stop):
            episode = content.episodes[number]
            parts: list[pa.Table] = []
            counts = {key: PixelCounts() for key in _unknown(episode, counted)}
            for table in episode_tables(content, number, int(first_rows[number]), tasks):
                made.write(table)
                first = sum(len(part) for part in parts)
                for key, own_counts in counts.items():
                    where = f"{path}, episode {number}, camera {key!r}"
                    count_pictures(own_counts, table[key], first, episode.length, where)
                parts.append(table.select(_numeric(content)))
            groups.append(len(parts))
            values = {key: _values(content, pa.concat_tables(parts), key) for key in _numeric(content)}
            own = _stats_of(episode, values, padding)
            for key, own_counts in counts.items():
                counted[key].append(own_counts)
                own[key] = own_counts.stats()
            stats.append(own)
            digests.append({key: _digest(value) for key, value in values.items()})
    _verify(content, path, groups, digests)
    whole = {key: merged(parts) for key, parts in counted.items() if len(parts) == len(stats)}
    return WrittenRows(tuple(stats), whole, path.stat().st_size)


class _RowGroups:
    """A Parquet file with a row group for each table; its columns are those of the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            kinds = _repeating(table)
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="snappy", use_dictionary=kinds)
        self._writer.write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def write_video_file(content: Content, file: VideoFile, root: Path, codec: str) -> WrittenFrames:
    """Writes a video: its episodes' frames copied, or encoded by `codec`; and reads its index back.

    Raises CutError where frames cannot be copied after all, and FormatError for files that cannot be read.
    """
    path = root / file.name
    parts = [content.episodes[number].videos[file.key] for number in range(file.first, file.stop)]
    starts = _starts(parts)
    clips = [part for part in parts if isinstance(part, Clip)]
    drawn = [part for part in parts if isinstance(part, Drawn)]
    if clips and drawn:
        raise FormatError(f"{file.name} would hold frames that are copied and others that are encoded.")
    keys = starts[:-1]
    if clips:
        keys = _starts(joined(clips))[:-1]
        remux(joined(clips), path, content.fps)
    with blaming_sources(clips):
        counted = _count(content, file, path, starts) if clips else _encode(drawn, path, content, codec)
        # That all bytes can be read shows when the marker's checksum is taken.
        verify_index(WrittenVideo(path, keys, starts[-1]), content.fps)
        if clips:
            check_spots(joined(clips), path)
    known = [counts for counts in counted if counts is not None]
    whole = merged(known) if len(known) == len(counted) else None
    stats = tuple(None if counts is None else counts.stats() for counts in counted)
    return WrittenFrames(tuple(starts[:-1]), stats, whole, path.stat().st_size)


def _starts(parts: Sequence[Clip | Drawn]) -> list[int]:
    """Where each part begins, and the last ends."""
    starts: list[int] = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).tolist()
    return starts


def _count(content: Content, file: VideoFile, path: Path, starts: Sequence[int]) -> list[PixelCounts | None]:
    """What was copied, of the episodes whose statistics nobody knows."""
    made: list[PixelCounts | None] = []
    for number, start, stop in zip(range(file.first, file.stop), starts, starts[1:], strict=False):
        unknown = file.key not in content.episodes[number].camera_stats
        made += count_video(path, [start, stop]) if unknown else [None]
    return made


def _encode(parts: list[Drawn], path: Path, content: Content, codec: str) -> list[PixelCounts | None]:
    height, width = parts[0].frames.height, parts[0].frames.width
    counted: list[PixelCounts | None] = []
    with VideoEncoder(path, height=height, width=width, fps=content.fps, codec=codec) as encoder:
        for part in parts:
            counts, sampled = PixelCounts(), sampled_frames(len(part))
            for i, image in enumerate(_frames(part)):
                encoder.add(image, key_frame=i == 0)
                if i in sampled:
                    counts.add(image)
            counted.append(counts)
    return counted


def _frames(part: Drawn) -> Iterator[np.ndarray]:
    for begin in range(0, len(part), _AT_ONCE):
        yield from part.frames.read(part.rows[begin : begin + _AT_ONCE])


def _pictures(content: Content) -> list[str]:
    return [key for key in content.columns if content.features[key]["dtype"] == "image"]


def _repeating(table: pa.Table) -> list[str]:
    """Columns that dictionaries make smaller. Measurements hardly repeat: there they cost time and space."""
    kinds = [(name, table.schema.field(name).type) for name in table.column_names]
    unique = ("frame_index", "index")
    return [n for n, kind in kinds if n not in unique and (pa.types.is_integer(kind) or pa.types.is_string(kind))]


def _unknown(episode: Episode, cameras: Iterable[str]) -> list[str]:
    return [key for key in cameras if key not in episode.camera_stats]


def _numeric(content: Content) -> list[str]:
    keys = [key for key in content.columns if content.features[key]["dtype"] not in _NOT_NUMBERS]
    return [*keys, *BOOKKEEPING_TYPES]


def _values(content: Content, table: pa.Table, key: str) -> np.ndarray:
    shape = () if key in BOOKKEEPING_TYPES else tuple(content.features[key]["shape"])
    column = table[key]
    return to_numpy(column.combine_chunks(), () if shape == (1,) else shape, f"column {key!r}")


def _stats_of(
    episode: Episode, values: Mapping[str, np.ndarray], padding: Mapping[str, PaddingColumns]
) -> dict[str, Stats]:
    """Of each column of an episode. Raises FormatError for numbers of which there are none."""
    made = {}
    for key, value in values.items():
        try:
            made[key] = (
                real_stats(key, value.shape[1:], padding[key], values.__getitem__, gaps=True)
                if key in padding
                else column_stats(value, value.shape[1:])
            )
        except ValueError as error:
            bad = np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(axis=1))
            if not len(bad):
                raise
            raise FormatError(
                f"{episode.origin.dataset}, episode {episode.origin.episode}, frame {bad[0]}: {key!r} is NaN, infinite "
                "or empty, so it has no statistics (T01). `robomix check` names all such episodes, and `robomix "
                "repair` with --drop_episodes leaves them out. Nothing was published."
            ) from error
    return made


def _digest(values: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()


def _verify(content: Content, path: Path, groups: Sequence[int], digests: Sequence[dict[str, bytes]]) -> None:
    """Raises FormatError unless the row groups of each episode, so many, hold what they were given."""
    first = 0
    with pq.ParquetFile(path) as file:
        for place, (count, expected) in enumerate(zip(groups, digests, strict=True)):
            table = file.read_row_groups(range(first, first + count), columns=list(expected))
            first += count
            for key, digest in expected.items():
                if _digest(_values(content, table, key)) != digest:
                    raise FormatError(
                        f"{path}: read back, column {key!r} of its episode {place} is not what was written. "
                        "Is the disk full or faulty? Nothing was published."
                    )

"""Writing one file of a dataset: pure functions of the content and the file, for any process and any order."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.errors import FormatError
from robomix.formats.lerobot.write_stats import PixelCounts, Stats, column_stats, sampled_frames
from robomix.formats.lerobot.write_verify import verify_video
from robomix.formats.lerobot.write_videos import VideoFile as WrittenVideo
from robomix.formats.parquet import to_numpy
from robomix.tools.build.blame import blaming_sources
from robomix.tools.build.content import Content, Drawn, Episode
from robomix.tools.build.cuts import joined
from robomix.tools.build.layout import DataFile, VideoFile
from robomix.tools.build.measure import count_pictures, count_video, merged
from robomix.tools.build.padded import declared_padding, real_stats
from robomix.tools.build.tables import BOOKKEEPING_TYPES, episode_table
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
    """Writes a Parquet file, one row group per episode, and reads it back.

    `first_rows` (E,) int64 says how many rows lie before each episode. Raises FormatError where the file does not hold
    afterwards what the episodes gave.
    """
    path = root / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    stats, digests, padding = [], [], declared_padding(content)
    counted: dict[str, list[PixelCounts]] = {key: [] for key in _pictures(content)}
    writer: pq.ParquetWriter | None = None
    try:
        for number in range(file.first, file.stop):
            table = episode_table(content, number, int(first_rows[number]), tasks)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=True)
            writer.write_table(table, row_group_size=max(1, len(table)))
            values = {key: _values(content, table, key) for key in _numeric(content)}
            own = {
                key: real_stats(key, value.shape[1:], padding[key], values.__getitem__, gaps=True)
                if key in padding
                else column_stats(value, value.shape[1:])
                for key, value in values.items()
            }
            for key in _unknown(content.episodes[number], counted):
                counted[key].append(count_pictures(table[key], f"{path}, episode {number}, camera {key!r}"))
                own[key] = counted[key][-1].stats()
            stats.append(own)
            digests.append({key: _digest(value) for key, value in values.items()})
    finally:
        if writer is not None:
            writer.close()
    _verify(content, path, digests)
    whole = {key: merged(parts) for key, parts in counted.items() if len(parts) == len(stats)}
    return WrittenRows(tuple(stats), whole, path.stat().st_size)


def write_video_file(content: Content, file: VideoFile, root: Path, codec: str) -> WrittenFrames:
    """Writes a video: its episodes' frames copied, or encoded by `codec`; and reads its packets back.

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
        verify_video(WrittenVideo(path, keys, starts[-1]), content.fps)
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


def _unknown(episode: Episode, cameras: Iterable[str]) -> list[str]:
    return [key for key in cameras if key not in episode.camera_stats]


def _numeric(content: Content) -> list[str]:
    keys = [key for key in content.columns if content.features[key]["dtype"] not in _NOT_NUMBERS]
    return [*keys, *BOOKKEEPING_TYPES]


def _values(content: Content, table: pa.Table, key: str) -> np.ndarray:
    shape = () if key in BOOKKEEPING_TYPES else tuple(content.features[key]["shape"])
    column = table[key]
    return to_numpy(column.combine_chunks(), () if shape == (1,) else shape, f"column {key!r}")


def _digest(values: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()


def _verify(content: Content, path: Path, digests: list[dict[str, bytes]]) -> None:
    """Raises FormatError unless each row group, read back, holds the episode it was given."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with pq.ParquetFile(path) as file:
        for group, expected in enumerate(digests):
            table = file.read_row_group(group, columns=list(expected))
            for key, digest in expected.items():
                if _digest(_values(content, table, key)) != digest:
                    raise FormatError(
                        f"{path}: read back, column {key!r} of its episode {group} is not what was written. "
                        "Is the disk full or faulty? Nothing was published."
                    )

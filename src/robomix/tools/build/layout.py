"""Which files a dataset makes: decided before anything is written, so that each can be written by itself.

Sizes are judged by what the parts take where they lie now, never by what has been written: the same content makes the
same files, however many processes write them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from robomix.formats.lerobot.info import DEFAULT_PATHS
from robomix.formats.lerobot.write_tables import FILES_PER_CHUNK, Place
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.cuts import groups, order_of
from robomix.tools.build.tables import rows_size
from robomix.video.encode import find_encoder
from robomix.video.remux import Clip, StreamKey, stream_key
from robomix.video.timeline import stat_video

Version = Literal["v2.0", "v2.1", "v3.0"]
DATA_MB, VIDEO_MB = 100, 200
"""LeRobot's sizes at which v3.0 begins the next file."""
_MB = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """A Parquet file to be written."""

    name: str
    place: Place
    first: int
    """Its first episode."""
    stop: int
    """One past its last episode."""


@dataclass(frozen=True)
class VideoFile:
    """A video to be written: frames that are copied, or frames that are encoded."""

    name: str
    place: Place
    key: str
    first: int
    stop: int
    encoded: bool


@dataclass(frozen=True)
class Files:
    """All files of a dataset but its metadata."""

    version: Version
    data: tuple[DataFile, ...]
    videos: tuple[VideoFile, ...]


def lay_out(
    content: Content,
    version: Version = "v3.0",
    data_mb: float = DATA_MB,
    video_mb: float = VIDEO_MB,
    codec: str = "libsvtav1",
) -> Files:
    """Decides which files `content` makes in a dataset of `version`; `codec` encodes what must be."""
    if version == "v3.0":
        sizes = [rows_size(content, episode) for episode in content.episodes]
        data = [
            DataFile(_name(version, 0, place), place, first, stop)
            for place, first, stop in _places(_runs(sizes, [None] * len(sizes), data_mb * _MB))
        ]
        videos = [file for key in content.videos for file in _video_files(content, key, video_mb * _MB, codec)]
    else:
        ordinals = range(len(content.episodes))
        data = [DataFile(_name(version, 0, _of(i), episode=i), _of(i), i, i + 1) for i in ordinals]
        videos = [
            VideoFile(_name(version, 1, _of(i), key, i), _of(i), key, i, i + 1, _is_encoded(content, key, i))
            for key in content.videos
            for i in ordinals
        ]
    return Files(version, tuple(data), tuple(videos))


def _video_files(content: Content, key: str, limit: float, codec: str) -> Iterator[VideoFile]:
    parts = [episode.videos[key] for episode in content.episodes]
    bound = groups(parts)
    sizes = [sum(video_size(part, codec) for part in parts[first:stop]) for first, stop in bound]
    heads = [parts[first] for first, _ in bound]
    keys: list[StreamKey | None] = [
        None if isinstance(part, Drawn) else _key(part.path, *stat_video(part.path)) for part in heads
    ]
    for place, begin, end in _places(_runs(sizes, keys, limit)):
        first, stop = bound[begin][0], bound[end - 1][1]
        yield VideoFile(_name("v3.0", 1, place, key), place, key, first, stop, isinstance(parts[first], Drawn))


def _runs(sizes: Sequence[float], keys: Sequence[object], limit: float) -> Iterator[tuple[int, int]]:
    """(first, stop) of neighbours of one key that together stay below `limit`; at least one in each."""
    first, total = 0, 0.0
    for i, size in enumerate(sizes):
        if i > first and (keys[i] != keys[first] or total + size > limit):
            yield first, i
            first, total = i, 0.0
        total += size
    if sizes:
        yield first, len(sizes)


def _places(runs: Iterator[tuple[int, int]]) -> Iterator[tuple[Place, int, int]]:
    place = Place()
    for first, stop in runs:
        yield place, first, stop
        place = place.next()


def _of(episode: int) -> Place:
    """v2.x: the chunk of an episode."""
    return Place(*divmod(episode, FILES_PER_CHUNK))


def _name(version: Version, which: int, place: Place, key: str = "", episode: int = 0) -> str:
    return DEFAULT_PATHS[version[:2]][which].format(
        chunk_index=place.chunk,
        file_index=place.file,
        episode_chunk=place.chunk,
        episode_index=episode,
        video_key=key,
    )


def _is_encoded(content: Content, key: str, episode: int) -> bool:
    return isinstance(content.episodes[episode].videos[key], Drawn)


def video_size(part: Clip | Drawn, codec: str = "libsvtav1") -> float:
    """About how many bytes frames take in a file, encoded by `codec` where they must be."""
    if isinstance(part, Drawn):
        return find_encoder(codec).bytes_per_pixel * len(part) * part.frames.height * part.frames.width
    return part.path.stat().st_size * len(part) / len(order_of(part.path).rank)


@lru_cache(maxsize=65536)
def _key(path: Path, size: int, mtime: int) -> StreamKey:
    return stream_key(path)

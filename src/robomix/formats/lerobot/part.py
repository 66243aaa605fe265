"""A part of a LeRobot dataset: some of its episodes, perhaps not all cameras, of which alone the files need be there.

What a part is, the mixture file decides, never which files happen to lie in the folder: so it is the same everywhere.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from robomix.errors import FormatError
from robomix.files import Listing
from robomix.formats.lerobot import v2, v3
from robomix.formats.lerobot.info import DEFAULT_PATHS, Info, fill


@dataclass(frozen=True)
class Part:
    """Which part of a dataset is read."""

    episodes: tuple[int, ...] | None = None
    """By `episode_index`; None: all."""
    without: tuple[str, ...] = ()
    """Video cameras that nobody will read; they stay declared."""

    @cached_property
    def _chosen(self) -> frozenset[int]:
        return frozenset(self.episodes or ())

    def has(self, episode: object) -> bool:
        return self.episodes is None or episode in self._chosen

    @property
    def text(self) -> str:
        """The same for the same part, whatever the order in which it was written."""
        return json.dumps([self.episodes and sorted(self.episodes), sorted(self.without)])


WHOLE = Part()


def video_cameras(info: Info) -> list[str]:
    """The features that are declared as video."""
    return [key for key, spec in info.features.items() if spec.get("dtype") == "video"]


def episode_ids(info: Info, listing: Listing) -> list[int]:
    """The `episode_index` of all episodes with frames, rising, by the metadata alone. Raises FormatError."""
    if info.version == "v3.0":
        ids = [row.get("episode_index") for row in v3.episode_rows(info, listing, []) if row.get("length")]
        return sorted(id for id in ids if isinstance(id, int))
    return [episode.index for episode in v2.read_episodes(info)[0]]


def files_of(info: Info, listing: Listing, part: Part) -> list[str]:
    """The files that hold a part, sorted: all metadata, and the data and videos of its episodes and cameras.

    `listing` may be that of a repository, of which only `meta/` lies at `info.root`. Where the metadata does not lead
    to all of the rows, all data files are meant. Raises FormatError for metadata that cannot be read.
    """
    folders = tuple(f"{folder}/" for folder in info.folders())
    if part == WHOLE:
        return sorted(name for name in listing.files if name.startswith(folders))
    cameras = [key for key in video_cameras(info) if key not in part.without]
    found = (_files_v3 if info.version == "v3.0" else _files_v2)(info, listing, part, cameras)
    return sorted({name for name in listing.files if name.startswith("meta/")} | found)


def of_part(info: Info, listing: Listing, part: Part) -> Listing:
    """`listing` with the files of a part only. Raises FormatError where none of them are data."""
    names = files_of(info, listing, part)
    if part != WHOLE and not any(name.endswith(".parquet") and not name.startswith("meta/") for name in names):
        raise FormatError(f"{info.root} has no data file of the chosen episodes. Download them, or choose others.")
    return Listing(listing.root, {name: listing.files[name] for name in names})


def _files_v3(info: Info, listing: Listing, part: Part, cameras: list[str]) -> set[str]:
    rows = [row for row in v3.episode_rows(info, listing, cameras) if part.has(row.get("episode_index"))]
    data = {_data_file(info, listing, row) for row in rows if row.get("length")}
    if None in data:
        data = {*listing.below(info.data_path.split("/")[0], ".parquet"), *listing.below("data", ".parquet")}
    videos = {v3.video_name(info, listing, key, row)[0] for key in cameras for row in rows}
    return {name for name in data | videos if name is not None}


def _data_file(info: Info, listing: Listing, row: dict[str, Any]) -> str | None:
    chunk, file = row.get("data/chunk_index"), row.get("data/file_index")
    if not isinstance(chunk, int) or not isinstance(file, int):
        return None
    templates = (info.data_path, DEFAULT_PATHS["v3"][0])
    names = [fill(template, info.root, chunk_index=chunk, file_index=file) for template in templates]
    return next((name for name in names if name in listing.files), None)


def _files_v2(info: Info, listing: Listing, part: Part, cameras: list[str]) -> set[str]:
    data = v2.by_number(listing, ".parquet")
    videos = [v2.by_number(listing, ".mp4", within=key) for key in cameras]
    return {
        name for numbers in (data, *videos) for number, names in numbers.items() if part.has(number) for name in names
    }

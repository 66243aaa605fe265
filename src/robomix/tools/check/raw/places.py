"""Where the metadata of a LeRobot dataset says that the files of its episodes lie, and where files of a number lie.

v2.x names files after the episode, so a file tells whose it is; v3.0 has the number of a chunk and of a file for each
episode, which is all there is to go by.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robomix.tools.check.raw.lerobot import RawLeRobot, Row
from robomix.tools.check.raw.values import whole

_EPISODE_FILE = re.compile(r"(?:^|/)episode_(\d{1,15})\.\w+$")


@dataclass(frozen=True)
class Place:
    """One file that an episode should have."""

    episode: int
    key: str | None
    """The camera; None for the rows."""
    named: str | None
    """The file that template and metadata name; None where they name none."""
    complete: bool
    """False where the metadata lacks an index that the template asks for (v3.0)."""


def episode_of(name: str) -> int | None:
    """v2.x: the number of the episode that a file is named after."""
    match = _EPISODE_FILE.search(name)
    return int(match[1]) if match else None


def data_places(raw: RawLeRobot) -> list[Place]:
    """For each listed episode the file of its rows."""
    return [_place(raw, row, index, None) for index, row in raw.episode_rows.items()]


def video_places(raw: RawLeRobot) -> dict[str, list[Place]]:
    """For each camera that has any video, and each listed episode, the file of its frames."""
    made = {}
    for key in raw.cameras:
        if videos_of(raw, key):
            made[key] = [_place(raw, row, index, key) for index, row in raw.episode_rows.items()]
    return made


def videos_of(raw: RawLeRobot, key: str) -> list[str]:
    """The video files that lie in a folder named after the camera `key`."""
    return [name for name in raw.video_names if key in name.split("/")[:-1]]


def by_episode(names: Sequence[str]) -> Mapping[int, list[str]]:
    """v2.x: the files by the episode they are named after."""
    found: dict[int, list[str]] = defaultdict(list)
    for name in names:
        index = episode_of(name)
        if index is not None:
            found[index].append(name)
    return found


def astray(raw: RawLeRobot, which: str, places: Sequence[Place], lying: Sequence[str]) -> list[Place]:
    """The episodes whose file is not where the template says, but lies elsewhere."""
    complete = [place for place in places if place.complete]
    missing = [place for place in complete if place.named not in raw.files]
    if raw.layout == "v2":
        candidates = by_episode(lying)
        return [place for place in missing if candidates.get(place.episode)]
    return missing if lying and len(missing) == len(complete) and _unlike(raw, which, lying) else []


def _unlike(raw: RawLeRobot, which: str, lying: Sequence[str]) -> bool:
    """v3.0: whether no file has a name that the template could have made."""
    pattern = re.sub(r"\\\{\w*(:[^{}]*)?\\\}", "[^/]+", re.escape(raw.template(which)).replace(r"\:", ":"))
    return not any(re.fullmatch(pattern, name) for name in lying)


def _place(raw: RawLeRobot, row: Row, index: int, key: str | None) -> Place:
    which = "data_path" if key is None else "video_path"
    values: dict[str, int | str] = {} if key is None else {"video_key": key}
    if raw.layout == "v2":
        values |= {"episode_index": index, "episode_chunk": index // raw.chunks_size}
        return Place(index, key, raw.path_of(which, **values), complete=True)
    prefix = "data" if key is None else f"videos/{key}"
    chunk, file = (whole(row.get(f"{prefix}/{part}_index")) for part in ("chunk", "file"))
    if chunk is None or file is None or chunk < 0 or file < 0:
        return Place(index, key, None, complete=False)
    return Place(index, key, raw.path_of(which, chunk_index=chunk, file_index=file, **values), complete=True)

"""LeRobot v2.0 and v2.1: one Parquet file and one video per camera for each episode, metadata in JSON Lines."""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.files import Listing, read_json_lines
from robomix.formats.lerobot.info import Info, fill
from robomix.formats.lerobot.layout import DataFile, EpisodeRecord, Layout, VideoFiles, check_episodes
from robomix.formats.parquet import open_parquet

_EPISODE_FILE = re.compile(r"episode_(\d{1,18})\.\w+$")


def read_layout(
    info: Info, listing: Listing, cameras: list[str], chosen: Callable[[int], bool] | None = None
) -> Layout:  # fmt: skip
    """Find the episodes, tasks and files of a v2.x dataset. `cameras` are its video features.

    With `chosen`, only the episodes of which it is true, by their `episode_index`; files of others need not be there.
    """
    episodes, warnings = read_episodes(info)
    episodes = [episode for episode in episodes if chosen is None or chosen(episode.index)]
    ids = [episode.index for episode in episodes]
    data = [
        DataFile(name, np.array([[0, episodes[ordinal].length, ordinal, 0]]))
        for ordinal, name in enumerate(_data_files(info, listing, ids))
    ]
    _check_rows(info, data, ids)
    videos = {}
    for key in cameras:
        if files := _video_files(info, listing, key, ids):
            videos[key] = files
    return Layout(episodes, data, read_tasks(info), videos, warnings)


def read_episodes(info: Info) -> tuple[list[EpisodeRecord], list[str]]:
    """What meta/episodes.jsonl says of each episode with frames, and warnings of those without."""
    path = info.root / "meta" / "episodes.jsonl"
    records = []
    for line in read_json_lines(path):
        tasks = line.get("tasks")
        first = next((task for task in tasks if isinstance(task, str)), None) if isinstance(tasks, list) else None
        records.append(EpisodeRecord(_count(line, "episode_index", path), _count(line, "length", path), first))
    return check_episodes(records, path)


def read_tasks(info: Info) -> dict[int, str]:
    """Text by task_index."""
    path = info.root / "meta" / "tasks.jsonl"
    tasks: dict[int, str] = {}
    for line in read_json_lines(path):
        number, text = _count(line, "task_index", path), line.get("task")
        if not isinstance(text, str) or tasks.get(number, text) != text:
            raise FormatError(f"{path}: task_index {number} has the task {text!r}, expected one text for each number.")
        tasks[number] = text
    return tasks


def _count(line: dict[str, Any], key: str, path: Any) -> int:
    value = line.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise FormatError(f"{path}: {key!r} is {value!r} in {str(line)[:80]}..., expected an integer from 0 on.")
    return value


def _data_files(info: Info, listing: Listing, ids: list[int]) -> list[str]:
    numbered = by_number(listing, ".parquet")
    if not numbered:
        raise FormatError(
            f"{info.root} has no data files: no episode_*.parquet lies below {', '.join(info.folders())}. "
            "Download the whole dataset, not just its metadata."
        )
    return [_locate(info, listing, info.data_path, index, numbered[index]) for index in ids]


def _video_files(info: Info, listing: Listing, key: str, ids: list[int]) -> VideoFiles | None:
    """The videos of camera `key`; None if there is none at all."""
    numbered = by_number(listing, ".mp4", within=key)
    if not any(numbered[index] for index in ids):
        return None
    names = [_locate(info, listing, info.video_path, index, numbered[index], key) for index in ids]
    count = len(ids)
    return VideoFiles(names, np.arange(count), np.zeros(count, np.int64))


def by_number(listing: Listing, suffix: str, within: str | None = None) -> defaultdict[int, list[str]]:
    """The files named episode_<number><suffix>, by number; with `within`, those below a folder of that name."""
    found = defaultdict(list)
    for name in listing.files:
        match = _EPISODE_FILE.search(name)
        if match and name.endswith(suffix) and (within is None or within in name.split("/")[:-1]):
            found[int(match[1])].append(name)
    return found


def _locate(info: Info, listing: Listing, template: str, index: int, candidates: list[str], key: str = "") -> str:
    """The file of episode `index`: where the template says, else wherever the one file with its number lies."""
    expected = fill(
        template, info.root, episode_index=index, episode_chunk=index // info.chunks_size, video_key=key
    )  # fmt: skip
    if expected in listing.files:
        return expected
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise FormatError(
            f"{info.root}: episode {index} has the files {' and '.join(candidates[:3])}, and the template {template!r} "
            "names none of them. Delete the wrong ones, or correct the template in meta/info.json."
        )
    raise FormatError(
        f"{info.root / (expected or template)} does not exist, but meta/episodes.jsonl lists episode {index}. "
        "Download the file, or remove the episode from the metadata."
    )


def _check_rows(info: Info, data: list[DataFile], ids: list[int]) -> None:
    for file in data:
        _, length, ordinal, _ = file.spans[0]
        with open_parquet(info.root / file.name) as parquet:
            rows = parquet.metadata.num_rows
        if rows != length:
            raise FormatError(
                f"{info.root / file.name} has {rows} rows, but meta/episodes.jsonl says that episode {ids[ordinal]} "
                f"has {length}. Restore the file, or correct the length."
            )

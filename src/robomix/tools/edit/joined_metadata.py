"""What the metadata of several datasets becomes in one: what all have alike, and where each episode comes from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robomix.tools.build.content import Content, Episode

_SOURCE, _NUMBER = "source", "source_episode_index"


def shared_metadata(contents: Sequence[Content]) -> tuple[dict[str, Any], dict[str, Path], list[str]]:
    """Further keys of info.json and files below meta/ that all have alike, and the names of the other files."""
    first = contents[0]
    info = {key: value for key, value in first.info.items() if all(c.info.get(key) == value for c in contents)}
    names = dict.fromkeys(name for content in contents for name in content.meta_files)
    files = {}
    for name in names:
        paths = [content.meta_files.get(name) for content in contents]
        if all(path is not None for path in paths) and len({path.read_bytes() for path in paths if path}) == 1:
            files[name] = first.meta_files[name]
    return info, files, [name for name in names if name not in files]


def with_all_columns(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes, each with every further column that any has; None where it has none."""
    names = dict.fromkeys(name for episode in episodes for name in episode.carried)
    return [replace(e, carried=dict.fromkeys(names) | dict(e.carried)) for e in episodes]


def with_origins(episodes: Sequence[Episode], names: Sequence[str]) -> list[Episode]:
    """The episodes, each with columns that say from which dataset, by its name, and which of its episodes it comes.

    Where any of them was merged before, `first_source` and `first_source_episode_index` say where all come from first.
    """
    made = []
    was_merged = any(_SOURCE in episode.carried for episode in episodes)
    for episode, name in zip(episodes, names, strict=True):
        known = {key: value for key, value in episode.carried.items() if value is not None}
        origin = {_SOURCE: name, _NUMBER: episode.origin.episode}
        first = {f"first_{key}": known.get(f"first_{key}", known.get(key, value)) for key, value in origin.items()}
        made.append(replace(episode, carried=dict(episode.carried) | origin | (first if was_merged else {})))
    return made

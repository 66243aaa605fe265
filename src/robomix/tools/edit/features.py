"""What a dataset's features are called, and which it has."""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from robomix.errors import ConfigError, did_you_mean
from robomix.features import BOOKKEEPING
from robomix.files import LONGEST_NAME
from robomix.tools.build.content import Content, Episode, Rows


def rename(content: Content, names: Mapping[str, str]) -> Content:
    """Features under other names. Raises ConfigError for a feature there is not, and for names that collide."""
    _check(content, names)
    made = [names.get(key, key) for key in content.features]
    for new in names.values():
        if why := "two features would have it" if made.count(new) > 1 else _unusable(new):
            raise ConfigError(f"no feature can be named {new[:60]!r}: {why}.")
    features = {names.get(key, key): spec for key, spec in content.features.items()}
    return replace(content, features=features, episodes=tuple(_renamed(episode, names) for episode in content.episodes))


def drop(content: Content, keys: Collection[str]) -> Content:
    """Without these features."""
    _check(content, keys)
    features = {key: spec for key, spec in content.features.items() if key not in keys}
    if not features:
        raise ConfigError("a dataset needs at least one feature; all would be dropped.")
    return replace(content, features=features, episodes=tuple(_without(e, keys) for e in content.episodes))


def mentions(content: Content, keys: Collection[str]) -> list[str]:
    """Notes on further files of the metadata that name one of `keys`, and are copied as they are."""
    found = []
    for name, path in content.meta_files.items():
        text = path.read_text(encoding="utf-8", errors="replace") if path.suffix in _TEXTS else ""
        found += [f"meta/{name} names {key!r}, and is copied as it is" for key in keys if json.dumps(key) in text]
    return found


def unread_by_lerobot(content: Content) -> list[str]:
    """Notes on columns that keep LeRobot's reader from the whole dataset: it makes a tensor of every cell but texts."""
    columns = [key for key in content.columns if content.features[key]["dtype"] == "binary"]
    if not columns:
        return []
    return [f"LeRobot cannot read a dataset with columns of bytes; robomix drop leaves them out: {', '.join(columns)}"]


def _unusable(name: str) -> str | None:
    """Why neither a column nor a camera's folder can be called so."""
    if name in (*BOOKKEEPING, "task"):
        return "samples hold something else under that name"
    if name in ("", ".", "..") or "/" in name or not name.isprintable():
        return "it would be no name of a folder or column"
    if len(os.fsencode(name)) > LONGEST_NAME:
        return f"it has more than {LONGEST_NAME} bytes"
    return None


_TEXTS = (".json", ".jsonl", ".yaml", ".yml")


@dataclass(frozen=True)
class Renamed:
    """Rows whose columns have other names."""

    whole: Rows
    names: Mapping[str, str]

    def table(self) -> pa.Table:
        table = self.whole.table()
        return table.rename_columns([self.names.get(name, name) for name in table.column_names])

    @property
    def size(self) -> int:
        return self.whole.size


def _renamed(episode: Episode, names: Mapping[str, str]) -> Episode:
    return replace(
        episode,
        rows=Renamed(episode.rows, names),
        videos={names.get(key, key): part for key, part in episode.videos.items()},
        camera_stats={names.get(key, key): stats for key, stats in episode.camera_stats.items()},
    )


def _without(episode: Episode, keys: Collection[str]) -> Episode:
    return replace(
        episode,
        videos={key: part for key, part in episode.videos.items() if key not in keys},
        camera_stats={key: stats for key, stats in episode.camera_stats.items() if key not in keys},
    )


def _check(content: Content, keys: Collection[str]) -> None:
    for key in keys:
        if key not in content.features:
            here = ", ".join(content.features)
            raise ConfigError(f"there is no feature {key!r}.{did_you_mean(key, content.features)} There is: {here}")

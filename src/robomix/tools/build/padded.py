"""Statistics of features of which the dataset says, in columns of its own, what is padding: of the real values only.

An episode without any real value of an entry has the statistics of the whole dataset there, and a count of 1 where it
has none of the feature at all: pooled with the others', as LeRobot does, they leave these as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.write_stats import Stats
from robomix.mixture.padding import PaddingColumns, padding_columns
from robomix.summaries import stats_of_entries, summarize
from robomix.tools.build.camera_stats import pooled
from robomix.tools.build.content import Content

Read = Callable[[str], np.ndarray]
"""Gives a column by its name: (N, ...)."""


def declared_padding(content: Content) -> dict[str, PaddingColumns]:
    """For each feature that has them, the columns that say what of it is padding."""
    features, _ = parse_features(content.features, Path("info.json"))
    return padding_columns(features)


def real_stats(key: str, shape: tuple[int, ...], columns: PaddingColumns, read: Read, *, gaps: bool = False) -> Stats:
    """Statistics of the real values of the column `key`, each of the feature's `shape` ((1,) for scalars).

    Entries without any have those that leave zeros zeros, see `summaries`; with `gaps`, NaN.
    """
    values = read(key)
    values = values.reshape(len(values), -1)
    real = np.ones(values.shape, bool)
    if columns.absent is not None:
        real &= ~read(columns.absent).astype(bool).reshape(-1, 1)
    if columns.dims is not None:
        real &= ~read(columns.dims).astype(bool).reshape(values.shape)
    entries = [summarize(values[own, d]) for d, own in enumerate(real.T)]
    stats = stats_of_entries(entries)
    if gaps:
        lacking = np.array([not entry.count for entry in entries])
        stats = {name: v if name == "count" else np.where(lacking, np.nan, v) for name, v in stats.items()}
    return {name: value if name == "count" else value.reshape(shape or (1,)) for name, value in stats.items()}


def without_absent(
    stats: Sequence[dict[str, Stats]], padding: Mapping[str, PaddingColumns], cameras: Sequence[str]
) -> set[str]:
    """Takes the statistics of cameras out of episodes that have none of their frames; those cameras."""
    partial = set()
    for key in cameras:
        flag = padding[key].absent if key in padding else None
        for of_episode in stats if flag is not None else ():
            if float(of_episode[str(flag)]["min"].reshape(-1)[0]) == 1:
                of_episode.pop(key, None)
                partial.add(key)
    return partial


def pooled_cameras(stats: Sequence[dict[str, Stats]], keys: set[str]) -> dict[str, Stats]:
    """Statistics of those of the cameras `keys` that some episodes lack, over all others."""
    found = {key: [of_episode[key] for of_episode in stats if key in of_episode] for key in keys}
    return {key: pooled(parts) for key, parts in found.items() if parts}


def fill_gaps(stats: Sequence[dict[str, Stats]], whole: Mapping[str, Stats], keys: set[str]) -> None:
    """Gives the episodes `whole`, the statistics of all, where they have none of their own of the features `keys`."""
    for key in keys & set(whole):
        names = next((list(of_episode[key]) for of_episode in stats if key in of_episode), [])
        neutral = {name: _of_all(name, key, stats, whole[key]) for name in names}
        for of_episode in stats:
            own = of_episode.get(key, dict.fromkeys(names))
            of_episode[key] = {name: _filled(own[name], neutral[name], name) for name in names}


def _of_all(name: str, key: str, stats: Sequence[dict[str, Stats]], whole: Stats) -> np.ndarray:
    """The statistic of the whole; of a camera's quantiles, which do not pool, the mean of the episodes'."""
    if name in whole:
        return whole[name]
    return np.mean([of_episode[key][name] for of_episode in stats if key in of_episode], axis=0)


def _filled(own: np.ndarray | None, neutral: np.ndarray, name: str) -> np.ndarray:
    if name == "count":
        return np.maximum(np.ones_like(neutral) if own is None else own, 1)
    return neutral if own is None else np.where(np.isnan(own), neutral.reshape(own.shape), own)

"""Episodes that several datasets have, or one has twice, by their content."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robomix.formats.base import Dataset
from robomix.mixture.split import episode_keys


@dataclass(frozen=True)
class OwnEpisodes:
    """Which episodes of a dataset are worth training on when the datasets before it are trained on too."""

    ids: tuple[int, ...]
    """Those that can be used, and that neither a dataset before it has nor an episode before them is."""
    copies: Mapping[str, int]
    """Dataset to how many of the others are copies of its episodes; the dataset itself may be among them."""
    unusable: int
    """How many cannot be used."""


def own_episodes(datasets: Mapping[str, Dataset]) -> dict[str, OwnEpisodes]:
    """For each dataset by name, in order, what is new in it.

    Episodes are the same where their recorded actions are, as `val_fraction` tells copies (`mixture.split`).
    """
    owners: dict[int, str] = {}
    found = {}
    for name, dataset in datasets.items():
        ids: list[int] = []
        copies: Counter[str] = Counter()
        usable = ~np.isin(dataset.episodes.ids, list(dataset.unusable))
        ordinals = np.flatnonzero(usable)
        for episode, key in zip(dataset.episodes.ids[ordinals].tolist(), _keys(dataset, ordinals), strict=True):
            if key in owners:
                copies[owners[key]] += 1
            else:
                ids.append(episode)
                owners[key] = name
        found[name] = OwnEpisodes(tuple(ids), dict(copies), int((~usable).sum()))
    return found


def _keys(dataset: Dataset, ordinals: np.ndarray) -> list[int]:
    """A hash of the content of each episode; of those without numbers, which cannot be compared, one of its own."""
    if any(feature.kind == "numeric" for feature in dataset.features.values()):
        return [int(key) for key in episode_keys(dataset, ordinals)]
    return [hash((dataset.fingerprint, int(ordinal))) for ordinal in ordinals]

"""A dataset that is to be merged: as a source of a mixture, but for its transforms.

What a mixture does beyond naming and choosing needs torch, which takes time and memory; most merges have no use for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from robomix.config import SourceConfig
from robomix.formats.base import Dataset
from robomix.mixture.episodes import chosen_episodes
from robomix.mixture.mapping import mapped_keys


@dataclass(frozen=True)
class Member:
    """One dataset of the mixture file, opened."""

    dataset: Dataset
    entry: SourceConfig
    ordinals: np.ndarray
    """(E,) int64: the chosen episodes, by position in the dataset."""
    keys: Mapping[str, str]
    """Mixture key to dataset key, before the transforms."""

    @classmethod
    def of(cls, dataset: Dataset, entry: SourceConfig) -> "Member":
        """Raises ConfigError for episodes, filters and names that do not fit the dataset."""
        name = str(entry.name)
        ordinals = chosen_episodes(dataset, entry, name)
        return cls(dataset, entry, ordinals, mapped_keys(dataset, entry.feature_map, name))

    @property
    def name(self) -> str:
        return str(self.entry.name)

    @property
    def ids(self) -> list[int]:
        """The chosen episodes, by `episode_index`."""
        ids: list[int] = self.dataset.episodes.ids[self.ordinals].tolist()
        return ids

    def of_episodes(self, ordinals: np.ndarray) -> "Member":
        """The same with the episodes at `ordinals` (E,)."""
        return replace(self, ordinals=ordinals)

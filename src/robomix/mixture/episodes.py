"""Which episodes of a dataset a source uses: its `episodes`, `filter_key`, `success` and `demo_limit` together."""

import numpy as np

from robomix.config import SourceConfig
from robomix.errors import ConfigError, did_you_mean
from robomix.formats.base import Dataset
from robomix.mixture.filters import successful

_SHOWN = 10


def chosen_episodes(dataset: Dataset, config: SourceConfig, name: str) -> np.ndarray:
    """(E,) int64 positions among the dataset's episodes, in the order of `config.episodes`, else in the dataset's.

    An episode is used that `episodes` lists, that the selection `filter_key` holds and that is a `success`;
    `demo_limit` keeps the first of them, as they come in the dataset. Raises ConfigError, naming source `name`, for
    what is not there or leaves none, and for an episode that cannot be used.
    """
    ids = dataset.episodes.ids
    ordinals = np.arange(len(ids)) if config.episodes is None else _ordinals(dataset, config.episodes, name)
    if config.filter_key is not None:
        ordinals = ordinals[np.isin(ids[ordinals], _subset(dataset, config.filter_key, name))]
        if not len(ordinals):
            raise ConfigError(
                f"source {name!r}: none of its `episodes` is in the selection {config.filter_key!r} of {dataset.path}. "
                "Both must hold; leave one of them out."
            )
    if config.success is not None:
        ordinals = successful(dataset, config.success, ordinals, name)
    if config.demo_limit is not None:
        ordinals = ordinals[np.isin(ordinals, np.sort(ordinals)[: config.demo_limit])]
    if unusable := [e for e in ids[ordinals].tolist() if e in dataset.unusable]:
        raise ConfigError(
            f"source {name!r}: {len(unusable)} of its episodes cannot be used, such as {unusable[0]}: "
            f"{dataset.unusable[unusable[0]]} ({dataset.path}). Leave it out with `episodes`, or correct the recording."
        )
    return ordinals


def _subset(dataset: Dataset, key: str, name: str) -> np.ndarray:
    subset = dataset.subsets.get(key)
    known = list(dataset.subsets)
    if subset is None:
        there = f"It names {', '.join(known)}." if known else "It names none; leave `filter_key` out."
        hint = did_you_mean(key, known)
        raise ConfigError(f"source {name!r}: {dataset.path} has no selection {key!r}.{hint} {there}")
    missing = subset[~np.isin(subset, dataset.episodes.ids)]
    if len(missing) or not len(subset):
        found = f"names episodes that are not there: {missing[:_SHOWN].tolist()}" if len(missing) else "is empty"
        raise ConfigError(
            f"source {name!r}: the selection {key!r} of {dataset.path} {found}. Correct it in the dataset, or list "
            "the episodes with `episodes` in its place."
        )
    return subset


def _ordinals(dataset: Dataset, chosen: tuple[int, ...], name: str) -> np.ndarray:
    ids = dataset.episodes.ids
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, chosen, sorter=order)
    found = order[np.minimum(place, len(ids) - 1)]
    missing = [e for e, f in zip(chosen, found, strict=True) if ids[f] != e]
    if missing:
        raise ConfigError(
            f"source {name!r}: episodes {missing[:_SHOWN]} do not exist; "
            f"{dataset.path} has {len(ids)} episodes, numbered {ids.min()} to {ids.max()}"
        )
    return found

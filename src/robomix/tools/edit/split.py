"""One dataset as several: by lists of episodes, or by fractions, drawn from each task alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from robomix.errors import ConfigError
from robomix.mixture.apportion import slot_table
from robomix.tools.build.content import Content, Episode
from robomix.tools.edit.episodes import generator, keep
from robomix.tools.edit.splits import splits_of


def by_lists(content: Content, lists: Mapping[str, Sequence[int]]) -> dict[str, Content]:
    """Each part with the episodes listed, by `episode_index`. Raises ConfigError for one that is in two parts."""
    owner: dict[int, str] = {}
    for name, episodes in lists.items():
        for index in episodes:
            if owner.setdefault(index, name) != name:
                raise ConfigError(f"episode {index} is in the parts {owner[index]!r} and {name!r}. Leave one.")
    return {name: keep(content, episodes) for name, episodes in lists.items()}


def by_fractions(content: Content, fractions: Mapping[str, float], *, seed: int) -> dict[str, Content]:
    """Parts of these shares of the episodes, drawn at random, and of each task's episodes in these shares.

    Sizes are the shares by largest remainder; what each part has of a task is within two episodes of its share.
    Episodes keep their order within a part. Fractions below one in sum leave episodes out. Raises ConfigError for
    fractions that are none, and where a part would have no episode.
    """
    total = sum(fractions.values())
    if not fractions or not all(value > 0 for value in fractions.values()) or total > 1 + 1e-9:
        told = ", ".join(f"{name} {value:g}" for name, value in fractions.items())
        raise ConfigError(f"fractions are {told or 'not given'}: expected each above 0, and at most 1 together.")
    count = len(content.episodes)
    counts = _counts(np.array([*fractions.values(), max(0.0, 1 - total)]), count)
    for name, size in zip(fractions, counts, strict=False):
        if not size:
            raise ConfigError(f"part {name!r} would have none of the {count} episodes. Raise its share.")
    rng = generator(seed)
    order = np.concatenate([rng.permutation(of_task) for of_task in _by_task(content.episodes)])
    part = slot_table(counts)  # parts in turn, evenly: so each stretch of the order is shared out alike
    chosen = [[content.episodes[i] for i in np.sort(order[part == place])] for place in range(len(fractions))]
    return {
        name: replace(content, episodes=tuple(episodes), splits=splits_of(content, episodes))
        for name, episodes in zip(fractions, chosen, strict=True)
    }


def _counts(shares: np.ndarray, count: int) -> np.ndarray:
    """(P,) int64 that sum to `count`, by largest remainder."""
    exact = shares / shares.sum() * count
    counts = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(-(exact - counts), kind="stable")[: count - int(counts.sum())]] += 1
    return counts


def _by_task(episodes: Sequence[Episode]) -> list[list[int]]:
    """Places of the episodes, those with equal tasks together."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, episode in enumerate(episodes):
        groups.setdefault(episode.tasks, []).append(place)
    return list(groups.values())

"""Which frames to leave at the ends of episodes: by count, or those before and after anything moves."""

import math
from collections.abc import Callable

import numpy as np

from robomix.errors import ConfigError
from robomix.mixture.filters import moves
from robomix.tools.build.content import Content, Episode
from robomix.tools.edit.values import numbers_of
from robomix.tools.edit.words import told

Bounds = dict[int, tuple[int, int]]
"""By `episode_index`: the first frame that is kept, and the one after the last."""


def without_ends(content: Content, head: int, tail: int) -> Bounds:
    """Every episode without its first `head` and last `tail` frames. Raises ConfigError where nothing would be left."""
    if head < 0 or tail < 0:
        raise ConfigError(f"frames to trim are {head} and {tail}, expected 0 or more.")
    return _bounds(content, lambda episode: (head, episode.length - tail), f"without {head} + {tail} frames")


def without_stillness(content: Content, key: str, below: float) -> Bounds:
    """Every episode from the last still frame before the first movement to the first after the last movement.

    A frame moves where an entry of the feature `key` differs by more than `below` from the frame before; the frame in
    which a movement ends is kept with it. Raises ConfigError for a key without numbers, for a `below` that is negative
    or no number, and for an episode in which nothing ever moves.
    """
    if not 0 <= below < math.inf:
        raise ConfigError(f"below is {below:g}, expected 0 or more: a change that is no movement.")

    def bounds(episode: Episode) -> tuple[int, int]:
        values = numbers_of(content, episode, key)
        moving = np.flatnonzero(moves(values, below)[1:]) + 1
        return (int(moving[0]) - 1, int(moving[-1]) + 1) if len(moving) else (0, 0)

    return _bounds(content, bounds, f"of the frames in which {key} moves by more than {below:g}")


def _bounds(content: Content, of: Callable[[Episode], tuple[int, int]], what: str) -> Bounds:
    made = {episode.origin.episode: of(episode) for episode in content.episodes}
    if empty := [episode for episode, (start, stop) in made.items() if start >= stop]:
        raise ConfigError(f"{what}, nothing is left of episode {told(empty)}. Trim less, or delete them first.")
    return made

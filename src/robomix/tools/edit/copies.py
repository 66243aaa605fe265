"""Episodes that occur twice in a dataset."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from robomix.mixture.split import hash_of_numbers
from robomix.tools.build.content import Content, Episode
from robomix.tools.build.tables import numbers


def without_copies(content: Content) -> tuple[Content, list[tuple[Episode, Episode]]]:
    """`content` with each episode once, by all numbers of its rows, and the (copy, original) that were left out.

    Numbers count in single precision, as those by which a mixture knows copies.
    """
    first: dict[int, Episode] = {}
    copies = []
    for episode in content.episodes:
        original = first.setdefault(hash_of_numbers(list(_numbers(content, episode))), episode)
        if original is not episode:
            copies.append((episode, original))
    gone = {id(copy) for copy, _ in copies}
    return replace(content, episodes=tuple(e for e in content.episodes if id(e) not in gone)), copies


def _numbers(content: Content, episode: Episode) -> Iterator[np.ndarray]:
    table = episode.rows.table()
    for key in sorted(content.columns):
        values = numbers(table, key, content.features[key]) if key in table.column_names else None
        if values is not None:
            yield values

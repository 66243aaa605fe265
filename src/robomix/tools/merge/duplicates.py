"""Episodes that lie in several of the datasets to be merged, or twice in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robomix.mixture.split import episode_keys, recorded_values
from robomix.tools.merge.member import Member


@dataclass(frozen=True)
class Place:
    """An episode of a dataset."""

    member: int
    """The dataset's place among all."""
    ordinal: int
    """The episode's position in its dataset."""


def copies(members: Sequence[Member]) -> list[tuple[Place, Place]]:
    """(copy, original) of each chosen episode that one before it equals: in its actions, and in all other numbers that
    both have, as recorded and in single precision. Pictures are not compared.
    """
    first: dict[int, list[Place]] = {}
    found = []
    for i, member in enumerate(members):
        keys = episode_keys(member.dataset, member.ordinals)
        for key, ordinal in zip(keys.tolist(), member.ordinals.tolist(), strict=True):
            place = Place(i, ordinal)
            same = first.setdefault(key, [])
            original = next((other for other in same if _equal(members, place, other)), None)
            if original is None:
                same.append(place)
            else:
                found.append((place, original))
    return found


def without(members: Sequence[Member], gone: Sequence[Place]) -> list[Member]:
    """The datasets without some of their episodes; those that keep none are left out."""
    made = []
    for i, member in enumerate(members):
        own = [place.ordinal for place in gone if place.member == i]
        kept = member.ordinals[~np.isin(member.ordinals, own)]
        if len(kept):
            made.append(member.of_episodes(kept))
    return made


def told(members: Sequence[Member], pairs: Sequence[tuple[Place, Place]], shown: int = 5) -> str:
    """The pairs, for people."""
    named = [f"{_name(members, copy)} is {_name(members, original)}" for copy, original in pairs[:shown]]
    return "; ".join(named) + (f"; and {len(pairs) - shown} more" if len(pairs) > shown else "")


def _name(members: Sequence[Member], place: Place) -> str:
    member = members[place.member]
    return f"episode {member.dataset.episodes.ids[place.ordinal]} of {member.name}"


def _equal(members: Sequence[Member], one: Place, other: Place) -> bool:
    """Whether all numbers that both have, under the mixture's names, are equal."""
    first, second = members[one.member], members[other.member]
    names = [(old, second.keys[key]) for key, old in first.keys.items() if key in second.keys]
    for old, other_old in names:
        if first.dataset.features[old].is_camera or second.dataset.features[other_old].is_camera:
            continue
        values = recorded_values(first.dataset, old, one.ordinal)
        others = recorded_values(second.dataset, other_old, other.ordinal)
        if values is None or others is None:
            continue
        if not np.array_equal(values, others, equal_nan=True):
            return False
    return True

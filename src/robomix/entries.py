"""Which entries of a vector are meant: by index, by the names the dataset gives them, or by a mask."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import Feature

Entries = Sequence[int | str]
"""Indices from 0, names, both mixed; or one boolean per entry."""


def check_entries(spec: Any, argument: str) -> tuple[int | str, ...] | None:
    """`spec` as a tuple; None stays None. Raises ConfigError, naming `argument`, for what cannot be entries."""
    if spec is None:
        return None
    kinds = {type(one) for one in spec} if isinstance(spec, list | tuple) else set()
    if not kinds or not (kinds == {bool} or kinds <= {int, str}):
        raise ConfigError(
            f"{argument} must be a list of indices or names of entries, or of true and false for each; found {spec!r}"
        )
    if bool not in kinds:
        negative = [one for one in spec if isinstance(one, int) and one < 0]
        twice = [one for i, one in enumerate(spec) if one in spec[:i]]
        if negative or twice:
            why = f"{negative[0]} is negative; count from 0" if negative else f"{twice[0]!r} is in it twice"
            raise ConfigError(f"{argument}: {why}, in {list(spec)!r}")
    return tuple(spec)


def check_key(key: Any, argument: str = "key") -> str:
    """A feature's name. Raises ConfigError for anything else."""
    if not isinstance(key, str) or not key.strip():
        raise ConfigError(f"{argument} must be a feature's name, found {key!r}")
    return key


def check_number(value: Any, argument: str) -> float:
    """A finite number. Raises ConfigError for anything else."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ConfigError(f"{argument} must be a number, found {value!r}")
    return float(value)


def feature_named(features: Mapping[str, Feature], key: str, doing: str) -> Feature:
    """The feature `key`. Raises AlignmentError where there is none to be `doing` (a verb, as in 'to join')."""
    if key not in features:
        raise AlignmentError(
            f"there is no {key!r} to {doing}.{did_you_mean(key, features)} The features here are: {', '.join(features)}"
        )
    return features[key]


def vector_named(features: Mapping[str, Feature], key: str, doing: str) -> Feature:
    """The numeric vector or scalar `key`. Raises AlignmentError where it is missing or something else."""
    feature = feature_named(features, key, doing)
    if feature.kind != "numeric" or len(feature.shape) > 1:
        raise AlignmentError(
            f"{key!r} is {feature.kind} of shape {feature.shape}; to {doing} it, it must be a vector or a single number"
        )
    return feature


def resolve(spec: Entries | None, key: str, feature: Feature) -> list[int]:
    """Indices of the entries `spec` names, in its order; None: all that carry data.

    Raises AlignmentError for entries that are not there, with the names or the width there is.
    """
    width = width_of(feature)
    if spec is None:
        return list(range(width))
    if isinstance(spec[0], bool):
        if len(spec) != width:
            raise AlignmentError(f"{key!r} has {width} entries, and the mask of them {len(spec)}: {list(spec)}")
        return [int(i) for i in np.flatnonzero(spec)]
    found = [_index_of(one, key, feature, width) for one in spec]
    if len(set(found)) < len(found):
        raise AlignmentError(f"entries {list(spec)} of {key!r} name the same one twice{_listing(feature)}")
    return found


def looked_up(where: list[int], step: Any) -> list[int]:
    """`where`, unless it is empty: then the step was run before its `features`."""
    if not where:
        raise AlignmentError(f"{type(step).__name__} does not know its entries: call its `features` before running it")
    return where


def width_of(feature: Feature) -> int:
    """Entries that carry data: 1 for a single number."""
    return feature.valid_dim if feature.is_vector else 1


def names_of(key: str, feature: Feature) -> tuple[str, ...]:
    """One name for each entry that carries data: its own, else made of the key."""
    width = width_of(feature)
    if feature.names is not None and len(feature.names) >= width:
        return feature.names[:width]
    return (key,) if width == 1 else tuple(f"{key}.{i}" for i in range(width))


def _index_of(one: int | str, key: str, feature: Feature, width: int) -> int:
    if isinstance(one, int):
        if one >= width:
            last = f"; they are counted from 0 to {width - 1}{_listing(feature)}"
            raise AlignmentError(f"{key!r} has no entry {one}, only {width}{last}")
        return one
    names = (feature.names or ())[:width]
    if one not in names:
        if not names:
            raise AlignmentError(f"{key!r} has no names for its {width} entries, so none is {one!r}. Give indices.")
        raise AlignmentError(f"{key!r} has no entry named {one!r}.{did_you_mean(one, names)}{_listing(feature)}")
    if names.count(one) > 1:
        raise AlignmentError(f"several entries of {key!r} are named {one!r}{_listing(feature)}. Give indices.")
    return names.index(one)


def _listing(feature: Feature) -> str:
    return f" Its entries: {', '.join(feature.names)}" if feature.names else ""

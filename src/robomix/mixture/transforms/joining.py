"""Steps that make features of other features: joining several, and taking part of one.

Names of entries and the count of those that carry data stay right; padding that an earlier step added is not taken
along, so that it never comes to lie in the middle of a vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.entries import (
    check_entries,
    check_key,
    feature_named,
    looked_up,
    names_of,
    resolve,
    vector_named,
    width_of,
)
from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature, sample_feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, register_dataset_transform
from robomix.mixture.transforms.windows import Window, Windows, covered, narrowed, pick


class _Make(DatasetTransformStep, ABC):
    """Makes the feature `to` from others, each read with the window of `to`."""

    batched = True
    to: str
    sources: tuple[str, ...]
    drop: bool
    """Whether the features it is made from are left out afterwards."""
    _dtype: torch.dtype = torch.float32

    @abstractmethod
    def make(self, values: Sequence[Tensor]) -> Tensor:
        """The new feature from the values of `sources`, all (n, ...) or all (n, T, ...)."""

    def __call__(self, sample: Sample) -> Sample:
        if not all(key in sample for key in self.sources):
            return sample
        made = self.make([sample[key] for key in self.sources]).to(self._dtype)
        kept = {key: value for key, value in sample.items() if not (self.drop and key in self.sources)}
        return kept | {self.to: made}

    def windows(self, after: Windows) -> dict[str, Window]:
        before = {key: window for key, window in after.items() if key != self.to}
        return covered(before, dict.fromkeys(self.sources, after[self.to])) if self.to in after else before

    def in_windows(self, sample: Sample, before: Windows, after: Windows) -> Sample:
        passed = narrowed(sample, before, after)
        if self.to not in after:
            return passed
        values = [pick(sample[key], before[key], after[self.to]) for key in self.sources]
        return passed | {self.to: self.make(values).to(self._dtype)}

    def relative(self, keys: frozenset[str]) -> frozenset[str]:
        made = {self.to} if keys.intersection(self.sources) else set()
        return (keys - set(self.sources) if self.drop else keys - {self.to}) | made

    def _declared(self, features: Mapping[str, Feature], made: Feature) -> dict[str, Feature]:
        """`features` with `made` in them under its name, in the number type samples have."""
        made = sample_feature(self.to, made)
        self._dtype = getattr(torch, made.dtype)
        kept = {key: f for key, f in features.items() if not (self.drop and key in self.sources)}
        if self.to in kept and self.to not in self.sources:
            raise AlignmentError(
                f"there is a {self.to!r} already. Give the new feature another name, or map the old one to another "
                "or to null in feature_map."
            )
        return kept | {self.to: made}


@register_dataset_transform("concat")
class Concat(_Make):
    """Joins vectors and single numbers, in the order given, into one vector `to`; by default they are gone then."""

    def __init__(self, to: str, from_: Sequence[str], drop: bool = True) -> None:
        self.to = check_key(to, "to")
        if not isinstance(from_, list | tuple) or not from_:
            raise ConfigError(f"from must be a list of features' names, found {from_!r}")
        self.sources = tuple(check_key(key, "from") for key in from_)
        if len(set(self.sources)) < len(self.sources):
            raise ConfigError(f"from names a feature twice: {list(from_)}")
        self.drop = _check_drop(drop)
        self._parts: list[tuple[bool, int | None]] = [(False, None)] * len(self.sources)

    def make(self, values: Sequence[Tensor]) -> Tensor:
        as_vectors = [v[..., None] if scalar else v for v, (scalar, _) in zip(values, self._parts, strict=True)]
        return torch.cat([v[..., :width] for v, (_, width) in zip(as_vectors, self._parts, strict=True)], dim=-1)

    def inverse(self) -> "Split":
        return Split(self.to, self.sources, self._parts)

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        parts = {key: vector_named(features, key, "join") for key in self.sources}
        self._parts = [(not part.is_vector, width_of(part)) for part in parts.values()]
        dtype = np.result_type(*(np.dtype(part.dtype) for part in parts.values()))
        width = sum(width_of(part) for part in parts.values())
        return self._declared(features, Feature("numeric", dtype.name, (width,), _joined_names(parts)))


class Split(DatasetTransformStep):
    """Takes a vector apart again that `concat` has joined."""

    batched = True

    def __init__(self, key: str, to: Sequence[str], parts: Sequence[tuple[bool, int | None]]) -> None:
        self.key = key
        self.to = tuple(to)
        self.parts = tuple(parts)

    def __call__(self, sample: Sample) -> Sample:
        if self.key not in sample:
            return sample
        values = sample[self.key].split([width or 1 for _, width in self.parts], dim=-1)
        apart = zip(self.to, values, self.parts, strict=True)
        kept = {key: value for key, value in sample.items() if key != self.key}
        return kept | {key: value[..., 0] if scalar else value for key, value, (scalar, _) in apart}


@register_dataset_transform("select")
class Select(_Make):
    """Takes entries of the vector `key`, by `indices`, by `names`, or from `start` to before `stop`, in that order.

    They take the place of `key`, or make a new feature `to`, beside which `key` stays unless `drop`.
    """

    def __init__(
        self,
        key: str,
        indices: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
        start: int | None = None,
        stop: int | None = None,
        to: str | None = None,
        drop: bool = False,
    ) -> None:
        self.sources = (check_key(key),)
        self.to = key if to is None else check_key(to, "to")
        self.drop = _check_drop(drop)
        given = [indices is not None, names is not None, start is not None or stop is not None]
        if sum(given) != 1:
            raise ConfigError("say which entries in one way: by indices, by names, or by start and stop")
        for name, bound in (("start", start), ("stop", stop)):
            if bound is not None and (type(bound) is not int or bound < 0):
                raise ConfigError(f"{name} must be a whole number from 0, found {bound!r}")
        self._entries = _of_kind(indices, int, "indices") or _of_kind(names, str, "names")
        self._range = (start or 0, stop)
        self._indices = [] if self._entries is None else [one for one in self._entries if isinstance(one, int)]
        self._width = 0

    def make(self, values: Sequence[Tensor]) -> Tensor:
        return values[0][..., looked_up(self._indices, self)]

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        key = self.sources[0]
        feature = vector_named(features, key, "select from")
        if not feature.is_vector:
            raise AlignmentError(f"{key!r} is a single number; there is nothing to select. Rename it with feature_map.")
        self._indices = self._range_of(feature) if self._entries is None else resolve(self._entries, key, feature)
        self._width = width_of(feature)
        named = feature.names is not None and len(feature.names) >= width_of(feature)
        names = tuple(names_of(key, feature)[i] for i in self._indices) if named else None
        return self._declared(features, Feature("numeric", feature.dtype, (len(self._indices),), names))

    def inverse(self) -> DatasetTransformStep:
        """Exists where all entries were taken, in another order; else a step that says so when it is given actions."""
        order = looked_up(self._indices, self)
        if sorted(order) == list(range(self._width)):
            return Select(self.to, indices=[order.index(i) for i in range(self._width)], to=self.sources[0], drop=True)
        return _Lost(self.to, f"select has left entries out of {self.sources[0]!r}, which nothing brings back")

    def _range_of(self, feature: Feature) -> list[int]:
        width = width_of(feature)
        start, stop = self._range[0], width if self._range[1] is None else self._range[1]
        if not start < stop <= width:
            raise AlignmentError(
                f"{self.sources[0]!r} has {width} entries; from {start} to before {stop} is not part of them"
            )
        return list(range(start, stop))


class _Lost(DatasetTransformStep):
    """Stands for the inverse of a step that has none: refuses the feature it would have to restore."""

    batched = True

    def __init__(self, key: str, why: str) -> None:
        self.key = key
        self.why = why

    def __call__(self, sample: Sample) -> Sample:
        if self.key in sample:
            raise AlignmentError(f"{self.key!r} cannot be undone: {self.why}")
        return sample


@register_dataset_transform("keep")
class Keep(DatasetTransformStep):
    """Leaves out all features but `keys`. Steps before it may still use the others."""

    batched = True

    def __init__(self, keys: Sequence[str]) -> None:
        if not isinstance(keys, list | tuple) or not keys:
            raise ConfigError(f"keys must be a list of features' names, found {keys!r}")
        self.keys = tuple(check_key(key, "keys") for key in keys)

    def __call__(self, sample: Sample) -> Sample:
        return {key: value for key, value in sample.items() if key in self.keys or key == "task"}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys.intersection(self.keys)

    def inverse(self) -> None:
        return None

    def relative(self, keys: frozenset[str]) -> frozenset[str]:
        return keys.intersection(self.keys)

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        return {key: feature_named(features, key, "keep") for key in self.keys}


def _check_drop(drop: Any) -> bool:
    if type(drop) is not bool:
        raise ConfigError(f"drop must be true or false, found {drop!r}")
    return drop


def _of_kind(spec: Any, kind: type, argument: str) -> tuple[int | str, ...] | None:
    entries = check_entries(spec, argument)
    if entries is not None and not all(type(one) is kind for one in entries):
        expected = {int: "whole numbers; `names` takes names", str: "texts; `indices` takes whole numbers"}[kind]
        raise ConfigError(f"{argument} must be {expected}. Found {list(entries)}")
    return entries


def _joined_names(parts: Mapping[str, Feature]) -> tuple[str, ...]:
    """The entries' own names; where two would be called the same, all have their feature's name in front."""
    names = [name for key, part in parts.items() for name in names_of(key, part)]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        name if name.startswith(key) else f"{key}.{name}" for key, part in parts.items() for name in names_of(key, part)
    )

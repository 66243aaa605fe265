"""Steps that map single numbers, each by itself: units, ranges, the gripper's polarity, limits."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any

import torch
from torch import Tensor

from robomix.entries import check_entries, check_key, check_number, looked_up, resolve, vector_named
from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, register_dataset_transform


class _MapEntries(DatasetTransformStep, ABC):
    """Applies `mapped` to `entries` (default: all that carry data) of the vector or number `key`."""

    batched = True

    def __init__(self, key: str, entries: Sequence[int | str] | None = None) -> None:
        self.key = check_key(key)
        self.entries = check_entries(entries, "entries")
        self._where: list[int] | EllipsisType = ...
        if self.entries is not None:
            self._where = [one for one in self.entries if type(one) is int]

    @abstractmethod
    def mapped(self, values: Tensor) -> Tensor:
        """The new values of the chosen entries, of any shape."""

    def __call__(self, sample: Sample) -> Sample:
        if self.key not in sample:
            return sample
        value = floating(sample[self.key]).clone()
        where = self._where if isinstance(self._where, EllipsisType) else looked_up(self._where, self)
        value[..., where] = self.mapped(value[..., where])
        return sample | {self.key: value}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        feature = vector_named(features, self.key, "change")
        if feature.is_vector:
            self._where = resolve(self.entries, self.key, feature)
        elif self.entries is not None:
            raise AlignmentError(f"{self.key!r} is a single number, which has no entries. Leave `entries` out.")
        return dict(features) | {self.key: floating_feature(feature)}

    def _same_entries(self) -> list[int] | None:
        """What an inverse is built with: the entries as they were found."""
        return None if isinstance(self._where, EllipsisType) else self._where


def floating(value: Tensor) -> Tensor:
    """`value`, as float32 where it is not floating point."""
    return value if value.is_floating_point() else value.to(torch.float32)


def floating_feature(feature: Feature) -> Feature:
    """What `floating` does, to the feature."""
    return feature if feature.dtype.startswith("float") else replace(feature, dtype="float32")


@register_dataset_transform("range")
class MapRange(_MapEntries):
    """Maps the interval `from` to the interval `to`, straight; either may be given from high to low. Nothing is cut."""

    def __init__(
        self, key: str, from_: Sequence[float], to: Sequence[float], entries: Sequence[int | str] | None = None
    ) -> None:
        super().__init__(key, entries)
        self.old, self.new = check_interval(from_, "from"), check_interval(to, "to")

    def mapped(self, values: Tensor) -> Tensor:
        factor = (self.new[1] - self.new[0]) / (self.old[1] - self.old[0])
        return (values - self.old[0]) * factor + self.new[0]

    def inverse(self) -> "MapRange":
        return MapRange(self.key, self.new, self.old, self._same_entries())


@register_dataset_transform("invert")
class Invert(_MapEntries):
    """Swaps the ends of the interval from `low` to `high`: a gripper's 1 for open becomes 1 for closed."""

    def __init__(
        self, key: str, entries: Sequence[int | str] | None = None, low: float = 0.0, high: float = 1.0
    ) -> None:
        super().__init__(key, entries)
        self.low, self.high = check_interval((low, high), "low and high")

    def mapped(self, values: Tensor) -> Tensor:
        return (self.low + self.high) - values

    def inverse(self) -> "Invert":
        return Invert(self.key, self._same_entries(), self.low, self.high)


class _Lossy(_MapEntries):
    """A step after which several values are one. What it loses stays lost."""

    def inverse(self) -> DatasetTransformStep:
        """A step that changes nothing: its values are among those that this step maps to themselves."""
        return Unchanged(self.key, self._same_entries())


class Unchanged(_MapEntries):
    """Leaves the values as they are."""

    def mapped(self, values: Tensor) -> Tensor:
        return values

    def inverse(self) -> "Unchanged":
        return self


@register_dataset_transform("binarize")
class Binarize(_Lossy):
    """Makes values above `threshold` `high`, others `low`. NaN stays, for the statistics to find."""

    def __init__(
        self,
        key: str,
        threshold: float,
        entries: Sequence[int | str] | None = None,
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        super().__init__(key, entries)
        self.low, self.high = check_interval((low, high), "low and high")
        self.threshold = check_number(threshold, "threshold")

    def mapped(self, values: Tensor) -> Tensor:
        binary = torch.where(values > self.threshold, self.high, self.low).to(values.dtype)
        return torch.where(values.isnan(), values, binary)

    def inverse(self) -> DatasetTransformStep:
        if self.low <= self.threshold < self.high:
            return super().inverse()
        raise ConfigError(
            f"binarize of {self.key!r} has no inverse: its values {self.low:g} and {self.high:g} do not lie on both "
            f"sides of its threshold {self.threshold:g}. Map the values with `range` in a step of its own."
        )


@register_dataset_transform("clip")
class Clip(_Lossy):
    """Limits values to `low` and `high`, of which one may be left out."""

    def __init__(
        self, key: str, low: float | None = None, high: float | None = None, entries: Sequence[int | str] | None = None
    ) -> None:
        super().__init__(key, entries)
        if low is None and high is None:
            raise ConfigError("clip needs low, high or both")
        self.low = -math.inf if low is None else check_number(low, "low")
        self.high = math.inf if high is None else check_number(high, "high")
        if self.low > self.high:
            raise ConfigError(f"low must not be above high, found {low!r} and {high!r}")

    def mapped(self, values: Tensor) -> Tensor:
        return values.clamp(self.low, self.high)


@register_dataset_transform("degrees_to_radians")
class DegreesToRadians(_MapEntries):
    """Angles in degrees become radians."""

    def mapped(self, values: Tensor) -> Tensor:
        return torch.deg2rad(values)

    def inverse(self) -> "RadiansToDegrees":
        return RadiansToDegrees(self.key, self._same_entries())


@register_dataset_transform("radians_to_degrees")
class RadiansToDegrees(_MapEntries):
    """Angles in radians become degrees."""

    def mapped(self, values: Tensor) -> Tensor:
        return torch.rad2deg(values)

    def inverse(self) -> "DegreesToRadians":
        return DegreesToRadians(self.key, self._same_entries())


def check_interval(ends: Any, argument: str) -> tuple[float, float]:
    """Two different finite numbers. Raises ConfigError for anything else."""
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ConfigError(f"{argument} must be two numbers, [low, high], found {ends!r}")
    first, second = check_number(ends[0], argument), check_number(ends[1], argument)
    if first == second:
        raise ConfigError(f"{argument} must be two different numbers, found {first:g} twice")
    return first, second

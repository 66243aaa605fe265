"""A step that rewrites a rotation in another form. `robomix.rotations` lists the forms."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.entries import check_entries, check_key, resolve, vector_named
from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, SampleError, register_dataset_transform
from robomix.mixture.transforms.values import floating, floating_feature
from robomix.rotations import RECORDED, NoRotationError, components, read_rotations, written


@register_dataset_transform("rotation")
class ConvertRotation(DatasetTransformStep):
    """Rewrites the rotation in neighbouring `entries` (default: all) of the vector `key`, from one form to another."""

    batched = True

    def __init__(self, key: str, from_: str, to: str, entries: Sequence[int | str] | None = None) -> None:
        self.key = check_key(key)
        self.old, self.new = from_, to
        self._widths = len(components(from_)), len(components(to))
        self.entries = check_entries(entries, "entries")
        self._within = RECORDED
        self._start = 0
        if self.entries is not None and all(type(one) is int for one in self.entries):
            self._start = self._first(self.entries)

    def __call__(self, sample: Sample) -> Sample:
        if self.key not in sample:
            return sample
        value = floating(sample[self.key])
        stop = self._start + self._widths[0]
        made = converted(value[..., self._start : stop], self.old, self.new, self.key, self._within)
        return sample | {self.key: torch.cat([value[..., : self._start], made, value[..., stop:]], dim=-1)}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        feature = vector_named(features, self.key, "rotate")
        if not feature.is_vector:
            raise AlignmentError(f"{self.key!r} is a single number, and a rotation as {self.old} is {self._widths[0]}")
        self._start = self._first(resolve(self.entries, self.key, feature))
        more = self._widths[1] - self._widths[0]
        made = replace(
            floating_feature(feature),
            shape=(feature.shape[0] + more,),
            names=self._names(feature.names),
            real_dim=None if feature.real_dim is None else feature.real_dim + more,
        )
        return dict(features) | {self.key: made}

    def inverse(self) -> "ConvertRotation":
        step = ConvertRotation(self.key, self.new, self.old, list(range(self._start, self._start + self._widths[1])))
        step._within = math.inf  # a policy's numbers only point at a rotation
        return step

    def _first(self, where: Sequence[Any]) -> int:
        """Index of the first of the entries, which must be as many as the rotation has, next to each other."""
        start = int(where[0])
        if list(where) != list(range(start, start + self._widths[0])):
            raise AlignmentError(
                f"a rotation as {self.old} is {self._widths[0]} neighbouring entries of {self.key!r} in order, found "
                f"{list(where)}. Name them in `entries`; bring them into order with select."
            )
        return start

    def _names(self, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The names with those of the rotation replaced; `left_qw`, ... leave their `left_` to the new ones."""
        if names is None:
            return None
        stop = self._start + self._widths[0]
        prefix = re.sub(r"[^_./ -]*$", "", names[self._start])
        if not all(name.startswith(prefix) for name in names[self._start : stop]):
            prefix = ""
        return (*names[: self._start], *(prefix + name for name in components(self.new)), *names[stop:])


def converted(value: Tensor, old: str, new: str, key: str = "a rotation", within: float = math.inf) -> Tensor:
    """Rotations (n, ..., W) written as `old`, written as `new` (n, ..., W2), in their own float type.

    Raises SampleError where one is no rotation: of length 0, a matrix of rank below 3 or a mirror image, NaN, or
    further than `within` from one.
    """
    rows = value.reshape(-1, value.shape[-1]).to(torch.float64).numpy()
    if not len(rows):
        return value.new_zeros((*value.shape[:-1], len(components(new))))
    try:
        rotation = read_rotations(rows, old, within)
    except NoRotationError as error:
        at = np.unravel_index(error.row, value.shape[:-1])
        step = int(at[1]) if len(at) > 1 else 0
        raise SampleError(f"{key!r} holds {error}", key, int(at[0]), step) from None
    return torch.from_numpy(written(rotation, new)).to(value.dtype).reshape(*value.shape[:-1], -1)

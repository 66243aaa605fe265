"""Columns by which a dataset says itself that some of its values are padding; `robomix merge` writes them.

They have the names of the masks in samples, and become these: `KEY_is_pad` says of a row that it has no KEY, and what
stands there is zeros; `KEY_dim_is_pad` says of each entry of the vector KEY whether it is padding. They are no
features.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.formats.base import Dataset

IS_PAD, DIM_IS_PAD = "_is_pad", "_dim_is_pad"


@dataclass(frozen=True)
class PaddingColumns:
    """The names of those columns of one feature; None for one there is not."""

    absent: str | None = None
    """Of one flag per row: there is no value."""
    dims: str | None = None
    """Of one flag per entry of the vector."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.absent, self.dims) if name is not None)

    def without(self, names: Mapping[str, object]) -> "PaddingColumns":
        """Those that are not among `names`."""
        absent, dims = (name if name not in names else None for name in (self.absent, self.dims))
        return PaddingColumns(absent, dims)


def padding_columns(features: Mapping[str, Feature]) -> dict[str, PaddingColumns]:
    """For each of `features` that has such columns among them, which. They hold bool, and have the right shape."""
    absent, dims = dict(_named(features, IS_PAD)), dict(_named(features, DIM_IS_PAD))
    found = {}
    for key, feature in features.items():
        flag, flags = absent.get(key), dims.get(key)
        one = flag if flag is not None and features[flag].shape in ((), (1,)) else None
        each = flags if flags is not None and feature.is_vector and features[flags].shape == feature.shape else None
        if one or each:
            found[key] = PaddingColumns(one, each)
    return found


def _named(features: Mapping[str, Feature], ending: str) -> Iterator[tuple[str, str]]:
    for name, feature in features.items():
        if name.endswith(ending) and feature.kind == "numeric" and feature.dtype == "bool":
            yield name.removesuffix(ending), name


@dataclass(frozen=True)
class StoredPadding:
    """What a dataset says of the features of a source, by the names the source gives them."""

    dataset: Dataset
    columns: Mapping[str, PaddingColumns]
    widths: Mapping[str, int]
    """(D) of the vectors with a column of that width."""

    @classmethod
    def of(cls, dataset: Dataset, dataset_key: Mapping[str, str], named: Mapping[str, object]) -> "StoredPadding":
        """Of the features `dataset_key` names, mixture key to dataset key; without the columns that are `named`."""
        found = padding_columns(dataset.features)
        own = {key: found[old].without(named) for key, old in dataset_key.items() if old in found}
        columns = {key: one for key, one in own.items() if one.names}
        widths = {key: dataset.features[dataset_key[key]].shape[0] for key, one in columns.items() if one.dims}
        return cls(dataset, columns, widths)

    def check(self, features: Mapping[str, Feature], source: str) -> None:
        """Raises AlignmentError where transforms have made something else of what the columns speak of.

        `features` are those after the transforms, `source` is what messages call it.
        """
        for key, columns in self.columns.items():
            feature, width = features.get(key), self.widths.get(key)
            is_same_vector = width is None or (feature is not None and feature.is_vector and feature.valid_dim == width)
            if feature is None or not is_same_vector:
                names = " and ".join(map(repr, columns.names))
                raise AlignmentError(
                    f"{source}: {names} of {self.dataset.path} say what of {key!r} is padding, and the transforms make "
                    "something else of it. Run them before the merge that wrote the dataset; or map to null, in "
                    f"feature_map, {key!r} to leave it out, or {names} to take its padding for data."
                )

    def absent(self, key: str, rows: np.ndarray) -> np.ndarray | None:
        """Whether there is no `key` at `rows`, any shape, in the same shape; None where nothing is said."""
        name = self.columns[key].absent if key in self.columns else None
        return None if name is None else self.dataset.column(name)[rows].reshape(rows.shape)

    def dims(self, key: str, rows: np.ndarray, width: int) -> np.ndarray | None:
        """(n, width) bool for `rows` (n,): which of so many leading entries of the vector `key` are padding, all where
        there is none; None where nothing is said.
        """
        name = self.columns[key].dims if key in self.columns else None
        flags = None if name is None else self.dataset.column(name)[rows]
        absent = self.absent(key, rows)
        if absent is None:
            return flags
        return np.tile(absent[:, None], width) if flags is None else flags | absent[:, None]

    def shares(self, key: str, rows: np.ndarray, entries: int) -> np.ndarray:
        """(entries,) float64: in which share of `rows` (n,) each of so many leading entries of `key` is padding."""
        padded = self.dims(key, rows, entries)
        return np.zeros(entries) if padded is None else np.asarray(padded.mean(axis=0))

"""Columns by which a dataset says what of its features is padding; see `robomix.mixture.padding`."""

from collections.abc import Mapping, Sequence

import numpy as np

from robomix.mixture.padding import DIM_IS_PAD, IS_PAD
from robomix.tools.check.raw.lerobot import RawLeRobot


def padding_columns(raw: RawLeRobot) -> dict[str, tuple[str, ...]]:
    """By feature, the names of those that are declared for it."""
    flags = {key for key, spec in raw.features.items() if spec.get("dtype") == "bool"}
    found = {key: tuple(flags & {f"{key}{IS_PAD}", f"{key}{DIM_IS_PAD}"}) for key in raw.features}
    return {key: names for key, names in found.items() if names}


def unpadded(values: np.ndarray, masks: Sequence[str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """`values` (n, D) float64 with NaN for what the columns `masks` say is padding."""
    for mask in masks:
        flags = columns[mask].reshape(len(values), -1) if mask in columns else np.zeros((len(values), 1))
        if flags.shape[1] in (1, values.shape[1]):
            values = np.where(flags.astype(bool), np.nan, values)
    return values

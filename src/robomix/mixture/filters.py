"""Frames and episodes that a source leaves out by rule: its `idle` and `success`.

An idle frame is one of a stretch of frames, longer than the rule allows, through which no entry of a feature moves: the
operator waits, and a policy that learns to wait waits for ever. Idle frames start no sample, but stay where they are in
time: windows of other samples still hold them. openpi leaves such frames out of DROID
(https://github.com/Physical-Intelligence/openpi, examples/droid).
"""

import logging

import numpy as np

from robomix.config import IdleConfig, SuccessConfig
from robomix.errors import ConfigError, did_you_mean
from robomix.formats.base import Dataset
from robomix.mixture.frames import NO_ROWS

log = logging.getLogger(__name__)

_ROWS = 1 << 16
"""Rows looked at together."""


def idle_rows(dataset: Dataset, rule: IdleConfig | None, name: str) -> np.ndarray:
    """(S, 2) int64: the stretches of idle rows of all episodes, each the first row and the one after the last.

    Raises ConfigError, naming source `name`, for a key that is no column of numbers.
    """
    if rule is None:
        return NO_ROWS
    column = _column(dataset, rule.key, f"source {name!r}: idle")
    begins = moves(column, rule.below)
    begins[dataset.episodes.starts[:-1]] = True
    first = np.flatnonzero(begins)
    stop = np.append(first[1:], len(begins))
    return np.stack([first, stop], axis=1)[stop - first > rule.longer_than]


def successful(dataset: Dataset, rule: SuccessConfig, ordinals: np.ndarray, name: str) -> np.ndarray:
    """Those of the episodes at `ordinals` that are a success. Logs how many are not.

    Raises ConfigError, naming source `name`, for a key that is no single number, or if there is no success.
    """
    where = f"source {name!r}: success"
    column = _column(dataset, rule.key, where)
    if column.shape[1:] not in ((), (1,)):
        shape = dataset.features[rule.key].shape
        raise ConfigError(f"{where}: {rule.key!r} has shape {shape}, expected a single number for each frame.")
    reached = column.reshape(-1) >= rule.at_least
    starts = dataset.episodes.starts
    is_success = reached[starts[1:] - 1] if rule.at == "last" else np.logical_or.reduceat(reached, starts[:-1])
    kept = ordinals[is_success[ordinals]]
    if not len(kept):
        place = "the last frame" if rule.at == "last" else "any frame"
        raise ConfigError(
            f"{where} leaves out all {len(ordinals)} chosen episodes: {rule.key!r} does not reach {rule.at_least:g} in "
            f"{place} of them, in the whole dataset it is {column.min():g} to {column.max():g}. Lower `at_least`."
        )
    log.info("source %r: success leaves out %d of %d episodes", name, len(ordinals) - len(kept), len(ordinals))
    return kept


def moves(column: np.ndarray, below: float) -> np.ndarray:
    """(N,) bool: any entry of a row differs by more than `below` from the row before; the first has none before."""
    flat = column.reshape(len(column), -1)
    moves = np.ones(len(flat), dtype=bool)
    for start in range(1, len(flat), _ROWS):
        rows = flat[start - 1 : start + _ROWS].astype(np.float64)
        moves[start : start + _ROWS] = ~(np.abs(np.diff(rows, axis=0)) <= below).all(axis=1)
    return moves


def _column(dataset: Dataset, key: str, where: str) -> np.ndarray:
    known = [name for name, feature in dataset.features.items() if feature.kind == "numeric"]
    if key not in known:
        found = f"is {dataset.features[key].kind}, not numbers" if key in dataset.features else "is not there"
        raise ConfigError(f"{where}: {key!r} {found}.{did_you_mean(key, known)} Numbers here: {', '.join(known)}")
    return dataset.column(key)

"""Whose rows the rows of the data files are, by where they lie rather than by what their `episode_index` says."""

import numpy as np

from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.places import episode_of


def owners(raw: RawLeRobot) -> np.ndarray:
    """(N,) int64: the episode of each row of `raw.frames`.

    v2.x: the number in the file's name. v3.0: the metadata's lengths, one after another, where these agree with
    `frame_index`; else, and for files without a number, the column `episode_index`.
    Raises UnverifiableError where there is nothing to go by.
    """
    frames = raw.frames
    if raw.layout == "v2":
        numbers = np.array([-1 if (found := episode_of(file.name)) is None else found for file in frames.files])
        by_place = numbers[frames.file_of]
        return by_place if (by_place >= 0).all() else np.where(by_place >= 0, by_place, frames["episode_index"])
    blocks = _blocks(raw)
    return frames["episode_index"] if blocks is None else blocks


def pairs(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    """The different pairs of two columns (N,) of integers, sorted. Fast where equal ones lie together."""
    if not len(first):
        return []
    starts = np.concatenate([[True], (first[1:] != first[:-1]) | (second[1:] != second[:-1])])
    return sorted(set(zip(first[starts].tolist(), second[starts].tolist(), strict=True)))


def ends_of(owners: np.ndarray) -> list[int]:
    """One past the last row of each episode in `owners` (N,); where one is in several places, only the end of all."""
    ends = np.append(np.flatnonzero(owners[1:] != owners[:-1]) + 1, len(owners))
    return ends.tolist() if len(ends) == len(np.unique(owners)) else [len(owners)]


def _blocks(raw: RawLeRobot) -> np.ndarray | None:
    """Owners by the lengths of the metadata; None where frame_index does not bear them out."""
    ids, lengths = np.array(list(raw.lengths)), np.array(list(raw.lengths.values()))
    columns = raw.frames.columns
    if not len(ids) or lengths.min() < 0 or lengths.sum() != len(raw.frames) or "frame_index" not in columns:
        return None
    starts = np.cumsum(lengths) - lengths
    if not np.array_equal(columns["frame_index"], np.arange(len(raw.frames)) - np.repeat(starts, lengths)):
        return None
    if "episode_index" not in columns:
        return np.repeat(ids, lengths)
    stored = columns["episode_index"]
    said = np.array([_commonest(stored[a : a + n]) if n else i for i, a, n in zip(ids, starts, lengths, strict=True)])
    # The blocks need not lie in the order of the metadata, as long as each episode has one.
    return np.repeat(said if np.array_equal(np.sort(said), np.sort(ids)) else ids, lengths)


def _commonest(values: np.ndarray) -> int:
    if values[0] == values[-1] and (values == values[0]).all():
        return int(values[0])
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])

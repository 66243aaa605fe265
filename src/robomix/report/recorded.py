"""Pictures and numbers of a dataset as they were recorded."""

from collections.abc import Mapping, Sequence

import numpy as np

from robomix.errors import RobomixError
from robomix.formats.base import Dataset, Episodes
from robomix.report.blocks import Block, Sheet, Text
from robomix.report.pictures import picture


def contact_sheet(dataset: Dataset, key: str, rows: Mapping[int, str]) -> Block:
    """The frames of camera `key` at `rows`, each with its caption; in words what is wrong where they cannot be read."""
    _, height, width = dataset.features[key].shape
    try:
        frames = dataset.read_frames(key, np.array(list(rows)))
    except RobomixError as error:
        return Text(f"{key} cannot be read: {error}", "bad")
    pictures = [picture(frame, caption) for frame, caption in zip(frames, rows.values(), strict=True)]
    return Sheet(f"{key}, {height} x {width}", pictures)


def telling_rows(episodes: Episodes, number: int) -> dict[int, str]:
    """Row to caption of up to `number` frames: first, middle and last of the first episode, then random ones.

    The random ones are of the whole dataset, in its order, and the same ones each time.
    """
    lengths = episodes.lengths
    if not lengths.any():
        return {}
    rows = course(episodes, int(np.argmax(lengths > 0)))
    chosen = np.random.default_rng(0).permutation(int(episodes.starts[-1]))[: 2 * number]
    others = [row for row in chosen.tolist() if row not in rows][: max(0, number - len(rows))]
    return rows | {row: caption(episodes, row, "random") for row in sorted(others)}


def course(episodes: Episodes, ordinal: int) -> dict[int, str]:
    """Row to caption of the first, the middle and the last frame of an episode."""
    start, length = int(episodes.starts[ordinal]), int(episodes.lengths[ordinal])
    places = {0: "first", (length - 1) // 2: "middle", length - 1: "last"} if length > 2 else {0: "first"}
    return {start + place: caption(episodes, start + place, what) for place, what in places.items()}


def caption(episodes: Episodes, row: int, what: str) -> str:
    """Which frame a row is."""
    ordinal = int(np.searchsorted(episodes.starts, row, side="right")) - 1
    return f"{what}: episode {episodes.ids[ordinal]}, frame {row - int(episodes.starts[ordinal])}"


def numbers_at(dataset: Dataset, keys: Sequence[str], rows: np.ndarray | slice) -> np.ndarray:
    """(R, D): the features `keys` side by side, of the rows that are asked for."""
    columns = [dataset.column(key)[rows] for key in keys]
    return np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1)

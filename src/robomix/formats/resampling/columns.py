"""One column of numbers, resampled by its plan.

Floats are interpolated, but for entries that take at most two values in the whole dataset, as a gripper's command does:
these, whole numbers and flags are those of the nearest frame. Columns called `next.*` tell what came of a frame's step,
so theirs are those of the last recorded step in it; a flag is true where it is in any.
"""

from collections.abc import Iterator

import numpy as np

from robomix.formats.resampling.grid import Places, TimeGrid
from robomix.formats.resampling.plan import Plan
from robomix.formats.resampling.values import interpolated, summed, turned
from robomix.rotations import RECORDED, no_rotation

_BLOCK_BYTES = 1 << 25
_ROWS = 1 << 16


def fill_column(key: str, plan: Plan, column: np.ndarray, grid: TimeGrid, new: np.ndarray) -> dict[int, str]:
    """Fills `new` (M, ...) with `column` (N, ...) resampled.

    Returns the episodes that need what is no rotation, by id, with what is wrong; their frames there are NaN.
    """
    width = int(np.prod(column.shape[1:], dtype=np.int64))
    column, new = column.reshape(len(column), width), new.reshape(len(new), width)
    stays = _staying(column, plan)
    of_step = key.startswith("next.")
    recorded, made = grid.recorded.starts, grid.episodes.starts
    unusable: dict[int, str] = {}
    for first, stop in _blocks(np.maximum(recorded, made), _BLOCK_BYTES // (8 * max(1, width))):
        values, places = column[recorded[first] : recorded[stop]], grid.places(first, stop)
        starts = recorded[first : stop + 1] - recorded[first]
        block = new[made[first] : made[stop]]
        if values.dtype == bool and of_step:
            block[...] = summed(values.astype(np.float64), starts, places) > 0
        elif values.dtype.kind != "f":
            block[...] = values[places.last_row if of_step else places.nearest]
        else:
            values = values.astype(np.float64)
            block[...] = _floats(values, plan, stays, places.last_row if of_step else places.nearest, starts, places)
            for entries, form in plan.rotations:
                block[:, entries], is_bad = turned(values[:, entries], form, places)
                bad = np.flatnonzero(is_bad)
                ordinals, firsts = np.unique(np.searchsorted(starts, bad, side="right") - 1, return_index=True)
                for ordinal, row in zip(ordinals, bad[firsts], strict=True):
                    unusable[int(grid.recorded.ids[first + ordinal])] = (
                        f"{key!r} holds {np.array2string(values[row, entries], precision=4)} in entries "
                        f"{list(entries)}, by `resample` as {form}, in frame {row - starts[ordinal]} of the recording, "
                        f"{no_rotation(form, RECORDED)}"
                    )
    return unusable


def _floats(
    values: np.ndarray, plan: Plan, stays: np.ndarray, rows: np.ndarray, starts: np.ndarray, places: Places
) -> np.ndarray:
    """All entries (n, D) but the rotations; those that stay are taken from `rows` (n,)."""
    with np.errstate(invalid="ignore"):  # between infinite values; the statistics find those
        made = interpolated(values, places)
    made[:, stays] = values[rows][:, stays]
    if plan.differences:
        made[:, plan.differences] = summed(values[:, plan.differences], starts, places)
    return made


def _staying(column: np.ndarray, plan: Plan) -> np.ndarray:
    """(D,) bool: which entries of a column (N, D) of floats are taken from one frame each."""
    if column.dtype.kind != "f" or not len(column):
        return np.ones(column.shape[1], dtype=bool)
    blocks = [column[start : start + _ROWS] for start in range(0, len(column), _ROWS)]
    low = np.min([block.min(0) for block in blocks], axis=0)
    high = np.max([block.max(0) for block in blocks], axis=0)
    stays: np.ndarray = np.all([((block == low) | (block == high)).all(0) for block in blocks], axis=0)
    stays[list(plan.nearest)] = True
    return stays


def _blocks(starts: np.ndarray, rows: int) -> Iterator[tuple[int, int]]:
    """Runs of episodes, `first` to `stop` - 1, of at most so many rows, at least one episode each."""
    first = 0
    while first < len(starts) - 1:
        stop = max(first + 1, int(np.searchsorted(starts, starts[first] + rows, side="right")) - 1)
        yield first, stop
        first = stop

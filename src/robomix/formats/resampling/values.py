"""The numbers of one rate made those of another: straight between two frames, summed over steps, or turned.

Recorded values are (m, D) float64, rows of whole episodes; `Places` says where the n new frames lie among them.
"""

from itertools import pairwise

import numpy as np

from robomix.formats.resampling.grid import Places
from robomix.rotations import RECORDED, are_rotations, read_rotations, written


def interpolated(values: np.ndarray, places: Places) -> np.ndarray:
    """(n, D): on the straight line from the frame before to the one after; a value that rests stays what it is."""
    before, after = values[places.row], values[places.next_row]
    return before + (after - before) * places.weight[:, None]


def summed(values: np.ndarray, starts: np.ndarray, places: Places) -> np.ndarray:
    """(n, D): what the recorded steps add up to during each new step; `starts` (E + 1,) are the episodes' rows.

    With C(t) the sum of the first t recorded steps, interpolated between whole t, a new step from t to u is
    C(u) - C(t). So the new steps add up to the recorded ones of the time they cover.
    """
    before = np.zeros_like(values)  # C at each row: the sum of those before it in its episode
    for first, stop in pairwise(starts.tolist()):
        np.cumsum(values[first : stop - 1], axis=0, out=before[first + 1 : stop])
    begin = before[places.row] + places.weight[:, None] * values[places.row]
    return before[places.end_row] + places.end_weight[:, None] * values[places.end_row] - begin


def turned(values: np.ndarray, form: str, places: Places) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (m, W) written as `form`: (n, W) on the shortest way from the frame before to the one after.

    A frame at a recorded time keeps the recorded numbers, but for the sign of quaternions, which do not jump within an
    episode. Second: (m,) bool, which of the recorded rows are used and no rotations; frames that need them are NaN.
    """
    from scipy.spatial.transform import Rotation

    is_good = are_rotations(values, form, RECORDED)
    recorded = read_rotations(np.where(is_good[:, None], values, written(Rotation.identity(1), form)), form)
    before, after = recorded[places.row], recorded[places.next_row]
    turn = (before.inv() * after).as_rotvec() * places.weight[:, None]
    made = written(before * Rotation.from_rotvec(turn), form)
    if form.startswith("euler"):  # SciPy's angles lie in one turn, the recorded ones may go on beyond it
        made += 2 * np.pi * np.rint((values[places.row] - made) / (2 * np.pi))
    made = np.where(places.weight[:, None] > 0, made, values[places.row])
    if form.startswith("quaternion"):
        made = _without_jumps(made, places.is_first)
    is_bad = np.zeros(len(values), dtype=bool)
    is_bad[places.row] = is_bad[places.next_row] = True
    is_bad &= ~is_good
    made[is_bad[places.row] | is_bad[places.next_row]] = np.nan
    return made, is_bad


def _without_jumps(quaternions: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """`quaternions` (n, 4), each with the sign nearer to the one before it; the first of an episode keeps its own."""
    jumps = np.einsum("nd,nd->n", quaternions, np.roll(quaternions, 1, axis=0)) < 0
    jumps[is_first] = False
    count = np.cumsum(jumps)
    count -= np.maximum.accumulate(np.where(is_first, count, 0))  # those before its own episode
    return np.where(count[:, None] % 2 == 1, -quaternions, quaternions)

"""Numbers that come in blocks are summed up as numpy sums up all of them at once, in memory that does not grow."""

import numpy as np
import pytest

from robomix.tools.verify.values import KEPT, RunningValues


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [700], [10, 10, 4000]])
def test_blocks_give_what_all_values_give(cuts: list[int]) -> None:
    rows = np.random.default_rng(0).normal(1e3, 1e-2, size=(5000, 2))
    running = RunningValues(2)
    for block in np.split(rows, cuts):
        running.add(block)
    assert running.count == 5000
    assert np.allclose(running.mean, rows.mean(0), rtol=1e-12)
    assert np.allclose(running.std, rows.std(0), rtol=1e-6)
    assert np.array_equal([running.minimum, running.maximum], [rows.min(0), rows.max(0)])
    assert np.array_equal(running.sample, rows[::8].astype(np.float32))  # 5000 / 8 is the first below KEPT


def test_rows_kept_do_not_grow_and_stand_evenly_for_all() -> None:
    running = RunningValues(1)
    for start in range(0, 100_000, 77):
        running.add(np.arange(start, start + 77)[:, None])
    assert KEPT // 2 < len(running.sample) <= KEPT
    assert set(np.diff(running.sample[:, 0])) == {128}


def test_nothing_at_all_has_no_spread() -> None:
    running = RunningValues(1)
    running.add(np.empty((0, 1)))
    assert (running.count, len(running.sample)) == (0, 0)
    assert np.isnan(running.std).all()

"""What is taken for a constant, each entry by itself, and the finite numbers that it gets instead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.statistics.safe import BOUNDS, hardly_varies, safe_stats
from robomix.summaries import EMPTY, stats_of_entries, summarize_entries

FRAMES = 500
NOISE = np.random.default_rng(0).normal(size=(FRAMES, 3))


def stats_of(*columns: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of a vector whose entries are `columns` (N,)."""
    return stats_of_entries(summarize_entries(np.stack(columns, axis=1)))


def safe(stats: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return safe_stats({"action": stats})["action"]


@pytest.mark.parametrize("std", [0.01, 0.005, 5e-5], ids=["10 mm", "5 mm", "0.05 mm"])
def test_a_gripper_in_metres_beside_joints_in_degrees_is_no_constant(std: float) -> None:
    stats = stats_of(50 * NOISE[:, 0], 0.02 + std * NOISE[:, 1], 120 + 30 * NOISE[:, 2])
    assert not hardly_varies(stats).any()
    assert all((safe(stats)[name] == stats[name]).all() for name in stats)


@pytest.mark.parametrize("constant", [0.0, 0.02, -7.0, 90.0, 1e6, 1e9])
def test_a_value_that_differs_by_rounding_alone_is_a_constant(constant: float) -> None:
    column = np.float32(constant) * (1 + np.float32(2.0**-22) * NOISE[:, 0]).astype(np.float32)
    assert hardly_varies(stats_of(column, NOISE[:, 1])).tolist() == [True, False]


def test_an_offset_of_half_a_million_hides_no_motion_of_metres() -> None:
    """As the coordinates of a map have it; float32 resolves 3 cm there."""
    stats = stats_of((500_000 + 5 * NOISE[:, 0]).astype(np.float32))
    assert safe(stats)["std"] == pytest.approx([5.0], rel=0.1)


def test_constants_map_to_about_zero_at_any_magnitude_in_float32() -> None:
    for constant in (0.0, 1e-12, 0.5, 1e4, 1e8, 3e15):
        column = (constant * (1 + 1e-7 * NOISE[:, 0])).astype(np.float32)
        made = {name: value.astype(np.float32) for name, value in safe(stats_of(column)).items()}
        for low, high in BOUNDS:
            assert np.abs(2 * (column - made[low]) / (made[high] - made[low]) - 1).max() < 0.01
        assert np.abs((column - made["mean"]) / made["std"]).max() < 0.01


def test_a_constant_keeps_its_unit() -> None:
    """Divided by 1, what a policy predicts is off by as much as it errs, and not by its share of a large value."""
    assert safe(stats_of(np.full(9, 7.0), np.full(9, 2000.0)))["std"].tolist() == [1.0, 1.0]
    assert safe(stats_of(np.full(9, 1e6)))["std"].tolist() == [100.0]


def test_padding_keeps_its_neutral_numbers() -> None:
    stats = stats_of_entries([*summarize_entries(5e-5 * NOISE), EMPTY])
    padding = {name: value[3] for name, value in safe(stats).items() if name != "count"}
    assert (padding["mean"], padding["std"]) == (0.0, 1.0)
    assert [(padding[low], padding[high]) for low, high in BOUNDS] == [(-1.0, 1.0)] * 3


def test_quantiles_that_coincide_under_a_spike_do_not_divide_by_nothing() -> None:
    column = np.zeros(1000)
    column[:5] = 100.0
    made = safe(stats_of(column))
    assert made["q99"] - made["q01"] == pytest.approx(2 * column.std())
    assert made["max"] - made["min"] == pytest.approx(100.0)


def test_a_range_of_noise_beside_a_spike_is_no_range() -> None:
    """The 98 % between q01 and q99 tremble by 1e-7; divided by that, the spike of 1 would be 10,000,000."""
    column = np.random.default_rng(0).uniform(-1e-7, 1e-7, 1000)
    column[:5] = 1.0
    made = safe(stats_of(column))
    assert made["q99"] - made["q01"] == pytest.approx(2 * column.std())


def test_a_vector_that_only_trembles_is_constant() -> None:
    assert safe(stats_of(*(1e-7 * NOISE.T)))["std"].tolist() == [1.0, 1.0, 1.0]


NUMBERS = st.sampled_from([0.0, 1e-12, 1e-6, 0.004, 1.0, 180.0, 1e6, 1e9]) | st.floats(0, 1e6)


@st.composite
def any_entry(draw: st.DrawFn) -> dict[str, float]:
    """Statistics of one entry that some data could have: ordered bounds around an offset, of any width."""
    offset, width = draw(st.sampled_from([-1.0, 1.0])) * draw(NUMBERS), draw(NUMBERS)
    places = sorted(draw(st.lists(st.sampled_from([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0]), min_size=4, max_size=4)))
    bounds = dict(zip(("q01", "q10", "q90", "q99"), (offset + width * place for place in places), strict=True))
    mean, std = offset + width * draw(st.floats(0, 1)), width * draw(st.floats(0, 0.5))
    return {"mean": mean, "std": std, "min": offset, "max": offset + width} | bounds


@settings(max_examples=200, deadline=None)
@given(entries=st.lists(any_entry(), min_size=1, max_size=4))
def test_entries_do_not_judge_each_other_and_no_division_explodes(entries: list[dict[str, float]]) -> None:
    together = {name: np.array([entry[name] for entry in entries]) for name in entries[0]}
    made = safe(together)
    alone = [safe({name: np.array([value]) for name, value in entry.items()}) for entry in entries]
    for name, values in made.items():
        np.testing.assert_array_equal(values, np.concatenate([of_entry[name] for of_entry in alone]))
    in_float32 = {name: values.astype(np.float32) for name, values in made.items()}
    assert all(np.isfinite(values).all() for values in in_float32.values())
    assert (in_float32["std"] >= 1e-6).all()
    for low, high in BOUNDS:
        width = in_float32[high] - in_float32[low]
        assert (width > 8e-7 * np.maximum(np.abs(in_float32[low]), np.abs(in_float32[high]))).all()
        assert (width > 8e-6 * in_float32["std"]).all()

"""Datasets at another rate: the time grid, each kind of number against numpy and SciPy, pictures, cache, processes."""

import pickle
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from robomix.errors import ConfigError, FormatError
from robomix.formats import Dataset, Episodes, open_dataset
from robomix.formats.rate import as_rate
from robomix.formats.resampling import dataset as resampling
from robomix.formats.resampling.dataset import ResampledDataset, resampled
from robomix.formats.resampling.grid import TimeGrid
from robomix.rotations import read_rotations, written
from tests.fixtures import row_and_camera, write_v30
from tests.memory import ArrayDataset

LENGTHS = [7, 1, 12]
RATES = [(30, 10), (29.97, 10), (5, 10), (80, 25), (10, 30), (7, 7)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))


def at(dataset: Dataset, rate: float, rules: Mapping[str, Any] | None = None) -> Dataset:
    return resampled(dataset, as_rate(rate, "rate"), rules or {}, "source 'a': resample")


def arm(values: np.ndarray, lengths: list[int], fps: float = 30, key: str = "action", **more: Any) -> ArrayDataset:
    made = ArrayDataset({key: values}, lengths, **more)
    made.fps = as_rate(fps, "fps")
    return made


def times(fps: float, rate: float, length: int) -> list[Fraction]:
    """Places of the new frames in recorded frames, straight from the definition."""
    fps, rate = as_rate(fps, ""), as_rate(rate, "")
    places = []
    while len(places) / rate * fps <= length - 1:
        places.append(Fraction(len(places)) / rate * fps)
    return places


# The time grid


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    fps=st.fractions(5, 100, max_denominator=1001),
    rate=st.fractions(5, 100, max_denominator=1001),
)
def test_the_grid_is_that_of_exact_fractions(lengths: list[int], fps: Fraction, rate: Fraction) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    grid = TimeGrid(Episodes(np.arange(len(lengths)), starts), fps, rate)
    places = grid.places(0, len(lengths))
    step, row = fps / rate, 0
    for episode, length in enumerate(lengths):
        count = int((length - 1) / step) + 1
        assert grid.episodes.lengths[episode] == count
        for k in range(count):
            start, end = k * step, min((k + 1) * step, Fraction(length))
            nearest = min(range(length), key=lambda i: (abs(i - start), i))
            assert places.row[row] == starts[episode] + int(start)
            assert places.weight[row] == pytest.approx(float(start - int(start)), abs=1e-15)
            assert places.nearest[row] == starts[episode] + nearest
            assert places.end_row[row] - starts[episode] + places.end_weight[row] == pytest.approx(
                float(end), abs=1e-12
            )
            assert places.last_row[row] == starts[episode] + -int(-end // 1) - 1
            row += 1
        assert places.last_row[row - 1] == starts[episode + 1] - 1
    assert np.array_equal(grid.nearest(np.arange(row)), places.nearest)


@pytest.mark.parametrize(
    ("fps", "rate", "length", "count"),
    [(30, 10, 1, 1), (30, 10, 3, 1), (30, 10, 4, 2), (5, 10, 3, 5), (29.97, 10, 30, 10), (80, 25, 17, 6)],
)
def test_an_episode_has_the_frames_whose_time_it_reaches(fps: float, rate: float, length: int, count: int) -> None:
    made = at(arm(np.arange(length, dtype=np.float32), [length], fps), rate)
    assert made.num_frames == count == len(times(fps, rate, length))


# Numbers


@pytest.mark.parametrize(("fps", "rate"), RATES)
def test_straight_lines_stay_straight_and_others_are_numpys_interpolation(fps: float, rate: float) -> None:
    rng = np.random.default_rng(0)
    frame = np.concatenate([np.arange(n) for n in LENGTHS])
    values = np.stack([3.0 * frame - 5, rng.normal(size=20)], axis=1)
    made = at(arm(values, LENGTHS, fps), rate)
    assert made.fps == as_rate(rate, "")
    for episode, length in enumerate(LENGTHS):
        where = np.array(times(fps, rate, length), dtype=np.float64)
        recorded = values[sum(LENGTHS[:episode]) : sum(LENGTHS[: episode + 1])]
        column = made.column("action")[made.episodes.starts[episode] : made.episodes.starts[episode + 1]]
        np.testing.assert_allclose(column[:, 0], 3 * where - 5, rtol=1e-14)
        np.testing.assert_allclose(column[:, 1], np.interp(where, np.arange(length), recorded[:, 1]), rtol=1e-12)


def test_frames_at_recorded_times_keep_their_numbers_and_values_at_rest_stay() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    values[:, 2] = np.linspace(0, 1, 20).astype(np.float32)
    values[7:12, 2] = np.float32(0.1)
    made = at(arm(values, [20], 10), 30).column("action")
    assert made.dtype == np.float32
    assert np.array_equal(made[::3], values)
    assert (made[21:34, 2] == np.float32(0.1)).all()


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64", "bool"])
def test_whole_numbers_and_flags_are_those_of_the_nearest_frame_of_two_the_earlier(dtype: str) -> None:
    values = np.array([0, 1, 2**63 if dtype == "uint64" else 1, 0, 1]).astype(dtype)
    made = at(arm(values, [5], 10, "mode"), 20).column("mode")  # at 0, 0.5, 1, 1.5, ...
    assert made.dtype == values.dtype
    assert np.array_equal(made, values[[0, 0, 1, 1, 2, 2, 3, 3, 4]])


def test_entries_with_two_values_are_discrete_and_so_are_those_the_rule_names() -> None:
    names = ["open", "x", "mode"]
    values = np.array([[0, 0, 1], [1, 1, 2], [1, 3, 3]], dtype=np.float32)
    recorded = arm(values, [3], 10, names={"action": names})
    plain = at(recorded, 20).column("action")
    assert plain.tolist() == [[0, 0, 1], [0, 0.5, 1.5], [1, 1, 2], [1, 2, 2.5], [1, 3, 3]]
    named = at(recorded, 20, {"action": {"nearest": ["mode"]}}).column("action")
    assert named.tolist() == [[0, 0, 1], [0, 0.5, 1], [1, 1, 2], [1, 2, 2], [1, 3, 3]]


def test_a_column_of_two_values_in_every_episode_but_three_in_all_is_continuous() -> None:
    made = at(arm(np.array([0.0, 1.0, 0.0, 2.0]), [2, 2], 10), 20)
    assert made.column("action").tolist() == [0, 0.5, 1, 0, 1, 2]


@pytest.mark.parametrize(("fps", "rate"), RATES)
def test_differences_add_up_to_those_recorded_in_the_time_they_cover(fps: float, rate: float) -> None:
    values = np.random.default_rng(0).normal(size=(20, 2))
    made = at(arm(values, LENGTHS, fps), rate, {"action": {"differences": [0]}})
    for episode, length in enumerate(LENGTHS):
        first = sum(LENGTHS[:episode])
        position = np.concatenate([[0], np.cumsum(values[first : first + length, 0])])
        ends = [*times(fps, rate, length), len(times(fps, rate, length)) / as_rate(rate, "") * as_rate(fps, "")]
        reached = np.interp(np.array(ends, dtype=np.float64), np.arange(length + 1), position)
        new = made.column("action")[made.episodes.starts[episode] : made.episodes.starts[episode + 1], 0]
        np.testing.assert_allclose(new, np.diff(reached), atol=1e-12)
        if rate < fps and as_rate(fps, "") % as_rate(rate, "") == 0:
            assert new.sum() == pytest.approx(position[-1])


def test_three_steps_become_one_three_times_as_long() -> None:
    made = at(arm(np.array([1.0, 2, 3, 4, 5, 6, 7]), [7], 30), 10, {"action": {"differences": [0]}})
    assert made.column("action").tolist() == [6, 15, 7]


def test_what_came_of_a_step_is_kept_rewards_as_sums_flags_if_ever_and_the_rest_at_its_end() -> None:
    columns = {
        "next.reward": np.array([1.0, 0, 0, 0, 5, 0, 0, 1]),
        "next.done": np.array([False] * 7 + [True]),
        "next.success": np.array([False, True, False, False, False, False, False, False]),
        "next.discount": np.array([1.0] * 7 + [0]),
        "next.phase": np.arange(8),
    }
    made = at(ArrayDataset(columns, [8], fps=30), 10)
    assert made.column("next.reward").tolist() == [1, 5, 1]
    assert made.column("next.done").tolist() == [False, False, True]
    assert made.column("next.success").tolist() == [True, False, False]
    assert made.column("next.discount").tolist() == [1, 1, 0]
    assert made.column("next.phase").tolist() == [2, 5, 7]
    finer = at(ArrayDataset(columns, [8], fps=5), 10)
    assert finer.column("next.done").tolist() == [False] * 14 + [True]


def test_numbers_of_one_episode_do_not_reach_another() -> None:
    values = np.random.default_rng(0).normal(size=(12, 2))
    values[5] = np.nan
    made = at(arm(values, [5, 3, 4], 30), 20, {"action": {"differences": [0]}})
    assert [bool(np.isnan(made.column("action")[a:b]).any()) for a, b in ((0, 3), (3, 5), (5, 8))] == [
        False,
        True,
        False,
    ]
    alone = at(arm(values[8:], [4], 30), 20, {"action": {"differences": [0]}})
    assert np.array_equal(made.column("action")[5:], alone.column("action"))


def test_every_shape_of_column_keeps_its_shape() -> None:
    columns = {
        "scalar": np.array([0.0, 1, 4]),
        "matrix": np.arange(18, dtype=np.float16).reshape(3, 2, 3) ** 2,
        "nothing": np.zeros((3, 0), np.float32),
    }
    made = at(ArrayDataset(columns, [3], fps=10), 20)
    assert made.column("scalar").tolist() == [0, 0.5, 1, 2.5, 4]
    assert np.array_equal(made.column("matrix")[1], (columns["matrix"][0] + columns["matrix"][1]) / 2)
    assert made.column("nothing").shape == (5, 0)
    assert {key: made.column(key).dtype for key in columns} == {key: v.dtype for key, v in columns.items()}


# Rotations


def poses(rotations: Rotation, signs: np.ndarray | None = None) -> np.ndarray:
    """x, and the quaternion (xyzw) of each frame, perhaps with another sign."""
    quaternions = rotations.as_quat() * (1 if signs is None else signs[:, None])
    return np.concatenate([np.arange(len(quaternions), dtype=float)[:, None] ** 2, quaternions], axis=1)


QUATERNION = {"action": {"rotations": [{"entries": [1, 2, 3, 4], "as": "quaternion_xyzw"}]}}


@pytest.mark.parametrize(("fps", "rate"), RATES[:-1])
def test_quaternions_are_scipys_slerp_whatever_their_sign(fps: float, rate: float) -> None:
    rng = np.random.default_rng(0)
    rotations = Rotation.random(20, random_state=1)
    values = poses(rotations, rng.choice([-1.0, 1.0], size=20))
    made = at(arm(values, [20], fps), rate, QUATERNION).column("action")
    where = np.array(times(fps, rate, 20), dtype=np.float64)
    expected = Slerp(np.arange(20), rotations)(where)
    assert (expected.inv() * Rotation.from_quat(made[:, 1:])).magnitude().max() < 1e-7
    np.testing.assert_allclose(np.linalg.norm(made[:, 1:], axis=1), 1)
    np.testing.assert_allclose(made[:, 0], np.interp(where, np.arange(20), values[:, 0]))


def test_the_sign_of_a_quaternion_does_not_jump_within_an_episode_and_begins_as_recorded() -> None:
    turning = Rotation.from_rotvec(np.linspace(0, 6, 13)[:, None] * [0, 0, 1])
    signs = np.array([-1, 1, 1, -1, 1, -1, -1, 1, -1, 1, 1, 1, -1.0])
    values = poses(turning, signs)
    made = at(arm(np.concatenate([values, -values]), [13, 13], 30), 20, QUATERNION).column("action")[:, 1:]
    for episode, sign in ((made[:9], -1), (made[9:], 1)):
        assert (np.einsum("nd,nd->n", episode[1:], episode[:-1]) > 0).all()
        np.testing.assert_allclose(episode[0], [0, 0, 0, sign], atol=1e-12)


@pytest.mark.parametrize("form", ["euler_xyz", "axis_angle", "rot6d", "matrix", "quaternion_wxyz"])
def test_every_form_turns_the_shortest_way(form: str) -> None:
    rotations = Rotation.from_rotvec([[0, 0, 3.0], [0, 0.2, -3.0], [1, 0, 0]])
    values = written(rotations, form)
    rule = {"action": {"rotations": [{"entries": list(range(values.shape[1])), "as": form}]}}
    made = at(arm(values, [3], 10), 20, rule).column("action")
    assert np.array_equal(np.abs(made[::2]), np.abs(values))
    halfway = Slerp([0, 1, 2], rotations)([0.5, 1.5])
    assert (halfway.inv() * read_rotations(made[1::2], form)).magnitude().max() < 1e-7


def test_angles_beyond_one_turn_go_on_where_they_are() -> None:
    yaw = np.array([6.0, 6.2, 6.4, 6.6])
    values = np.stack([yaw, 0 * yaw, 0 * yaw], axis=1)
    made = at(arm(values, [4], 10), 20, {"action": {"rotations": [{"entries": [0, 1, 2], "as": "euler_zyx"}]}})
    np.testing.assert_allclose(made.column("action")[:, 0], np.linspace(6, 6.6, 7))


@pytest.mark.parametrize("bad", [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1], [1.5, 0, 0, 0]])
def test_what_is_no_rotation_makes_its_episode_unusable_and_no_other(bad: list[float]) -> None:
    values = poses(Rotation.random(12, random_state=0))
    values[6, 1:] = bad
    made = at(arm(values, [4, 4, 4], 30, ids=[3, 5, 9]), 20, QUATERNION)
    assert list(made.unusable) == [5]
    assert "'action' holds [" in made.unusable[5]
    assert made.unusable[5].endswith(
        "in entries [1, 2, 3, 4], by `resample` as quaternion_xyzw, in frame 2 of the recording, which is no rotation "
        "(expected length 0.9 to 1.1)"
    )
    again = pickle.loads(pickle.dumps(made))
    assert again.unusable == made.unusable
    is_nan = np.isnan(made.column("action"))  # at 0, 1.5, 3 frames of each episode
    assert is_nan[:, 1:].any(axis=1).tolist() == [False] * 4 + [True] + [False] * 4
    assert not is_nan[:, 0].any()


@pytest.mark.parametrize("form", ["quaternion_wxyz", "rot6d", "rot6d_rows", "matrix"])
def test_joints_taken_for_a_rotation_are_refused_and_rounded_rotations_are_not(form: str) -> None:
    rotations = written(Rotation.random(40, random_state=0), form)
    joints = np.random.default_rng(0).uniform(-1.5, 1.5, rotations.shape)
    rule = {"action": {"rotations": [{"entries": list(range(rotations.shape[1])), "as": form}]}}
    rounded = np.round(rotations, 3).astype(np.float32)
    made = at(arm(np.concatenate([rounded, joints, rounded]), [40, 40, 40], 30), 20, rule)
    assert list(made.unusable) == [1]
    assert f"by `resample` as {form}, in frame 0 of the recording" in made.unusable[1]


def test_a_bad_rotation_that_no_frame_needs_harms_nobody() -> None:
    values = poses(Rotation.random(4, random_state=0))
    values[1, 1:] = 0
    made = at(arm(values, [4], 30), 10, QUATERNION)
    assert not made.unusable
    assert np.array_equal(np.abs(made.column("action")), np.abs(values[[0, 3]]))


# Rules that do not fit


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"actoin": {"nearest": [0]}}, "there is no 'actoin' to resample. Did you mean 'action'?"),
        ({"action": {"nearest": ["griper"]}}, "'action' has no entry named 'griper'. Did you mean 'gripper'?"),
        ({"action": {"differences": [5]}}, "'action' has no entry 5, only 5"),
        (
            {"action": {"rotations": [{"entries": ["qx", "qy", "qz"], "as": "quaternion_xyzw"}]}},
            r"as quaternion_xyzw is 4 entries \(qx, qy, qz, qw\), found 3 of 'action': qx, qy, qz",
        ),
        ({"action": {"nearest": ["qx"], "differences": [0]}}, "qx of 'action' is to be resampled in two ways"),
        ({"mode": {"differences": [0]}}, "'mode' is int64; differences must be floating point"),
        ({"camera": {"nearest": [0]}}, "'camera' is camera of shape"),
    ],
)
def test_rules_are_checked_against_the_dataset_even_at_its_own_rate(rules: dict[str, Any], said: str) -> None:
    columns = {
        "action": np.zeros((2, 5)),
        "mode": np.zeros(2, np.int64),
        "camera": np.zeros((2, 3, 4, 4), np.uint8),
    }
    recorded = ArrayDataset(columns, [2], names={"action": ["qx", "qy", "qz", "qw", "gripper"]})
    for rate in (10, 5):
        with pytest.raises(ConfigError, match=f"source 'a': resample: .*{said}"):
            at(recorded, rate, rules)


# The view


@pytest.fixture
def pictured() -> ArrayDataset:
    """Five frames at 10 fps, each picture of one brightness, two tasks."""
    pictures = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None, None], (5, 3, 2, 2))
    columns = {"action": np.arange(5.0), "camera": np.ascontiguousarray(pictures)}
    return ArrayDataset(columns, [2, 3], tasks=["a", "b"], task_of_row=np.array([0, 1, 0, 0, 1]), ids=[4, 7])


def test_pictures_and_tasks_are_those_of_the_nearest_frame(pictured: ArrayDataset) -> None:
    made = at(pictured, 20)
    assert made.episodes.ids.tolist() == [4, 7]
    assert made.episodes.starts.tolist() == [0, 3, 8]
    assert made.read_frames("camera", np.arange(8))[:, 0, 0, 0].tolist() == [0, 0, 1, 2, 2, 3, 3, 4]
    assert made.read_frames("camera", np.array([7, 0, 7]))[:, 0, 0, 0].tolist() == [4, 0, 4]
    assert made.task_indices().tolist() == [0, 0, 1, 0, 0, 0, 0, 1]


def test_what_is_not_there_is_refused(pictured: ArrayDataset) -> None:
    made = at(pictured, 20)
    for key in ("acton", "camera"):
        with pytest.raises(FormatError, match=f"{key!r} is no column of numbers"):
            made.column(key)
    for row in (-1, 8):
        with pytest.raises(IndexError):
            made.read_frames("camera", np.array([row]))


def test_a_dataset_at_its_own_rate_is_left_alone(pictured: ArrayDataset) -> None:
    assert at(pictured, 10) is pictured
    film = arm(np.zeros(3), [3], 29.97)
    assert at(film, 29.97) is film


def test_the_fingerprint_tells_rates_rules_and_contents_apart(pictured: ArrayDataset) -> None:
    made = [at(pictured, 20), at(pictured, 5), at(pictured, 20, {"action": {"nearest": [0]}}), at(pictured, 20)]
    other = ArrayDataset({"action": np.arange(5.0) + 1}, [2, 3])
    prints = [one.fingerprint for one in (*made, at(other, 20), pictured)]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 5


def test_columns_are_made_once_and_mapped(pictured: ArrayDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = at(pictured, 20).column("action")
    monkeypatch.setattr(resampling, "fill_column", lambda *_: pytest.fail("made again"))
    second = at(pictured, 20).column("action")
    assert isinstance(second.base, np.memmap)
    assert not second.flags.writeable
    assert np.array_equal(first, second)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(60, 5))
    values[:, 1:] = Rotation.random(60, random_state=0).as_quat()
    recorded, rules = arm(values, [13, 1, 26, 20], 30), QUATERNION
    whole = at(recorded, 25, rules).column("action").copy()
    monkeypatch.setattr("robomix.formats.resampling.columns._BLOCK_BYTES", 8 * 5 * 20)
    monkeypatch.setattr("robomix.formats.resampling.columns._ROWS", 7)
    monkeypatch.setattr(resampling, "VERSION", "another")
    assert np.array_equal(at(recorded, 25, rules).column("action"), whole)


def test_a_dataset_on_disk_travels_small_and_has_the_pictures_of_its_times(tmp_path: Path) -> None:
    truth = write_v30(tmp_path / "data", lengths=(9, 11), fps=30, episodes_per_video_file=2)
    made = at(open_dataset(truth.path), 12)  # frames 0, 2.5, 5, 7.5, and 0, 2.5, 5, 7.5, 10
    expected = [0, 2, 5, 7, 9, 11, 14, 16]
    assert isinstance(made, ResampledDataset)
    assert len(pickle.dumps(made)) < 2_000
    for one in (made, pickle.loads(pickle.dumps(made))):
        pictures = one.read_frames("observation.images.top", np.arange(8))
        assert [row_and_camera(picture)[0] for picture in pictures] == expected
    state = truth.columns["observation.state"].astype(np.float64)
    np.testing.assert_allclose(made.column("observation.state")[1], (state[2] + state[3]) / 2, rtol=1e-6)
    assert [made.tasks[t] for t in made.task_indices()] == [truth.row_tasks[i] for i in (*expected, 19)]

"""Action conventions: differences and absolute actions, ranges, polarity, limits; their inverses and statistics."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robomix.errors import AlignmentError, ConfigError, FormatError
from robomix.features import Feature
from robomix.mixture.transforms import DatasetTransformStep, build_transform
from robomix.statistics.compute import mixture_stats
from tests.memory import ArrayDataset, mixture, source

LENGTHS = [4, 3]
NAMES = ["x", "y", "gripper"]
CHUNK = (0, 1, 2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path))


@pytest.fixture
def arm() -> ArrayDataset:
    """Actions 10, 11, 12, 13 | 20, 21, 22 times (1, 2, 3); states are 1 behind, in another order, with one more."""
    t = np.array([10, 11, 12, 13, 20, 21, 22], dtype=np.float32)[:, None]
    action = t * np.array([1, 2, 3], dtype=np.float32)
    state = (t - 1) * np.array([0, 2, 1, 3], dtype=np.float32)
    names = {"action": NAMES, "observation.state": ["unused", "y", "x", "gripper"]}
    return ArrayDataset({"action": action, "observation.state": state}, LENGTHS, names=names)


def step(kind: str, **kwargs: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs}


def built(kind: str, width: int = 3, state: int = 3, **kwargs: object) -> DatasetTransformStep:
    """The step, told of an action and a state of these widths."""
    made = build_transform(kind, kwargs, "here")
    features = {"action": width, "observation.state": state}
    made.features({key: Feature("numeric", "float32", (n,)) for key, n in features.items()})
    return made


def test_the_difference_to_the_previous_action_is_zero_at_both_ends_of_an_episode(arm: ArrayDataset) -> None:
    made = mixture(
        source(arm, transforms=[step("delta_action", reference="previous", absolute=["gripper"])]),
        horizons={"action": CHUNK},
    )
    assert made[0]["action"].tolist() == [[0, 0, 30], [1, 2, 33], [1, 2, 36]]
    assert made[2]["action"].tolist() == [[1, 2, 36], [1, 2, 39], [0, 0, 39]]
    assert made[2]["action_is_pad"].tolist() == [False, False, True]
    assert made[4]["action"].tolist() == [[0, 0, 60], [1, 2, 63], [1, 2, 66]]


def test_the_difference_of_a_single_frame_has_no_time_axis(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[step("delta_action", reference="previous")]))
    assert made.__getitems__([0, 1, 4, 6])["action"].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0], [1, 2, 3]]


RELATIVE = step("delta_action", reference="state", absolute=["gripper"])


@pytest.mark.parametrize(
    ("keys", "horizons"),
    [
        (None, {"action": CHUNK}),
        (None, {"action": CHUNK, "observation.state": (-1, 0)}),
        (None, {"action": CHUNK, "observation.state": (-2, -1)}),
        (["action"], {"action": CHUNK}),
    ],
    ids=["the state alone", "with history", "with history without now", "state not kept"],
)
def test_a_chunk_is_relative_to_the_state_at_its_start(
    arm: ArrayDataset, keys: list[str] | None, horizons: dict
) -> None:
    made = mixture(source(arm, transforms=[RELATIVE]), horizons=horizons, keys=keys)
    sample = made[2]  # the state is 11 times (x 1, y 2)
    assert sample["action"].tolist() == [[1, 2, 36], [2, 4, 39], [2, 4, 39]]
    assert sample["action_is_pad"].tolist() == [False, False, True]
    if "observation.state" in horizons:
        rows = [2 + k for k in horizons["observation.state"]]
        assert np.array_equal(sample["observation.state"], arm.column("observation.state")[rows])
    else:
        assert ("observation.state" in sample) == (keys is None)


some_frames = st.lists(st.integers(-3, 4), min_size=1, max_size=4, unique=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    some_frames,
    st.none() | some_frames,
    st.sampled_from(["previous", "state", "each_state"]),
    st.booleans(),
)
def test_any_windows_of_action_and_state_are_those_of_the_definition(
    lengths: list[int], chunk: list[int], history: list[int] | None, reference: str, joined: bool
) -> None:
    n = sum(lengths)
    action, state = np.random.default_rng(n).normal(size=(2, n, 2)).astype(np.float32)
    columns = {"action": action, "observation.state": state}
    steps = [step("delta_action", reference=reference, entries=[0])]
    if joined:
        columns = {"a0": action[:, :1], "a1": action[:, 1:], "s": state}
        steps = [
            step("concat", to="action", **{"from": ["a0", "a1"]}),
            step("concat", to="observation.state", **{"from": ["s"]}),
            *steps,
        ]
    horizons = {"action": chunk} | ({} if history is None else {"observation.state": history})
    batch = mixture(source(ArrayDataset(columns, lengths), transforms=steps), horizons=horizons).__getitems__(range(n))

    starts = np.cumsum([0, *lengths])
    for i in range(n):
        e = int(np.searchsorted(starts, i, side="right")) - 1
        rows = np.clip(i + np.array(chunk), starts[e], starts[e + 1] - 1)
        before = {
            "previous": action[np.clip(i + np.array(chunk) - 1, starts[e], starts[e + 1] - 1)],
            "state": state[[i]],
            "each_state": state[rows],
        }[reference]
        assert np.array_equal(batch["action"][i, :, 0], action[rows, 0] - before[:, 0])
        assert np.array_equal(batch["action"][i, :, 1], action[rows, 1])
        assert np.array_equal(batch["action_is_pad"][i], rows != i + np.array(chunk))
        of_state = i if history is None else np.clip(i + np.array(history), starts[e], starts[e + 1] - 1)
        assert np.array_equal(batch["observation.state"][i], state[of_state])


def test_each_step_is_relative_to_its_own_state_and_back(arm: ArrayDataset) -> None:
    there = step("delta_action", reference="each_state")
    back = step("absolute_action", reference="each_state")
    made = mixture(source(arm, transforms=[there]), horizons={"action": CHUNK})
    assert made[0]["action"].tolist() == [[1, 2, 3]] * 3
    again = mixture(source(arm, transforms=[there, back]), horizons={"action": CHUNK})
    assert np.array_equal(again[1]["action"], arm.column("action")[[1, 2, 3]])


def test_relative_actions_of_joined_features_read_both_with_the_right_windows(arm: ArrayDataset) -> None:
    pieces = ArrayDataset(
        {
            "a.arm": arm.column("action")[:, :2],
            "a.hand": arm.column("action")[:, 2:],
            "s.arm": arm.column("observation.state")[:, [2, 1]],
        },
        LENGTHS,
    )
    steps = [
        step("concat", to="action", **{"from": ["a.arm", "a.hand"]}),
        step("concat", to="observation.state", **{"from": ["s.arm"]}),
        step("delta_action", reference="state", entries=[0, 1]),
        step("pad_action", target_dim=4),
    ]
    made = mixture(source(pieces, transforms=steps), horizons={"action": CHUNK}, keys=["action"])
    assert made[2]["action"].tolist() == [[1, 2, 36, 0], [2, 4, 39, 0], [2, 4, 39, 0]]


def test_workers_get_the_steps_with_what_they_know(arm: ArrayDataset) -> None:
    steps = [RELATIVE, step("range", key="action", entries=["gripper"], **{"from": [30, 66], "to": [1, -1]})]
    made = mixture(source(arm, transforms=steps), horizons={"action": CHUNK})
    assert torch.equal(pickle.loads(pickle.dumps(made))[2]["action"], made[2]["action"])


def test_a_padded_action_stays_zero_where_it_is_padding(arm: ArrayDataset) -> None:
    steps = [step("pad_action", target_dim=5), step("delta_action", reference="state")]
    made = mixture(source(arm, transforms=steps), horizons={"action": CHUNK})
    assert not made[0]["action"][:, 3:].any()


def test_entries_pair_by_name_by_index_or_as_told(arm: ArrayDataset) -> None:
    unnamed = ArrayDataset({key: arm.column(key) for key in ("action", "observation.state")}, LENGTHS)
    by_index = mixture(source(unnamed, transforms=[step("delta_action", reference="state", entries=[1])]))
    assert by_index[0]["action"].tolist() == [10, 20 - 18, 30]
    told = step("delta_action", reference="state", entries=[0, 1], state_entries=[2, 1])
    assert mixture(source(unnamed, transforms=[told]))[0]["action"].tolist() == [1, 2, 30]
    masked = step("delta_action", reference="state", entries=[True, False, True])
    assert mixture(source(arm, transforms=[masked]))[0]["action"].tolist() == [1, 20, 3]


vectors = st.integers(1, 4).flatmap(
    lambda width: st.tuples(st.just(width), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**31))
)


@settings(max_examples=60, deadline=None)
@given(vectors, st.sampled_from(["previous", "state", "each_state"]), st.booleans())
def test_differences_and_their_inverse_give_the_action_back(shape: tuple, reference: str, chunked: bool) -> None:
    width, n, steps, seed = shape
    rng = torch.Generator().manual_seed(seed)
    action = torch.randn((n, steps, width) if chunked else (n, width), generator=rng)
    of_each = chunked and reference == "each_state"
    sample = {
        "action": action,
        "observation.state": torch.randn((n, steps, width) if of_each else (n, width), generator=rng),
        "action.previous": torch.randn((n, width), generator=rng),
        "task": ["x"] * n,
    }
    there = built("delta_action", width, width, reference=reference)
    relative = there(sample)
    assert relative["action"].dtype == torch.float32
    torch.testing.assert_close(there.inverse()(relative)["action"], action, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(there.inverse().inverse()(sample)["action"], relative["action"])


def test_steps_summed_up_from_the_last_action_are_the_chunk_again(arm: ArrayDataset) -> None:
    there = step("delta_action", reference="previous", absolute=["gripper"])
    one = source(arm, transforms=[there])
    chunk = mixture(one, horizons={"action": CHUNK})[1]["action"]
    back = one.transforms[0].inverse()
    given_back = back({"action": chunk[None], "action.previous": torch.from_numpy(arm.column("action")[:1])})
    assert np.array_equal(given_back["action"][0], arm.column("action")[[1, 2, 3]])


def test_statistics_of_steps_are_over_frames_and_of_relative_chunks_over_chunks(arm: ArrayDataset) -> None:
    previous = mixture(source(arm, transforms=[step("delta_action", reference="previous")]), horizons={"action": CHUNK})
    stats = mixture_stats(previous)["global"]["action"]
    np.testing.assert_allclose(stats["mean"], np.array([5, 10, 15]) / 7)
    assert stats["count"].tolist() == [7]

    relative = mixture(source(arm, transforms=[RELATIVE], drop=1), horizons={"action": CHUNK})
    stats = mixture_stats(relative)["global"]["action"]
    # Of x, chunks from frames 0, 1, 2 | 0, 1, as far as the episode goes; the last frame of each starts none.
    seen = np.array([1, 2, 3, 1, 2, 3, 1, 2, 1, 2, 3, 1, 2], dtype=np.float64)
    assert stats["count"].tolist() == [len(seen)]
    np.testing.assert_allclose(stats["mean"][:2], [seen.mean(), 2 * seen.mean()])
    np.testing.assert_allclose(stats["std"][0], seen.std())
    np.testing.assert_allclose(stats["q10"][0], np.quantile(seen, 0.1))


def test_what_is_joined_of_relative_entries_has_statistics_over_chunks(arm: ArrayDataset) -> None:
    steps = [
        RELATIVE,
        step("select", key="action", names=["gripper"], to="hand"),
        step("select", key="action", names=["x"], to="arm"),
        step("concat", to="both", **{"from": ["hand", "arm"]}),
    ]
    one = source(arm, transforms=steps)
    assert one.relative == {"action", "both"}
    stats = mixture_stats(mixture(one, horizons={"both": CHUNK}))["global"]["both"]
    assert (stats["max"].tolist(), stats["count"].tolist()) == ([66, 3], [15])


def test_statistics_of_relative_chunks_are_kept_apart_by_horizon_and_dropped_frames(arm: ArrayDataset) -> None:
    def largest(horizon: Sequence[int], drop: int = 0) -> list[float]:
        made = mixture(source(arm, transforms=[RELATIVE], drop=drop), horizons={"action": horizon})
        stats = mixture_stats(made)["global"]["action"]
        return [float(stats["max"][0]), int(stats["count"][0])]

    assert largest((0, 1)) == [2, 12]
    assert largest((0, 1, 2)) == [3, 15]
    assert largest((0, 1), drop=2) == [2, 6]


def test_statistics_of_relative_chunks_come_in_blocks(arm: ArrayDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mixture(source(arm, transforms=[RELATIVE]), horizons={"action": CHUNK})
    whole = mixture_stats(made)["global"]["action"]
    monkeypatch.setattr("robomix.statistics.sources.load_summaries", lambda key: None)
    monkeypatch.setattr("robomix.statistics.sources.save_summaries", lambda key, summaries: None)
    monkeypatch.setattr("robomix.statistics.sources._BLOCK_ROWS", 7)
    in_blocks = mixture_stats(made)["global"]["action"]
    for name, value in whole.items():
        np.testing.assert_allclose(in_blocks[name], value, rtol=1e-6)


def test_of_very_many_chunks_evenly_spaced_ones_are_taken(arm: ArrayDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robomix.statistics.sources._MAX_STEPS", 12)  # of 7 chunks of 3, so every second counts
    stats = mixture_stats(mixture(source(arm, transforms=[RELATIVE]), horizons={"action": CHUNK}))["global"]["action"]
    assert stats["count"].tolist() == [3 + 2 + 3 + 1]


def test_nan_in_a_relative_chunk_is_named_by_the_frame_it_is_in(arm: ArrayDataset) -> None:
    arm._columns["action"][5, 0] = np.nan
    made = mixture(source(arm, transforms=[RELATIVE]), horizons={"action": CHUNK})
    with pytest.raises(FormatError, match="'action' is NaN or infinite in episode 1, frame 1"):
        mixture_stats(made)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"reference": "state", "entries": ["z"]}, "'action' has no entry named 'z'. Its entries: x, y, gripper"),
        ({"reference": "state", "state": "observation.stat"}, "Did you mean 'observation.state'"),
        ({"reference": "state", "entries": [True]}, "has 3 entries, and the mask of them 1"),
        ({"reference": "state", "state_entries": [0]}, "state_entries are 1, but 3 entries of 'action' are relative"),
        ({"reference": "previous", "absolute": NAMES}, "no entry of 'action' is left"),
    ],
)
def test_differences_that_cannot_be_taken_are_refused(arm: ArrayDataset, kwargs: dict, message: str) -> None:
    with pytest.raises(AlignmentError, match=rf"source 'a', transforms\[0\] \(delta_action\): .*{message}"):
        source(arm, transforms=[step("delta_action", **kwargs)])


def test_an_entry_without_counterpart_in_the_state_is_refused() -> None:
    data = ArrayDataset({"action": np.zeros((3, 3)), "observation.state": np.zeros((3, 2))}, [3])
    with pytest.raises(
        AlignmentError, match=r"entry 2 of 'action' has no counterpart in 'observation.state', which has 2"
    ):
        source(data, transforms=[step("delta_action", reference="state")])


def test_sums_over_a_dataset_are_refused_with_another_way(arm: ArrayDataset) -> None:
    with pytest.raises(AlignmentError, match="reference: each_state"):
        source(arm, transforms=[step("absolute_action", reference="previous")])


def test_ranges_polarity_and_limits_change_only_their_entries(arm: ArrayDataset) -> None:
    steps = [
        step("range", key="action", entries=["gripper"], **{"from": [30, 66], "to": [1, -1]}),
        step("clip", key="action", entries=["x"], low=11, high=20),
        step("invert", key="action", entries=["gripper"], low=-1, high=1),
    ]
    batch = mixture(source(arm, transforms=steps)).__getitems__(range(7))["action"]
    assert batch[:, 0].tolist() == [11, 11, 12, 13, 20, 20, 20]
    assert batch[:, 1].tolist() == arm.column("action")[:, 1].tolist()
    np.testing.assert_allclose(batch[:, 2], (arm.column("action")[:, 2] - 30) / 18 - 1, atol=1e-6)


def test_a_range_leaves_padding_zero(arm: ArrayDataset) -> None:
    steps = [step("pad_action", target_dim=4), step("range", key="action", **{"from": [0, 1], "to": [5, 6]})]
    assert mixture(source(arm, transforms=steps))[0]["action"].tolist() == [15, 25, 35, 0]


def test_binary_grippers_of_any_number_type() -> None:
    data = ArrayDataset({"open": np.array([0, 40, 41, 100], dtype=np.int64)}, [4])
    steps = [step("binarize", key="open", threshold=40, low=-1, high=1)]
    one = source(data, transforms=steps)
    assert one.features["open"].dtype == "float32"
    assert mixture(one).__getitems__(range(4))["open"].tolist() == [-1, -1, 1, 1]
    assert torch.isnan(
        built("binarize", key="action", threshold=0.5)({"action": torch.full((1, 3), torch.nan)})["action"]
    ).all()


EXACT = [
    ("range", {"from": [0, 1], "to": [-1, 1]}),
    ("range", {"from": [0.08, 0], "to": [0, 255], "entries": [0]}),
    ("invert", {"low": -1, "high": 1}),
    ("degrees_to_radians", {"entries": [0, 2]}),
    ("radians_to_degrees", {}),
]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(EXACT), st.integers(0, 2**31), st.booleans())
def test_maps_of_numbers_are_undone_by_their_inverse(which: tuple, seed: int, chunked: bool) -> None:
    kind, kwargs = which
    there = built(kind, key="action", **kwargs)
    shape = (2, 5, 3) if chunked else (2, 3)
    action = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    made = there({"action": action})["action"]
    assert made.dtype == torch.float32
    torch.testing.assert_close(there.inverse()({"action": made})["action"], action, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "kwargs"), [("binarize", {"threshold": 0.5}), ("clip", {"low": -1, "high": 0.5})])
def test_what_a_lossy_step_put_out_is_given_back_by_its_inverse_and_put_out_again(kind: str, kwargs: dict) -> None:
    there = built(kind, key="action", **kwargs)
    made = there({"action": torch.linspace(-3, 3, 9).reshape(3, 3)})
    assert torch.equal(there(there.inverse()(made))["action"], made["action"])


def test_degrees_are_radians_as_numpy_has_them() -> None:
    made = built("degrees_to_radians", key="action", entries=[1])({"action": torch.tensor([[90.0, 180.0, -45.0]])})
    np.testing.assert_allclose(made["action"], [[90, np.pi, -45]], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("delta_action", {"reference": "last"}, "found 'last', expected previous, state, each_state"),
        ("delta_action", {"reference": "states"}, "Did you mean 'state'"),
        ("range", {"key": "action", "from": [0, 0], "to": [0, 1]}, "two different numbers, found 0 twice"),
        ("range", {"key": "action", "from": [0], "to": [0, 1]}, "from must be two numbers"),
        ("range", {"key": "action", "from": [0, "1"], "to": [0, 1]}, "from must be a number, found '1'"),
        ("binarize", {"key": "action", "threshold": True}, "threshold must be a number"),
        ("clip", {"key": "action"}, "low, high or both"),
        ("clip", {"key": "action", "low": 2, "high": 1}, "low must not be above high"),
        ("invert", {"key": "action", "entries": "gripper"}, "entries must be a list of indices or names"),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(kind: str, kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_transform(kind, kwargs, "source 'a', transforms[0]")


def test_steps_without_an_inverse_say_so() -> None:
    with pytest.raises(ConfigError, match="DatasetTransformStep says nothing of its inverse"):
        DatasetTransformStep().inverse()
    with pytest.raises(ConfigError, match="do not lie on both sides of its threshold 5"):
        build_transform("binarize", {"key": "action", "threshold": 5}, "here").inverse()

"""Features made of others: values, windows, names, padding, and what is said where it does not work."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature
from robomix.mixture.source import Source
from robomix.mixture.transforms import (
    DatasetTransformStep,
    Sample,
    Window,
    Windows,
    build_transform,
    register_dataset_transform,
)
from robomix.mixture.transforms.windows import covered, covering, narrowed, pick
from tests.memory import ArrayDataset, mixture, source

LENGTHS = [4, 3]


@pytest.fixture
def arm() -> ArrayDataset:
    """An arm whose action and state come in pieces, as many recordings have them."""
    rng = np.random.default_rng(0)
    n = sum(LENGTHS)
    columns = {
        "action.joints": rng.normal(size=(n, 3)),
        "action.gripper": rng.integers(0, 2, size=(n, 1)),
        "state.joints": rng.normal(size=(n, 3)),
        "state.width": rng.normal(size=n),
        "observation.images.top": rng.integers(0, 256, (n, 3, 4, 6), dtype=np.uint8),
    }
    return ArrayDataset(columns, LENGTHS, names={"action.joints": ["j0", "j1", "j2"]})


def step(kind: str, **kwargs: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs}


JOIN_ACTION = step("concat", to="action", **{"from": ["action.joints", "action.gripper"]})
JOIN_STATE = step("concat", to="observation.state", **{"from": ["state.joints", "state.width"]})


def joined_action(data: ArrayDataset) -> np.ndarray:
    return np.concatenate([data.column("action.joints"), data.column("action.gripper")], 1).astype(np.float32)


def test_a_joined_action_has_the_window_of_action_and_its_mask(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[JOIN_ACTION]), horizons={"action": (0, 1, 2)})
    sample = made[2]  # frame 2 of an episode of 4
    assert sample["action"].dtype == torch.float32
    assert np.array_equal(sample["action"], joined_action(arm)[[2, 3, 3]])
    assert sample["action_is_pad"].tolist() == [False, False, True]
    assert "action.joints" not in sample


def test_single_numbers_join_as_vectors_of_one(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[JOIN_STATE]), horizons={"observation.state": (-1, 0)})
    expected = np.concatenate([arm.column("state.joints"), arm.column("state.width")[:, None]], 1).astype(np.float32)
    assert np.array_equal(made[5]["observation.state"], expected[[4, 5]])
    assert np.array_equal(made[0]["observation.state"], expected[[0, 0]])


def test_joined_entries_keep_their_names_and_get_names_from_their_feature(arm: ArrayDataset) -> None:
    one = source(arm, transforms=[JOIN_ACTION, JOIN_STATE])
    assert one.features["action"].names == ("j0", "j1", "j2", "action.gripper")
    assert one.features["observation.state"].names == (
        "state.joints.0",
        "state.joints.1",
        "state.joints.2",
        "state.width",
    )


def test_equal_names_of_two_arms_are_told_apart_by_their_feature() -> None:
    both = ArrayDataset(
        {"left": np.zeros((3, 2)), "right": np.zeros((3, 2)), "gripper": np.zeros((3, 1))},
        [3],
        names={"left": ["x", "y"], "right": ["x", "y"]},
    )
    one = source(both, transforms=[step("concat", to="action", **{"from": ["left", "right", "gripper"]})])
    assert one.features["action"].names == ("left.x", "left.y", "right.x", "right.y", "gripper")


def test_inputs_that_are_kept_have_their_own_window(arm: ArrayDataset) -> None:
    kept = step("concat", to="action", drop=False, **{"from": ["action.joints", "action.gripper"]})
    made = mixture(source(arm, transforms=[kept]), horizons={"action": (0, 1), "action.gripper": (-1, 0)})
    sample = made[1]
    assert np.array_equal(sample["action"], joined_action(arm)[[1, 2]])
    assert np.array_equal(sample["action.gripper"], arm.column("action.gripper")[[0, 1]])
    assert np.array_equal(sample["action.joints"], arm.column("action.joints")[1].astype(np.float32))


def test_padding_is_left_behind_when_joining(arm: ArrayDataset) -> None:
    steps = [
        step("select", key="action.joints", indices=[0, 1], to="action"),
        step("pad_action", target_dim=5),
        step("concat", to="both", **{"from": ["action", "action.gripper"]}),
    ]
    one = source(arm, transforms=steps)
    assert one.features["both"].shape == (3,)
    assert one.features["both"].names == ("j0", "j1", "action.gripper")
    made = mixture(one)[1]
    expected = [*arm.column("action.joints")[1, :2], arm.column("action.gripper")[1, 0]]
    np.testing.assert_allclose(made["both"], np.float32(expected), rtol=1e-6)


def test_joining_then_padding_masks_what_is_behind_the_joined_entries(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[JOIN_ACTION, step("pad_action", target_dim=6)]))
    assert made[0]["action_dim_is_pad"].tolist() == [False] * 4 + [True] * 2


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        ({"indices": [2, 0]}, [2, 0], ("j2", "j0")),
        ({"names": ["j1", "j0"]}, [1, 0], ("j1", "j0")),
        ({"start": 1}, [1, 2], ("j1", "j2")),
        ({"start": 0, "stop": 2}, [0, 1], ("j0", "j1")),
    ],
)
def test_entries_are_selected_in_the_order_given(
    arm: ArrayDataset, choice: dict, expected: list[int], names: tuple[str, ...]
) -> None:
    one = source(arm, transforms=[step("select", key="action.joints", to="action", **choice)])
    made = mixture(one, horizons={"action": (0, 1)})
    assert np.array_equal(made[0]["action"], arm.column("action.joints")[:2, expected].astype(np.float32))
    assert one.features["action"].names == names
    assert "action.joints" in made[0]


def test_selecting_in_place_replaces_the_vector(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[step("select", key="action.joints", names=["j2"])]))
    assert np.array_equal(made[3]["action.joints"], arm.column("action.joints")[3, 2:].astype(np.float32))


def test_kept_features_are_all_there_is_and_nothing_else_is_read(arm: ArrayDataset) -> None:
    one = source(arm, transforms=[JOIN_ACTION, step("keep", keys=["action"])])
    assert list(one.features) == ["action"]
    part = one.begin(np.arange(2), {}, ["action"])
    assert set(part.values) == {"action.joints", "action.gripper"}
    assert part.jobs == []


def test_what_is_joined_is_not_read_when_samples_do_not_keep_it(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[JOIN_ACTION, JOIN_STATE])).only(["observation.state"])
    assert set(made.sources[0].begin(np.arange(2), {}, ["observation.state"]).values) == {"state.joints", "state.width"}
    assert "action" not in made[0]


@register_dataset_transform("tests_speed")
class Speed(DatasetTransformStep):
    """A step of a user's own with a window of its own: `speed` is the change of the state since the frame before."""

    batched = True

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        return dict(features) | {"observation.speed": features["observation.state"]}

    def windows(self, after: Windows) -> dict[str, Window]:
        before = {key: window for key, window in after.items() if key != "observation.speed"}
        return covered(before, {"observation.state": (-1, 0)})

    def in_windows(self, sample: Sample, before: Windows, after: Windows) -> Sample:
        state = pick(sample["observation.state"], before["observation.state"], (-1, 0))
        return narrowed(sample, before, after) | {"observation.speed": state[:, 1] - state[:, 0]}


def test_windows_go_backwards_through_several_steps(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[JOIN_STATE, step("tests_speed")]))
    state = made.__getitems__([4, 5, 6])["observation.state"]
    speed = made.__getitems__([4, 5, 6])["observation.speed"]
    assert state.shape == (3, 4)
    np.testing.assert_allclose(speed, [np.zeros(4), state[1] - state[0], state[2] - state[1]])


def test_windows_are_joined_and_narrowed_again() -> None:
    assert covering(None, None) is None
    assert covering(None, (-1, 0)) == (-1, 0)
    assert covering((0, 2), (-1, 2)) == (-1, 0, 2)
    values = torch.arange(6).reshape(2, 3, 1)
    assert pick(values, (-1, 0, 2), (2, -1)).tolist() == [[[2], [0]], [[5], [3]]]
    assert pick(values, (-1, 0, 2), None).tolist() == [[1], [4]]


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            step("concat", to="action", **{"from": ["action.joint"]}),
            "no 'action.joint' to join. Did you mean 'action.joi",
        ),
        (step("concat", to="x", **{"from": ["observation.images.top"]}), "is camera of shape .3, 4, 6.; to join it"),
        (step("concat", to="state.width", **{"from": ["action.joints"]}), "there is a 'state.width' already"),
        (
            step("select", key="action.joints", names=["j22"]),
            "no entry named 'j22'. Did you mean 'j2'. Its entries: j0, j1",
        ),
        (step("select", key="action.joints", indices=[3]), "no entry 3, only 3; they are counted from 0 to 2"),
        (step("select", key="state.joints", names=["j0"]), "has no names for its 3 entries, so none is 'j0'"),
        (step("select", key="action.joints", start=1, stop=4), "has 3 entries; from 1 to before 4"),
        (step("select", key="state.width", indices=[0]), "is a single number"),
        (step("keep", keys=["action.jonts"]), "Did you mean 'action.joints'"),
    ],
)
def test_what_cannot_be_made_is_refused_by_source_and_step(arm: ArrayDataset, transform: dict, message: str) -> None:
    with pytest.raises(AlignmentError, match=rf"source 'a', transforms\[0\] \({transform['type']}\): .*{message}"):
        source(arm, transforms=[transform])


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("concat", {"to": "action"}, r"takes \(to: str, from: .*missing a required argument: 'from'"),
        ("concat", {"to": "action", "from": []}, "from must be a list of features' names, found "),
        ("concat", {"to": "action", "from": ["a", "a"]}, "names a feature twice"),
        ("concat", {"to": "action", "from": ["a"], "drop": 1}, "drop must be true or false, found 1"),
        ("select", {"key": "action"}, "in one way"),
        ("select", {"key": "action", "indices": [0], "names": ["x"]}, "in one way"),
        ("select", {"key": "action", "indices": ["x"]}, "`names` takes names"),
        ("select", {"key": "action", "indices": [-1]}, "-1 is negative; count from 0"),
        ("select", {"key": "action", "indices": [1, 1]}, "1 is in it twice"),
        ("select", {"key": "action", "start": -2}, "start must be a whole number from 0"),
        ("keep", {"keys": "action"}, "keys must be a list of features' names"),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(kind: str, kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=f"source 'a', transforms.*{message}"):
        build_transform(kind, kwargs, "source 'a', transforms[0]")


def test_the_recorded_pieces_of_a_real_robot_join(real_data: Path) -> None:
    from robomix.formats import open_dataset

    data = open_dataset(real_data / "franka_v21")
    steps = (
        step("concat", to="observation.state", **{"from": ["state.joints", "state.gripper_width"]}),
        step("concat", to="action", **{"from": ["action.joints", "action.gripper_close"]}),
        step("keep", keys=["observation.state", "action"]),
    )
    one: Source = source(data, transforms=steps)
    batch = mixture(one, horizons={"action": range(20)}).__getitems__([0, 390])
    assert batch["action"].shape == (2, 20, 8)
    assert batch["observation.state"].shape == (2, 13)
    assert np.array_equal(batch["action"][1, -1, :7], data.column("action.joints")[-1].astype(np.float32))
    assert batch["action_is_pad"][1].tolist() == [False] * 8 + [True] * 12

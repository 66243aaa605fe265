"""A robot as it runs: what it sees is what the samples of its dataset hold, and what it is told to do is its own."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from robomix import DatasetTransformStep, Feature, register_dataset_transform
from robomix.errors import AlignmentError
from robomix.mixture.live import LiveSource
from robomix.mixture.source import Source
from robomix.mixture.transforms.windows import covered, narrowed, pick
from tests.memory import ArrayDataset, mixture, source

LENGTHS = [6, 5]
CHUNK = 3


@register_dataset_transform("state_change")
class StateChange(DatasetTransformStep):
    """Adds how the state has changed since two frames before."""

    batched = True

    def features(self, features: Any) -> dict[str, Feature]:
        return dict(features) | {"observation.change": features["observation.state"]}

    def windows(self, after: Any) -> dict[str, Any]:
        before = {key: window for key, window in after.items() if key != "observation.change"}
        return covered(before, {"observation.state": (-2, 0)})

    def in_windows(self, sample: Any, before: Any, after: Any) -> Any:
        state = pick(sample["observation.state"], before["observation.state"], (-2, 0))
        return narrowed(sample, before, after) | {"observation.change": state[:, 1] - state[:, 0]}

    def inverse(self) -> None:
        return None


def arm(seed: int = 0) -> ArrayDataset:
    rng = np.random.default_rng(seed)
    total = sum(LENGTHS)
    return ArrayDataset(
        {
            "state": rng.normal(size=(total, 3)).astype(np.float32),
            "action.joints": rng.normal(size=(total, 3)),
            "action.gripper": rng.random((total, 1)).astype(np.float32),
            "camera": rng.integers(0, 256, (total, 3, 8, 6), dtype=np.uint8),
        },
        LENGTHS,
        tasks=["fold"],
    )


def joined(*more: dict[str, object]) -> dict[str, Any]:
    concat = {"type": "concat", "kwargs": {"to": "action", "from": ["action.joints", "action.gripper"]}}
    return {
        "feature_map": {"state": "observation.state", "camera": "observation.images.front"},
        "transforms": [concat, *more],
    }


def features_of(made: Source, *, but: str = "action") -> dict[str, Feature]:
    return {key: feature for key, feature in made.features.items() if key != but}


def frame(dataset: ArrayDataset, row: int) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(dataset.column(key)[[row]]) for key in ("state", "camera")}


STEPS = [
    {"type": "resize_images", "kwargs": {"height": 4, "width": 4}},
    {"type": "range", "kwargs": {"key": "action", "entries": [3], "from": [0, 1], "to": [-1, 1]}},
    {"type": "state_change", "kwargs": {}},
    {"type": "delta_action", "kwargs": {"reference": "state", "entries": [0, 1, 2]}},
    {"type": "radians_to_degrees", "kwargs": {"key": "observation.state"}},
    {"type": "radians_to_degrees", "kwargs": {"key": "action", "entries": [0, 1, 2]}},
    {"type": "pad_action", "kwargs": {"target_dim": 7}},
]


@pytest.mark.parametrize("reference", ["state", "each_state"])
def test_an_episode_run_live_gives_the_samples_of_the_dataset_and_its_own_actions_back(reference: str) -> None:
    """The policy here is perfect: it predicts each chunk of the mixture's samples, and executes two of its actions."""
    steps = [dict(step, kwargs=dict(step["kwargs"])) for step in STEPS]
    steps[3]["kwargs"]["reference"] = reference
    dataset = arm()
    made = source(dataset, **joined(*steps))
    samples = mixture(made, horizons={"action": range(CHUNK)})
    live = LiveSource(made, features_of(made), n_action_steps=2)
    recorded = np.concatenate([dataset.column("action.joints"), dataset.column("action.gripper")], axis=1)
    row = 0
    for length in LENGTHS:
        live.reset()
        for t in range(length):
            seen = live.observe(frame(dataset, row + t), ["ignored, for the dataset has its own"])
            for key in ("observation.state", "observation.change", "observation.images.front"):
                torch.testing.assert_close(seen[key], samples[row + t][key][None], rtol=0, atol=0)
            assert seen["task"] == ["fold"]
            chunk = samples[row + t // 2 * 2]["action"]
            told = live.act(chunk[t % 2][None])
            np.testing.assert_allclose(told[0], recorded[row + t], atol=2e-6)
        row += length


def test_several_robots_run_at_once_each_with_its_own_past() -> None:
    dataset = arm()
    made = source(dataset, **joined({"type": "state_change", "kwargs": {}}))
    together, alone = LiveSource(made, features_of(made)), LiveSource(made, features_of(made))
    for t in range(4):
        both = {key: torch.cat([frame(dataset, t)[key], frame(dataset, 6 + t)[key]]) for key in ("state", "camera")}
        seen = together.observe(both)
        expected = alone.observe(frame(dataset, 6 + t))
        torch.testing.assert_close(seen["observation.change"][1:], expected["observation.change"])


def test_observations_are_as_wide_as_the_policy_takes_them_and_zero_where_the_robot_has_none() -> None:
    dataset = arm()
    made = source(dataset, **joined())
    wide = {
        "observation.state": Feature("numeric", "float32", (5,)),
        "observation.images.front": Feature("camera", "uint8", (3, 8, 6)),
        "observation.images.wrist": Feature("camera", "uint8", (3, 8, 6)),
    }
    seen = LiveSource(made, wide).observe(frame(dataset, 1))
    assert seen["observation.state"].tolist() == [[*dataset.column("state")[1].tolist(), 0, 0]]
    assert seen["observation.images.wrist"].dtype == torch.uint8
    assert not seen["observation.images.wrist"].any()


def test_the_instruction_of_the_mixture_file_is_what_the_policy_reads() -> None:
    made = source(arm(), lang="open the drawer", **joined())
    assert LiveSource(made, features_of(made)).observe(frame(arm(), 0), ["task of the simulator"])["task"] == [
        "open the drawer"
    ]


def test_of_a_dataset_with_several_tasks_the_robot_says_which() -> None:
    dataset = arm()
    dataset.tasks = ("fold", "unfold")
    made = source(dataset, **joined())
    assert LiveSource(made, features_of(made)).observe(frame(dataset, 0), ["unfold"])["task"] == ["unfold"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda seen: seen.pop("state"), "needs the observation 'state', as in memory, and is given camera"),
        (lambda seen: seen.update(state=torch.zeros(1, 4)), "has 'state' of shape (3,), and is given"),
        (lambda seen: seen.update(camera=torch.zeros(1, 3, 9, 9)), "has 'camera' of shape (3, 8, 6), and is given"),
    ],
)
def test_what_a_robot_does_not_show_is_named(change: Any, expected: str) -> None:
    made = source(arm(), **joined())
    live = LiveSource(made, features_of(made))
    seen = frame(arm(), 0)
    change(seen)
    with pytest.raises(AlignmentError) as error:
        live.observe(seen)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            {"type": "select", "kwargs": {"key": "action", "indices": [0, 2]}},
            "'action' cannot be undone: select has left",
        ),
        ({"type": "delta_action", "kwargs": {"reference": "previous"}}, "needs 'action.previous'"),
        (
            {"type": "binarize", "kwargs": {"key": "action", "threshold": 0.5, "low": 1, "high": 2}},
            "transforms[1] (binarize): binarize of 'action' has no inverse",
        ),
        ({"type": "tests.mixture.test_live:unfinished", "kwargs": {}}, "says nothing of its inverse"),
    ],
)
def test_steps_that_nothing_undoes_are_told_before_the_robot_moves(step: dict[str, Any], expected: str) -> None:
    made = source(arm(), **joined(step))
    with pytest.raises(AlignmentError) as error:
        LiveSource(made, features_of(made))
    assert expected in str(error.value)


POSE = ["x", "y", "z", "qx", "qy", "qz", "qw"]
IN_PLACE = [
    {"type": "select", "kwargs": {"key": "observation.state", "indices": [1, 0]}},
    {"type": "concat", "kwargs": {"to": "observation.state", "from": ["observation.state", "observation.extra"]}},
    {"type": "concat", "kwargs": {"to": "observation.state", "from": ["observation.extra", "observation.state"]}},
]


@pytest.mark.parametrize("step", IN_PLACE, ids=["select", "concat", "concat in front"])
def test_steps_that_only_change_observations_have_nothing_to_undo(step: dict[str, Any]) -> None:
    """In robomimic's files low-dimensional observations are joined into one of them, as often as not."""
    rng = np.random.default_rng(0)
    widths = {"observation.state": 3, "observation.extra": 5, "action": 2}
    dataset = ArrayDataset({key: rng.normal(size=(6, width)) for key, width in widths.items()}, [6])
    made = source(dataset, transforms=[step])
    live = LiveSource(made, features_of(made))
    seen = live.observe(
        {key: torch.from_numpy(dataset.column(key)[[2]]) for key in ("observation.state", "observation.extra")}
    )
    torch.testing.assert_close(seen["observation.state"], mixture(made)[2]["observation.state"][None], rtol=0, atol=0)
    assert live.act(torch.tensor([[1.0, 2.0]])).tolist() == [[1, 2]]


def test_poses_that_are_turned_into_another_form_and_made_relative_come_back() -> None:
    rng = np.random.default_rng(0)
    poses = np.concatenate([rng.normal(size=(12, 3)), Rotation.random(12, rng=rng).as_quat()], axis=1)
    columns = {"observation.state": poses[:6], "action": poses[6:]}
    dataset = ArrayDataset(columns, [6], names={"observation.state": POSE, "action": POSE})
    turned = {"entries": ["qx", "qy", "qz", "qw"], "from": "quaternion_xyzw", "to": "rot6d"}
    steps = [{"type": "rotation", "kwargs": {"key": key} | turned} for key in ("action", "observation.state")]
    steps.append({"type": "delta_action", "kwargs": {"reference": "state", "entries": ["x", "y", "z"]}})
    made = source(dataset, transforms=steps)
    live = LiveSource(made, features_of(made))
    samples = mixture(made, horizons={"action": range(1)})
    for row in range(6):
        seen = live.observe({"observation.state": torch.from_numpy(poses[[row]])})
        assert seen["observation.state"].shape == (1, 9)
        told = live.act(samples[row]["action"])[0].numpy()
        told[3:] *= np.sign(told[6]) * np.sign(poses[6 + row, 6])  # q and -q are one rotation
        np.testing.assert_allclose(told, poses[6 + row], atol=1e-5)


def test_an_observation_that_is_no_number_is_refused() -> None:
    made = source(arm(), **joined())
    live = LiveSource(made, features_of(made))
    seen = frame(arm(), 0)
    seen["state"][0, 1] = float("nan")
    with pytest.raises(AlignmentError, match="the observation 'state' is NaN or infinite"):
        live.observe(seen)


@register_dataset_transform("unfinished")
class Unfinished(DatasetTransformStep):
    """As a user writes a first step."""

    def __call__(self, sample: Any) -> Any:
        return sample


@register_dataset_transform("clairvoyant")
class Clairvoyant(StateChange):
    """Looks ahead, which no robot can."""

    def windows(self, after: Any) -> dict[str, Any]:
        return covered(super().windows(after), {"observation.state": (0, 1)})


def test_a_robot_without_actions_is_not_run() -> None:
    made = source(arm(), feature_map={"action.joints": None, "action.gripper": None})
    with pytest.raises(AlignmentError, match="has no 'action' that could be executed, only state, camera"):
        LiveSource(made, {})


def test_a_robot_acts_on_what_it_has_seen() -> None:
    made = source(arm(), **joined())
    with pytest.raises(AlignmentError, match="act was called before observe"):
        LiveSource(made, features_of(made)).act(torch.zeros(1, 4))


def test_steps_that_look_ahead_cannot_be_run_live() -> None:
    made = source(arm(), **joined({"type": "clairvoyant", "kwargs": {}}))
    with pytest.raises(AlignmentError, match="those after 0 have not happened yet"):
        LiveSource(made, features_of(made))


def test_entries_that_were_put_in_another_order_are_put_back() -> None:
    dataset = arm()
    reordered = {"type": "select", "kwargs": {"key": "action", "indices": [3, 0, 1, 2]}}
    made = source(dataset, **joined(reordered))
    live = LiveSource(made, features_of(made))
    live.observe(frame(dataset, 0))
    assert live.act(torch.tensor([[4.0, 1.0, 2.0, 3.0]])).tolist() == [[1, 2, 3, 4]]

"""What the expert saw and did is what the dataset holds, for robomix and for LeRobot."""

import json
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robomix.errors import ConfigError, RobomixError
from robomix.formats import open_dataset
from robomix.sim import Recording, demonstrate, open_robot, record
from robomix.sim.sawyer import SawyerRobot

VECTORS = ("observation.state", "observation.environment_state", "action")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Two demonstrations of a Fetch, without cameras."""
    with open_robot("fetch") as robot:
        return record(robot, tmp_path_factory.mktemp("demos") / "fetch", episodes=2, seed=20)


def test_a_frame_holds_what_the_expert_saw_when_it_chose_the_action(recording: Recording) -> None:
    """Replaying the recorded actions from the recorded seed shows, at each step, the recorded observation."""
    dataset = open_dataset(recording.path)
    with open_robot("fetch") as robot:
        for episode in range(2):
            rows = slice(*dataset.episodes.starts[episode : episode + 2])
            states, surroundings, actions = (dataset.column(key)[rows] for key in VECTORS)
            observation = robot.reset(20 + episode)
            expert = robot.expert()
            for state, surrounding, action in zip(states, surroundings, actions, strict=True):
                np.testing.assert_array_equal(observation["observation.state"], state)
                np.testing.assert_array_equal(observation["observation.environment_state"], surrounding)
                np.testing.assert_array_equal(next(expert), action)
                observation, solved = robot.step(action)
            assert solved


def test_the_dataset_says_what_was_recorded(recording: Recording) -> None:
    dataset = open_dataset(recording.path)
    assert (recording.episodes, recording.attempts) == (2, 2)
    assert recording.frames == dataset.num_frames == dataset.episodes.lengths.sum()
    assert (dataset.robot_type, dataset.fps) == ("fetch", 25)
    assert dataset.tasks == ("Move the block to the red target",)
    assert dataset.features["action"].names == ("gripper_dx", "gripper_dy", "gripper_dz", "fingers")


def test_lerobot_reads_the_dataset(recording: Recording) -> None:
    theirs = LeRobotDataset("local/fetch", root=recording.path)
    ours = open_dataset(recording.path)
    assert len(theirs) == recording.frames
    last = theirs[len(theirs) - 1]
    assert last["task"] == "Move the block to the red target"
    for key in VECTORS:
        np.testing.assert_array_equal(last[key].numpy(), ours.column(key)[-1])


def test_pictures_are_recorded_with_the_observation_they_belong_to(tmp_path: Path) -> None:
    key = "observation.images.corner2"
    with open_robot("sawyer", cameras=["corner2"], size=64) as robot:
        recording = record(robot, tmp_path / "sawyer", episodes=1, seed=5)
        demonstration = demonstrate(robot, 5)
    assert demonstration is not None
    dataset = open_dataset(recording.path)
    decoded = dataset.read_frames(key, np.arange(recording.frames))
    assert decoded.shape == demonstration[key].shape == (recording.frames, 3, 64, 64)
    drawn = demonstration[key].astype(int)
    error = np.abs(decoded - drawn).mean(axis=(1, 2, 3))
    late = np.abs(decoded[20:50] - drawn[10:40]).mean(axis=(1, 2, 3))  # against a picture of ten steps before
    assert error.max() < 8
    assert (error[20:50] < late).all()


def test_an_expert_that_fails_ends_the_recording_and_leaves_nothing(tmp_path: Path) -> None:
    class HurriedSawyer(SawyerRobot):
        """Gives up long before the puck could reach the goal."""

        max_steps = 10

    with HurriedSawyer() as robot, pytest.raises(RobomixError, match=r"solved 0 of 8 attempts \(seeds 3 to 10\)"):
        record(robot, tmp_path / "demos", episodes=2, seed=3)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_dataset_is_not_replaced_unless_asked(recording: Recording) -> None:
    info = json.loads((recording.path / "meta" / "info.json").read_text())
    with open_robot("fetch") as robot:
        with pytest.raises(ConfigError):
            record(robot, recording.path, episodes=1)
        assert json.loads((recording.path / "meta" / "info.json").read_text()) == info

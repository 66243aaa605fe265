"""Demonstrations of a trembling hand, and demonstrations as a robomimic file: what was executed is what is recorded."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from robomix.errors import ConfigError, RobomixError
from robomix.formats import Dataset, open_dataset
from robomix.sim import open_robot, record
from robomix.sim.fetch import FetchRobot
from robomix.sim.record import Recording, attempt, env_args_of

VECTORS = ("observation.state", "observation.environment_state", "action")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Three noisy demonstrations of a Fetch."""
    with open_robot("fetch") as robot:
        return record(robot, tmp_path_factory.mktemp("demos") / "noisy.hdf5", episodes=3, noise=0.3, seed=20)


def test_a_path_that_ends_with_hdf5_becomes_a_robomimic_file(noisy: Recording) -> None:
    dataset = open_dataset(noisy.path)
    assert dataset.format == "robomimic HDF5"
    assert (dataset.robot_type, dataset.fps, dataset.tasks) == ("fetch", 25, ("fetch",))
    assert (dataset.num_episodes, dataset.num_frames) == (noisy.episodes, noisy.frames)
    assert set(dataset.features) == {*VECTORS, "next.reward", "next.done"}
    with h5py.File(noisy.path) as file, open_robot("fetch") as robot:
        assert '"type": "robomix"' in file["data"].attrs["env_args"]
        assert env_args_of(robot) == {
            "env_name": "fetch", "type": "robomix", "env_kwargs": {"robots": ["fetch"], "control_freq": 25}
        }  # fmt: skip


def test_the_recorded_action_is_the_one_that_was_executed(noisy: Recording) -> None:
    """Replaying it shows, at each step, the recorded observation; the noise is not the expert's and within limits."""
    dataset = open_dataset(noisy.path)
    differences = []
    with open_robot("fetch") as robot:
        for states, surroundings, actions, rewards, seed in replayable(dataset, noisy):
            observation, expert = robot.reset(seed), robot.expert()
            for state, surrounding, action, reward in zip(states, surroundings, actions, rewards, strict=True):
                np.testing.assert_array_equal(observation["observation.state"], state)
                np.testing.assert_array_equal(observation["observation.environment_state"], surrounding)
                differences.append(action - next(expert))
                observation, solved = robot.step(action)
                assert reward == solved
    free = np.array(differences)[np.abs(dataset.column("action")) < 1]
    assert np.abs(dataset.column("action")).max() == 1
    assert 0.15 < free.std() < 0.35


def replayable(dataset: Dataset, recording: Recording) -> list[tuple[np.ndarray, ...]]:
    """Columns of each episode, and the seed it was recorded with: failed attempts took seeds too."""
    with open_robot("fetch") as robot:
        solved = [s for s in range(20, 20 + recording.attempts) if attempt(robot, s, noise=0.3).solved]
    keys = (*VECTORS, "next.reward")
    bounds = zip(dataset.episodes.starts, dataset.episodes.starts[1:], solved, strict=False)
    return [(*(dataset.column(key)[begin:end] for key in keys), seed) for begin, end, seed in bounds]


def test_rewards_and_dones_say_when_the_task_was_solved(noisy: Recording) -> None:
    dataset = open_dataset(noisy.path)
    for begin, end in zip(dataset.episodes.starts, dataset.episodes.starts[1:], strict=False):
        rewards, dones = (dataset.column(key)[begin:end] for key in ("next.reward", "next.done"))
        assert (rewards.dtype, dones.dtype) == (np.float32, bool)
        assert rewards.sum() == 6  # the moment of success, and five frames more
        assert rewards[-1] == 1
        np.testing.assert_array_equal(dones, rewards == 1)


def test_noise_is_a_function_of_the_seed(tmp_path: Path, noisy: Recording) -> None:
    with open_robot("fetch") as robot:
        again = record(robot, tmp_path / "again.hdf5", episodes=3, noise=0.3, seed=20)
        first, other = (attempt(robot, 20, noise=noise).frames["action"] for noise in (0.3, 0.0))
    one, two = open_dataset(noisy.path), open_dataset(again.path)
    for key in VECTORS:
        np.testing.assert_array_equal(one.column(key), two.column(key))
    np.testing.assert_array_equal(first, one.column("action")[: len(first)])
    assert np.abs(first[0] - other[0]).max() > 0.01


class ImpatientFetch(FetchRobot):
    """Gives up before most blocks are where they belong."""

    max_steps = 25


def test_failures_are_kept_where_they_are_asked_for_and_say_that_they_are(tmp_path: Path) -> None:
    with ImpatientFetch() as robot:
        with pytest.raises(RobomixError, match=r"solved 0 of 4 attempts .* Try less noise"):
            record(robot, tmp_path / "good.hdf5", episodes=1, noise=0.5, seed=3)
        recording = record(robot, tmp_path / "all.hdf5", episodes=2, noise=0.5, keep_failures=True, seed=3)
    assert (recording.attempts, recording.frames) == (2, 50)
    dataset = open_dataset(recording.path)
    assert not dataset.column("next.reward").any()
    assert np.flatnonzero(dataset.column("next.done")).tolist() == [24, 49]
    assert [path.name for path in tmp_path.iterdir()] == ["all.hdf5"]


def test_cameras_are_recorded_without_loss_and_named_in_env_args(tmp_path: Path) -> None:
    with open_robot("fetch", cameras=["external_camera_0"], size=32) as robot:
        recording = record(robot, tmp_path / "seen.hdf5", episodes=1, seed=5)
        drawn = attempt(robot, 5).frames["observation.images.external_camera_0"]
        assert env_args_of(robot)["env_kwargs"]["cameras"] == ["external_camera_0"]
    read = open_dataset(recording.path).read_frames("observation.images.external_camera_0", np.arange(len(drawn)))
    np.testing.assert_array_equal(read, drawn)


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_noise_must_be_a_standard_deviation(tmp_path: Path, noise: float) -> None:
    with open_robot("fetch") as robot, pytest.raises(ConfigError, match="expected a standard deviation"):
        record(robot, tmp_path / "a", episodes=1, noise=noise)
    assert list(tmp_path.iterdir()) == []

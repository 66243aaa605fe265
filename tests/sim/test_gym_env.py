"""A simulated robot as a gymnasium environment: what it shows, when it ends, and that a seed is an episode."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from robomix.errors import AlignmentError, ConfigError
from robomix.sim import open_robot
from robomix.sim.gym_env import SimulatedRobotEnv


@pytest.mark.filterwarnings("ignore:.*WARN")  # recommendations for learning by reward
def test_gymnasium_finds_nothing_wrong_with_it() -> None:
    env = SimulatedRobotEnv("pusht", cameras=["top"], size=32, episode_length=5)
    check_env(env, skip_render_check=True)  # it would close the environment and make another by its name
    env.close()


def test_it_shows_what_the_robot_sees_under_lerobots_names() -> None:
    env = SimulatedRobotEnv("sawyer", cameras=["corner2"], size=32)
    seen, info = env.reset(seed=7)
    with open_robot("sawyer", cameras=["corner2"], size=32) as robot:
        expected = robot.reset(7)
    assert info == {"is_success": False}
    assert seen.keys() == {"agent_pos", "environment_state", "pixels"}
    np.testing.assert_array_equal(seen["agent_pos"], expected["observation.state"])
    np.testing.assert_array_equal(seen["environment_state"], expected["observation.environment_state"])
    picture = expected["observation.images.corner2"].transpose(1, 2, 0)
    np.testing.assert_array_equal(seen["pixels"]["corner2"], picture)
    env.close()


def test_an_episode_ends_when_it_is_solved() -> None:
    env = SimulatedRobotEnv("fetch")
    env.reset(seed=3)
    outcomes = []
    for action in env.robot.expert():
        _, reward, terminated, truncated, info = env.step(action)
        outcomes.append((reward, terminated, truncated, info["is_success"]))
        if terminated or truncated:
            break
    assert len(outcomes) < env.robot.max_steps
    assert set(outcomes[:-1]) == {(0.0, False, False, False)}
    assert outcomes[-1] == (1.0, True, False, True)


def test_an_episode_ends_unsolved_at_its_limit_and_the_next_has_its_own() -> None:
    env = SimulatedRobotEnv("fetch", episode_length=3)
    for seed in (1, 2):
        env.reset(seed=seed)
        ends = [env.step(np.zeros(4))[2:4] for _ in range(3)]
        assert ends == [(False, False), (False, False), (False, True)]


@pytest.mark.parametrize("task", ["sawyer", "aloha", "fetch", "pusht"])
def test_a_seed_is_an_episode_and_no_seed_is_another_each_time(task: str) -> None:
    env = SimulatedRobotEnv(task)
    first, again, other = (env.reset(seed=seed)[0]["environment_state"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    env.reset(seed=5)
    followers = [env.reset()[0]["environment_state"] for _ in range(2)]
    assert not np.array_equal(*followers)
    env.reset(seed=5)
    np.testing.assert_array_equal(env.reset()[0]["environment_state"], followers[0])
    env.close()


def test_it_says_what_lerobot_asks_for() -> None:
    env = SimulatedRobotEnv("aloha")
    assert (env.task, env._max_episode_steps, env.metadata["render_fps"]) == ("aloha", 400, 50)
    assert env.task_description == "Pick up the cube with the right arm and transfer it to the left arm"
    other = SimulatedRobotEnv("aloha", episode_length=9, task_description="hand over")
    assert (other._max_episode_steps, other.task_description) == (9, "hand over")


def test_a_picture_for_videos_is_drawn_without_cameras_in_the_observation() -> None:
    env = SimulatedRobotEnv("pusht", render_size=48)
    seen, _ = env.reset(seed=1)
    with open_robot("pusht") as robot:
        robot.reset(1)
        expected = robot.picture("top", 48).transpose(1, 2, 0)
    assert "pixels" not in seen
    np.testing.assert_array_equal(env.render(), expected)
    env.close()


def test_a_wider_action_is_cut_and_a_narrower_or_endless_one_refused() -> None:
    env = SimulatedRobotEnv("fetch")
    env.reset(seed=2)
    cut = env.step(np.array([1, 0, 0, 0, 9, 9], dtype=np.float32))[0]["agent_pos"]
    env.reset(seed=2)
    np.testing.assert_array_equal(cut, env.step(np.array([1, 0, 0, 0]))[0]["agent_pos"])
    with pytest.raises(AlignmentError, match=r"'fetch' was given the action .* of shape \(3,\)"):
        env.step(np.zeros(3))
    with pytest.raises(AlignmentError, match="finite"):
        env.step(np.array([0, 0, 0, np.nan]))


def test_unknown_robots_and_cameras_are_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown robot 'sawer'.*Did you mean 'sawyer'"):
        SimulatedRobotEnv("sawer")
    with pytest.raises(ConfigError, match="no camera 'side'"):
        SimulatedRobotEnv("fetch", cameras=["side"])

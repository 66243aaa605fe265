"""Rollouts count what happened, on the episodes asked for, and film them."""

from pathlib import Path

import av
import numpy as np
import pytest

from robomix.sim import EVALUATION_SEED, Observation, open_robot, rollout
from robomix.sim.record import DEMONSTRATION_SEED
from tests.sim.expert_policy import ExpertPolicy


class Idle:
    """Never moves; counts the episodes it was told of and remembers their first observations."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.first: list[Observation] = []
        self._begins = False

    def reset(self) -> None:
        self._begins = True

    def __call__(self, observation: Observation) -> np.ndarray:
        if self._begins:
            self.first.append(observation)
            self._begins = False
        return np.zeros(self.dimensions)


def test_an_idle_policy_fails_every_episode() -> None:
    with open_robot("fetch") as robot:
        result = rollout(robot, Idle(4), episodes=3, seed=50, max_steps=6)
    assert (result.seeds, result.successes, result.steps) == ((50, 51, 52), (False, False, False), (6, 6, 6))
    assert (result.success_rate, str(result)) == (0.0, "fetch: 0/3 solved")


def test_a_policy_is_reset_and_shown_the_first_observation_of_each_episode() -> None:
    policy = Idle(4)
    with open_robot("fetch") as robot:
        rollout(robot, policy, episodes=2, seed=50, max_steps=2)
        expected = [robot.reset(50), robot.reset(51)]
    for seen, first in zip(policy.first, expected, strict=True):
        np.testing.assert_array_equal(seen["observation.environment_state"], first["observation.environment_state"])


def test_a_wider_action_is_cut_to_the_robots_own_entries() -> None:
    """A policy of several robots acts in the widest one's dimensions; its padding must not reach a narrower robot."""
    with open_robot("fetch") as robot:
        expert = ExpertPolicy(robot)

        class Wide:
            reset = staticmethod(expert.reset)

            def __call__(self, observation: Observation) -> np.ndarray:
                return np.append(expert(observation), np.full(10, 9.0))

        assert rollout(robot, Wide(), episodes=2, seed=3) == rollout(robot, expert, episodes=2, seed=3)


def test_evaluation_starts_far_from_the_seeds_of_demonstrations() -> None:
    assert EVALUATION_SEED - DEMONSTRATION_SEED >= 100_000


def test_the_first_episodes_are_filmed_in_real_time(tmp_path: Path) -> None:
    with open_robot("sawyer") as robot:
        result = rollout(robot, ExpertPolicy(robot), episodes=2, seed=9, video_folder=tmp_path, videos=1, video_size=64)
    assert result.successes == (True, True)
    assert [path.name for path in result.videos] == ["sawyer-9-solved.mp4"]
    assert list(tmp_path.iterdir()) == list(result.videos)
    with av.open(str(result.videos[0])) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (64, 64)
        seconds = float(stream.frames / stream.average_rate)
        assert 20 <= stream.average_rate <= 30  # of the robot's 80 steps in a second
    assert seconds == pytest.approx(result.steps[0] / robot.fps, abs=2 / float(stream.average_rate))


def test_filming_does_not_change_the_outcome(tmp_path: Path) -> None:
    with open_robot("fetch") as robot:
        plain = rollout(robot, ExpertPolicy(robot), episodes=1, seed=4)
        filmed = rollout(robot, ExpertPolicy(robot), episodes=1, seed=4, video_folder=tmp_path, video_size=64)
    assert (plain.successes, plain.steps) == (filmed.successes, filmed.steps)


def test_no_episodes_are_no_result() -> None:
    with open_robot("fetch") as robot, pytest.raises(ValueError, match="asked for 0 episodes"):
        rollout(robot, Idle(4), episodes=0)

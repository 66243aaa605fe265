"""Every robot keeps the contract of SimulatedRobot, and its expert solves its task."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robomix.errors import AlignmentError, ConfigError
from robomix.sim import ROBOTS, SimulatedRobot, open_robot

DIMENSIONS = {"sawyer": (4, 10, 4, 80), "aloha": (14, 7, 14, 50), "fetch": (8, 12, 4, 25), "pusht": (2, 16, 2, 10)}
"""State, environment, action, frames per second."""


@pytest.fixture(scope="module", params=list(ROBOTS))
def robot(request: pytest.FixtureRequest) -> Iterator[SimulatedRobot]:
    with open_robot(request.param) as robot:
        yield robot


def test_observations_have_the_declared_features(robot: SimulatedRobot) -> None:
    state, environment, action, fps = DIMENSIONS[robot.name]
    assert robot.fps == fps
    assert {key: feature.shape for key, feature in robot.features.items()} == {
        "observation.state": (state,),
        "observation.environment_state": (environment,),
        "action": (action,),
    }
    observation = robot.reset(0)
    assert {key: (value.shape, value.dtype) for key, value in observation.items()} == {
        "observation.state": ((state,), np.float32),
        "observation.environment_state": ((environment,), np.float32),
    }
    assert next(robot.expert()).shape == (action,)


def test_expert_solves_the_task(robot: SimulatedRobot) -> None:
    for seed in range(7, 8 if robot.name == "pusht" else 10):
        robot.reset(seed)
        steps = zip(range(robot.max_steps - 1), robot.expert(), strict=False)
        assert any(robot.step(action)[1] for _, action in steps)


def test_a_seed_gives_the_same_episode_whatever_came_before(robot: SimulatedRobot) -> None:
    first, actions = _play(robot, seed=3)
    other, _ = _play(robot, seed=4)
    again, _ = _play(robot, seed=3, actions=actions)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - other[0]).max() > 1e-3


def test_actions_the_robot_cannot_take_are_refused(robot: SimulatedRobot) -> None:
    robot.reset(0)
    takes = len(robot.action_names)
    for action in (np.zeros(takes + 1), np.zeros((1, takes)), np.full(takes, np.nan)):
        with pytest.raises(AlignmentError, match=f"{robot.name!r} was given the action .* it takes {takes} finite"):
            robot.step(action)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown robot 'fetsh'; robots are sawyer, .*Did you mean 'fetch'"):
        open_robot("fetsh")
    with pytest.raises(ConfigError, match=r"has no camera 'tpo'; it has top, angle, .*Did you mean 'top'"):
        open_robot("aloha", cameras=["tpo"])


def test_a_missing_simulator_is_named_with_its_remedy() -> None:
    """Checked in a process in which that simulator cannot be imported."""
    code = (
        "import sys; sys.modules['gym_aloha'] = None\n"
        "from robomix.errors import ConfigError\n"
        "from robomix.sim import open_robot\n"
        "try: open_robot('aloha')\n"
        "except ConfigError as error: print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'gym_aloha'" in printed
    assert "pip install 'robomix[sim]'" in printed


def _play(
    robot: SimulatedRobot, seed: int, actions: list[np.ndarray] | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """States and surroundings (16, S + E) over 15 steps of an episode, and the actions: the expert's first, if None."""
    frames = [robot.reset(seed)]
    if actions is None:
        expert = robot.expert()
        actions = [next(expert) for _ in range(15)]
    frames += [robot.step(action)[0] for action in actions]
    keys = ("observation.state", "observation.environment_state")
    return np.stack([np.concatenate([frame[key] for key in keys]) for frame in frames]), actions

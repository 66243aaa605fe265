"""The study of normalization: its robot in degrees is ALOHA in other numbers, and it runs from nothing to its table."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import gymnasium
import numpy as np
import pytest

from robomix.sim import ROBOTS, open_robot
from robomix.sim.registered_env import RegisteredEnv
from robomix.sim.robot import STATE
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def in_degrees() -> Iterator[ModuleType]:
    """The robot's module, whose robot is known in the tests of this file alone."""
    from benchmarks import aloha_in_degrees

    yield aloha_in_degrees
    del ROBOTS[aloha_in_degrees.NAME], gymnasium.registry[aloha_in_degrees.TASK]


def test_both_drivers_move_the_same_arms(in_degrees: ModuleType) -> None:
    with open_robot("aloha") as radians, open_robot(in_degrees.NAME) as degrees:
        radians.reset(3)
        degrees.reset(3)
        for _, command in zip(range(30), radians.expert(), strict=False):
            state = radians.step(command)[0][STATE]
            in_other_numbers = degrees.step(command * in_degrees.UNITS)[0][STATE]
    joints, grippers = [*range(6), *range(7, 13)], [6, 13]
    np.testing.assert_allclose(in_other_numbers[joints], np.rad2deg(state[joints]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(in_other_numbers[grippers], state[grippers], rtol=1e-4)


def test_its_expert_solves_the_environment_that_gymnasium_knows(in_degrees: ModuleType) -> None:
    env = RegisteredEnv(in_degrees.TASK, package=in_degrees.__name__)
    seen, _ = env.reset(seed=3)
    with open_robot(in_degrees.NAME) as robot:
        np.testing.assert_array_equal(seen["agent_pos"], robot.reset(3)[STATE])
        assert any(env.step(action)[4]["is_success"] for _, action in zip(range(300), robot.expert(), strict=False))
    assert env.metadata["render_fps"] == 50
    env.close()


def test_the_study_records_trains_evaluates_and_compares() -> None:
    little = ["--seeds", "7", "--steps=1", "--demonstrations=1", "--rollouts=1"]
    command = [sys.executable, "-m", "benchmarks.normalization", *little]
    environment = {**os.environ, "COLUMNS": "120"}
    finished = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    summary = finished.stdout[finished.stdout.index("Solved of 1 episodes") :]
    for robot in ("aloha", "aloha_in_degrees"):
        assert re.search(rf"│ {robot} +│ +[01]: +\d+% │ +[01]: +\d+% │", summary), summary
    assert "1 demonstrations of each robot, 1 steps, training seeds 7" in summary

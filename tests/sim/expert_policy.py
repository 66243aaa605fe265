"""The scripted expert of a robot, as the policy that `rollout` drives it with."""

from collections.abc import Iterator

import numpy as np

from robomix.sim import Observation, SimulatedRobot


class ExpertPolicy:
    """Knows the simulator's true state, and ignores what it is shown."""

    def __init__(self, robot: SimulatedRobot) -> None:
        self._robot = robot
        self._actions: Iterator[np.ndarray] = iter(())

    def reset(self) -> None:
        self._actions = self._robot.expert()

    def __call__(self, observation: Observation) -> np.ndarray:
        return next(self._actions)

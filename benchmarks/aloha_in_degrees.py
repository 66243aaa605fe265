"""ALOHA's two arms behind a driver that speaks degrees: the same robot and task, other numbers.

Importing this module makes it known to robomix (`open_robot`) and to gymnasium, so that a mixture file can name it:
`env: {type: gym, task: AlohaInDegrees-v0, package: benchmarks.aloha_in_degrees}`.
"""

from collections.abc import Iterator

import gymnasium
import numpy as np

from robomix.sim import ROBOTS
from robomix.sim.gym_env import SimulatedRobotEnv
from robomix.sim.render import importing_without_gl

with importing_without_gl():
    from robomix.sim.aloha import AlohaRobot

NAME, TASK = "aloha_in_degrees", "AlohaInDegrees-v0"
UNITS = np.array([1.0 if name.endswith("gripper") else np.rad2deg(1.0) for name in AlohaRobot.action_names])
"""(14,) the driver's numbers for one of ALOHA's: degrees for a radian; grippers go from 0 to 1 in both."""


class AlohaInDegrees(AlohaRobot):
    name = NAME
    robot_type = NAME

    def expert(self) -> Iterator[np.ndarray]:
        for action in super().expert():
            yield (action * UNITS).astype(np.float32)

    def _step(self, action: np.ndarray) -> bool:
        return super()._step(action / UNITS)

    def _state(self) -> np.ndarray:
        return super()._state() * UNITS


def make_env(**_: object) -> SimulatedRobotEnv:
    """What `gymnasium.make` calls; its `render_mode` is the only one there is."""
    return SimulatedRobotEnv(NAME)


ROBOTS[NAME] = f"{__name__}:{AlohaInDegrees.__name__}"
gymnasium.register(TASK, entry_point=make_env, max_episode_steps=AlohaInDegrees.max_steps)

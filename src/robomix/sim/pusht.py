"""A disc that pushes a T-shaped block onto its outline: gym-pusht's PushT, solved by planning pushes.

The task of Chi et al. (Diffusion Policy, 2023), in a plane of 512 by 512 units: at 10 Hz the disc is given the
position to move to. Solved is when 95 % of the outline is covered.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

with warnings.catch_warnings():  # pygame imports a part of setuptools that warns of its end
    warnings.simplefilter("ignore")
    from gym_pusht.envs.pusht import PushTEnv

from robomix.sim.pusht_expert import PushPlanner
from robomix.sim.robot import SimulatedRobot


class PushTRobot(SimulatedRobot):
    name = "pusht"
    robot_type = "pusht"
    fps = 10
    task = "Push the T-shaped block onto the T-shaped target"
    max_steps = 300
    state_names = ("x", "y")
    environment_names = tuple(f"corner{i}_{axis}" for i in range(8) for axis in "xy")
    action_names = ("x", "y")
    action_limits = (0.0, 512.0)
    all_cameras = ("top",)

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        super().__init__(cameras, size)
        self._simulator = PushTEnv(obs_type="environment_state_agent_pos")
        self._planner = PushPlanner()

    def expert(self) -> Iterator[np.ndarray]:
        while True:
            agent = np.array(self._simulator.agent.position)
            block = np.array(self._simulator.block.position)
            yield from self._planner.next_push(agent, block, self._simulator.block.angle)

    def picture(self, camera: str, size: int | None = None) -> np.ndarray:
        self._simulator.observation_width = self._simulator.observation_height = size or self.size
        return np.ascontiguousarray(self._simulator._render().transpose(2, 0, 1))

    def close(self) -> None:
        self._simulator.close()

    def _reset(self, seed: int) -> None:
        self._observation, _ = self._simulator.reset(seed=seed)

    def _step(self, action: np.ndarray) -> bool:
        self._observation, _, _, _, outcome = self._simulator.step(action.clip(*self.action_limits))
        return bool(outcome["is_success"])

    def _state(self) -> np.ndarray:
        return np.asarray(self._observation["agent_pos"])

    def _environment(self) -> np.ndarray:
        return np.asarray(self._observation["environment_state"])

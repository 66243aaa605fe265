"""Two ALOHA arms, one of which picks up a cube and hands it to the other: gym-aloha's TransferCube.

The task of ALOHA (Zhao et al., 2023): 14 absolute targets at 50 Hz, six joints and a gripper (0 closed, 1 open) for
each arm, left arm first.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from dm_control.mujoco import Physics
from dm_control.rl.control import Environment
from gym_aloha.constants import ASSETS_DIR, DT, JOINTS
from gym_aloha.tasks.sim import BOX_POSE, TransferCubeTask
from gym_aloha.utils import sample_box_pose

from robomix.sim.aloha_expert import transfer_trajectory
from robomix.sim.robot import MujocoRobot

_CUBE_POSE = slice(16, 23)
"""Where the simulator's `qpos` keeps the cube's position and quaternion."""


class _TransferCube(TransferCubeTask):
    """gym-aloha's task without the three pictures of 640x480 it draws in every step."""

    def get_observation(self, physics: Physics) -> dict[str, np.ndarray]:
        return {}


class AlohaRobot(MujocoRobot):
    name = "aloha"
    robot_type = "aloha"
    fps = 50
    task = "Pick up the cube with the right arm and transfer it to the left arm"
    max_steps = 400
    state_names = tuple(JOINTS)
    environment_names = ("cube_x", "cube_y", "cube_z", "cube_qw", "cube_qx", "cube_qy", "cube_qz")
    action_names = tuple(JOINTS)
    all_cameras = ("top", "angle", "front_close", "left_wrist", "right_wrist", "left_pillar", "right_pillar")

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        super().__init__(cameras, size)
        self._physics = Physics.from_xml_path(str(ASSETS_DIR / "bimanual_viperx_transfer_cube.xml"))
        self._task = _TransferCube()
        self._simulator = Environment(self._physics, self._task, control_timestep=DT)
        self.model, self.data = self._physics.model.ptr, self._physics.data.ptr

    def expert(self) -> Iterator[np.ndarray]:
        trajectory = transfer_trajectory(self.model, cube=self._environment()[:3])
        yield from trajectory
        while True:
            yield trajectory[-1]

    def _reset(self, seed: int) -> None:
        BOX_POSE[0] = sample_box_pose(seed)  # the task reads this module-wide variable when it starts an episode
        self._simulator.reset()

    def _step(self, action: np.ndarray) -> bool:
        moment = self._simulator.step(action)
        return bool(moment.reward == self._task.max_reward)

    def _state(self) -> np.ndarray:
        return np.asarray(self._task.get_qpos(self._physics))

    def _environment(self) -> np.ndarray:
        return np.asarray(self.data.qpos[_CUBE_POSE])

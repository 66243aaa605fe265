"""A Fetch arm that carries a block to a target in the air or on the table: gymnasium-robotics' FetchPickAndPlace.

The environment (Plappert et al., 2018) moves the gripper by up to 5 cm a step in x, y, z at 25 Hz; the fourth action
opens (1) or closes (-1) the fingers.
"""

from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO

import mujoco
import numpy as np

from robomix.sim.robot import MujocoRobot

with redirect_stderr(StringIO()):  # importing it prints a notice about environments not used here
    from gymnasium_robotics.envs.fetch.pick_and_place import MujocoFetchPickAndPlaceEnv

_GAIN = 8.0
"""Action per metre of distance to go."""
_OPEN, _CLOSED = 1.0, -1.0
_HOVER = np.array([0.0, 0.0, 0.08])
_CLOSING_STEPS = 4


class FetchRobot(MujocoRobot):
    name = "fetch"
    robot_type = "fetch"
    fps = 25
    task = "Move the block to the red target"
    max_steps = 100
    state_names = (
        "gripper_x", "gripper_y", "gripper_z", "right_finger", "left_finger",
        "gripper_vx", "gripper_vy", "gripper_vz",
    )  # fmt: skip
    environment_names = (
        "block_x", "block_y", "block_z", "block_dx", "block_dy", "block_dz", "block_roll", "block_pitch", "block_yaw",
        "target_x", "target_y", "target_z",
    )  # fmt: skip
    action_names = ("gripper_dx", "gripper_dy", "gripper_dz", "fingers")
    action_limits = (-1.0, 1.0)
    all_cameras = ("external_camera_0",)

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        super().__init__(cameras, size)
        self._simulator = MujocoFetchPickAndPlaceEnv(reward_type="sparse")
        self.model, self.data = self._simulator.model, self._simulator.data
        cross = self.model.geom_bodyid == self.model.body("robot0:mocap").id
        self.model.geom_rgba[cross, 3] = 0  # a mark of the simulator's own, which no camera would see
        self._target_marker = self.model.site("target0")
        self._marker_origin = self.model.body(self._target_marker.bodyid[0]).pos.copy()

    def expert(self) -> Iterator[np.ndarray]:
        while _length(self._block + _HOVER - self._gripper) >= 0.015:
            yield _action(self._block + _HOVER - self._gripper, _OPEN)
        while _length(self._block - self._gripper) >= 0.01:
            yield _action(self._block - self._gripper, _OPEN)
        for _ in range(_CLOSING_STEPS):
            yield _action(np.zeros(3), _CLOSED)
        while True:
            yield _action(self._target - self._block, _CLOSED)

    @property
    def _gripper(self) -> np.ndarray:
        return self._observation[0:3]

    @property
    def _block(self) -> np.ndarray:
        return self._observation[3:6]

    def _reset(self, seed: int) -> None:
        observation, _ = self._simulator.reset(seed=seed)
        self._observation, self._target = observation["observation"], observation["desired_goal"]
        self._target_marker.pos = self._target - self._marker_origin
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _step(self, action: np.ndarray) -> bool:
        observation, _, _, _, outcome = self._simulator.step(action)
        self._observation = observation["observation"]
        return bool(outcome["is_success"])

    def _state(self) -> np.ndarray:
        fingers, velocity = self._observation[9:11], self._observation[20:23]
        return np.concatenate([self._gripper, fingers, velocity])

    def _environment(self) -> np.ndarray:
        block_from_gripper, block_angles = self._observation[6:9], self._observation[11:14]
        return np.concatenate([self._block, block_from_gripper, block_angles, self._target])


def _action(way: np.ndarray, fingers: float) -> np.ndarray:
    """The action (4,) that goes along `way` (3,), in metres, as fast as allowed."""
    return np.clip(np.append(_GAIN * way, fingers), -1, 1).astype(np.float32)


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))

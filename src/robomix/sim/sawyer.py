"""A Sawyer arm that pushes a puck to a goal: Meta-World's push-v3, moved by its own scripted expert.

Meta-World (Yu et al., 2019) moves the hand by small steps in x, y, z at 80 Hz; the fourth action closes the gripper.
"""

import warnings
from collections.abc import Iterator, Sequence

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
from metaworld.policies import SawyerPushV3Policy

from robomix.sim.robot import MujocoRobot

_PUCK_POSE = slice(4, 11)
_GOAL = slice(36, 39)
"""Where Meta-World's observation of 39 numbers keeps the puck's position and quaternion, and the goal."""


class SawyerRobot(MujocoRobot):
    name = "sawyer"
    robot_type = "sawyer"
    fps = 80
    task = "Push the puck to a goal"
    max_steps = 300
    state_names = ("hand_x", "hand_y", "hand_z", "gripper_opening")
    environment_names = (
        "puck_x", "puck_y", "puck_z", "puck_qx", "puck_qy", "puck_qz", "puck_qw", "goal_x", "goal_y", "goal_z",
    )  # fmt: skip
    action_names = ("hand_dx", "hand_dy", "hand_dz", "gripper_effort")
    action_limits = (-1.0, 1.0)
    all_cameras = ("corner2", "topview", "behindGripper", "gripperPOV")

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        super().__init__(cameras, size)
        self._simulator = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE["push-v3-goal-observable"]()
        self._simulator._freeze_rand_vec = False  # draw a new puck and goal at each reset, from the seed
        self._simulator.seeded_rand_vec = True
        self.model, self.data = self._simulator.model, self._simulator.data
        _aim_corner_camera(self.model)

    def expert(self) -> Iterator[np.ndarray]:
        policy = SawyerPushV3Policy()
        while True:
            with warnings.catch_warnings():  # it warns whenever it asks for more than the limit below
                warnings.simplefilter("ignore")
                action = policy.get_action(self._observation)
            yield np.clip(action, *self.action_limits).astype(np.float32)

    def _reset(self, seed: int) -> None:
        self._simulator.seed(seed)
        self._observation, _ = self._simulator.reset()
        # The simulator moves the goal's marker after it has placed everything; this places the marker too.
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _step(self, action: np.ndarray) -> bool:
        self._observation, _, _, _, outcome = self._simulator.step(np.clip(action, *self.action_limits))
        return bool(outcome["success"])

    def _state(self) -> np.ndarray:
        return self._observation[:4]

    def _environment(self) -> np.ndarray:
        return np.concatenate([self._observation[_PUCK_POSE], self._observation[_GOAL]])


def _aim_corner_camera(model: mujoco.MjModel) -> None:
    """Move `corner2` nearer and turn it upright, as LeRobot's Meta-World environment does by flipping its picture."""
    camera = model.camera("corner2").id
    model.cam_pos[camera] = [0.75, 0.075, 0.7]
    half_turn = np.array([0.0, 0.0, 0.0, 1.0])
    mujoco.mju_mulQuat(model.cam_quat[camera], model.cam_quat[camera].copy(), half_turn)

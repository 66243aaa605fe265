"""The script that transfers the cube: waypoints for both hands, turned into joint angles and smoothly joined.

The right hand comes down on the cube at 60 degrees, grips it, and carries it to a meeting point, where the left hand
comes to it, rolled by a quarter turn so that the fingers cross; it grips, the right hand lets go, and both draw back.
Something moves at every moment, so that the next action can be told from what is seen, without a clock: a policy
without memory, trained on demonstrations in which both hands wait, waits forever in about half of its episodes. Joint
angles come from damped least squares (Wampler, 1986) on the position and orientation of the fingertips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np
from gym_aloha.constants import START_ARM_POSE

Side = Literal["left", "right"]

_FIRST_JOINT: dict[Side, int] = {"left": 0, "right": 8}
"""Position of an arm's six joints in `qpos` and among the degrees of freedom; two finger joints follow each arm."""
_FIRST_ACTION: dict[Side, int] = {"left": 0, "right": 7}
_ARM_JOINTS = 6
_STEPS = 240
_OPEN, _CLOSED = 1.0, 0.0
_MEETING = np.array([0.0, 0.5, 0.25])
"""Where a cube in the middle (y = 0.5) changes hands; one to the side does so half as far to that side."""
_FINGERTIP = np.array([0.135, 0.0, 0.0])
"""The point between the fingertips, in metres from the gripper link."""
_DAMPING, _LARGEST_TURN = 1e-4, 0.2
_RADIANS_IN_METRES = 0.3
"""How much an orientation error counts against a position error."""


@dataclass(frozen=True)
class Waypoint:
    step: int
    """When to be there; the motion starts at rest at step 0."""
    position: np.ndarray
    """(3,) of the fingertips, metres in the world."""
    orientation: np.ndarray
    """(4,) quaternion of the gripper link, w first."""
    gripper: float


def transfer_trajectory(model: mujoco.MjModel, cube: np.ndarray) -> np.ndarray:
    """Actions (240, 14) float32 that hand the cube, lying at `cube` (3,), from the right arm to the left."""
    right_home, left_home = np.array([0.0, 0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 0.0])
    reaching_down = _turned(right_home, axis=(0, 1, 0), degrees=60)
    rolled = _turned(left_home, axis=(1, 0, 0), degrees=90)
    meeting = _MEETING + [0, (cube[1] - _MEETING[1]) / 2, 0]
    right = [
        Waypoint(60, cube + [0, 0, 0.08], reaching_down, _OPEN),
        Waypoint(85, cube + [0, 0, -0.005], reaching_down, _OPEN),
        Waypoint(100, cube + [0, 0, -0.005], reaching_down, _CLOSED),
        Waypoint(130, meeting + [0.06, 0, 0], right_home, _CLOSED),
        Waypoint(150, meeting, right_home, _CLOSED),
        Waypoint(195, meeting, right_home, _CLOSED),
        Waypoint(210, meeting, right_home, _OPEN),
        Waypoint(240, meeting + [0.1, 0, 0], right_home, _OPEN),
    ]
    left = [
        Waypoint(130, meeting + [-0.12, 0, 0], rolled, _OPEN),
        Waypoint(175, meeting + [0.005, 0, 0], rolled, _OPEN),
        Waypoint(195, meeting + [0.005, 0, 0], rolled, _CLOSED),
        Waypoint(210, meeting + [0.005, 0, 0], rolled, _CLOSED),
        Waypoint(240, meeting + [-0.1, 0, 0], rolled, _CLOSED),
    ]
    arms = [_arm_trajectory(model, "left", left), _arm_trajectory(model, "right", right)]
    return np.concatenate(arms, axis=1).astype(np.float32)


def _arm_trajectory(model: mujoco.MjModel, side: Side, waypoints: Sequence[Waypoint]) -> np.ndarray:
    """(240, 7) joint targets and gripper of one arm, through `waypoints` with zero speed at each."""
    first = _FIRST_JOINT[side]
    joints = np.array(START_ARM_POSE[first : first + _ARM_JOINTS], dtype=np.float64)
    steps, poses = [0], [np.append(joints, _CLOSED)]
    for waypoint in waypoints:
        joints = solve_arm(model, side, joints, waypoint.position, waypoint.orientation)
        steps.append(waypoint.step)
        poses.append(np.append(joints, waypoint.gripper))
    return _smoothly_joined(np.array(steps), np.array(poses))


def _smoothly_joined(steps: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """(240, D): `poses` (n, D), reached at `steps` (n,), joined by cubics 3 u^2 - 2 u^3 that rest at both ends."""
    times = np.arange(1, _STEPS + 1)
    segment = np.searchsorted(steps, times).clip(1, len(steps) - 1)
    begin, end = steps[segment - 1], steps[segment]
    u = ((times - begin) / (end - begin)).clip(0, 1)[:, None]
    blend = u * u * (3 - 2 * u)
    joined: np.ndarray = poses[segment - 1] * (1 - blend) + poses[segment] * blend
    return joined


def solve_arm(
    model: mujoco.MjModel, side: Side, start: np.ndarray, position: np.ndarray, orientation: np.ndarray
) -> np.ndarray:
    """Six joint angles that bring the fingertips of an arm to a pose, searched from the angles `start`.

    Stops within 0.1 mm and 0.01 rad, or after 100 iterations with what it has: close enough for waypoints.
    """
    data = mujoco.MjData(model)
    joints = slice(_FIRST_JOINT[side], _FIRST_JOINT[side] + _ARM_JOINTS)
    gripper = model.body(f"vx300s_{side}/gripper_link").id
    lower, upper = model.jnt_range[joints].T
    data.qpos[:16] = START_ARM_POSE
    data.qpos[joints] = start
    for _ in range(100):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        tip = data.xpos[gripper] + data.xmat[gripper].reshape(3, 3) @ _FINGERTIP
        shift, turn = position - tip, _rotation_between(data.xquat[gripper], orientation)
        if np.linalg.norm(shift) < 1e-4 and np.linalg.norm(turn) < 1e-2:
            break
        jacobian = _tip_jacobian(model, data, gripper, tip)[:, joints]
        error = np.concatenate([shift, _RADIANS_IN_METRES * turn])
        change = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + _DAMPING * np.eye(6), error)
        data.qpos[joints] += change.clip(-_LARGEST_TURN, _LARGEST_TURN)
        data.qpos[joints] = data.qpos[joints].clip(lower, upper)
    return data.qpos[joints].copy()


def _tip_jacobian(model: mujoco.MjModel, data: mujoco.MjData, body: int, point: np.ndarray) -> np.ndarray:
    """(6, nv): how `point` of `body` moves and, weighted, turns with each degree of freedom."""
    translation, rotation = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jac(model, data, translation, rotation, point, body)
    return np.concatenate([translation, _RADIANS_IN_METRES * rotation])


def _rotation_between(current: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(3,) rotation vector, in the world, that turns quaternion `current` into `wanted`."""
    inverse, difference, rotation = np.zeros(4), np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, current)
    mujoco.mju_mulQuat(difference, wanted, inverse)
    mujoco.mju_quat2Vel(rotation, difference, 1.0)
    return rotation


def _turned(orientation: np.ndarray, axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """`orientation` (quaternion) turned about one of its own axes."""
    turn, result = np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(turn, np.array(axis, dtype=np.float64), np.deg2rad(degrees))
    mujoco.mju_mulQuat(result, orientation, turn)
    return result

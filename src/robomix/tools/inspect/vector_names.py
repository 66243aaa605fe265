"""Where a dataset keeps what policies call `observation.state` and `action`: whole or in pieces, however called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robomix.features import ACTION
from robomix.tools.inspect.description import DatasetDescription, FeatureDescription

STATE = "observation.state"
_OTHER_NAMES = {
    ACTION: ("actions", "joint_action", "joint_actions"),
    STATE: (
        "state", "observation.qpos", "qpos", "observation.proprio", "proprio", "observation.agent_pos", "agent_pos",
        "observation.robot_state", "robot_state",
    ),
}  # fmt: skip
"""Names under which a whole vector is found, best first."""
_PIECES = {ACTION: ("action.", "actions."), STATE: ("state.", "observation.state.", "observation.")}
"""Beginnings of the names of pieces."""
_RATES = {"vel", "velocity", "velocities", "qvel", "acc", "delta", "torque", "torques", "effort", "force", "cos", "sin"}
_JOINTS = {"joint", "joints", "qpos", "arm"}
_GRIPPER = {"gripper", "hand", "finger", "fingers"}
_SIDES = {"left", "right"}
_ROBOMIMIC = ("eef_pos", "eef_quat", "gripper_qpos")
"""What robomimic's own configs observe of a robot."""


@dataclass(frozen=True)
class VectorPlan:
    """How a vector of the mixture comes about."""

    key: str
    """`action` or `observation.state`."""
    parts: tuple[str, ...]
    """Features of the dataset that make it; a single one may be it already, or is renamed."""
    left: tuple[str, ...] = ()
    """Other pieces there are, which were not taken."""

    @property
    def is_joined(self) -> bool:
        return len(self.parts) > 1


def plan_vector(dataset: DatasetDescription, key: str) -> VectorPlan | None:
    """How `dataset` comes to have `key`, `action` or `observation.state`; None where that is not clear."""
    own = dataset.feature(key)
    if own is not None:
        is_vector = own.kind == "numeric" and len(own.shape) == 1
        return VectorPlan(key, (key,)) if is_vector and (key == ACTION or _is_number(own)) else None
    numbers = {f.key: f for f in dataset.features if _is_number(f)}
    whole = next((name for name in _OTHER_NAMES[key] if name in numbers and len(numbers[name].shape) == 1), None)
    if whole is not None:
        return VectorPlan(key, (whole,))
    pieces = [f for name, f in numbers.items() if name.startswith(_PIECES[key])]
    taken = _choose(pieces) or ([piece.key for piece in pieces] if key == ACTION else [])
    left = tuple(piece.key for piece in pieces if piece.key not in taken)
    return VectorPlan(key, tuple(taken), left) if taken else None


def _is_number(feature: FeatureDescription) -> bool:
    return feature.kind == "numeric" and np.dtype(feature.dtype).kind == "f" and len(feature.shape) < 2


def _choose(pieces: Sequence[FeatureDescription]) -> list[str]:
    """The pieces that make a whole: pose of the hand and gripper as robomimic has them, or joints and grippers."""
    pieces = list({re.split(r"[./]", piece.key)[-1]: piece for piece in reversed(pieces)}.values())[::-1]
    by_end = {end: [piece.key for piece in pieces if piece.key.endswith(f"_{end}")] for end in _ROBOMIMIC}
    if by_end["eef_pos"] and by_end["eef_quat"]:
        return [key for group in zip(*filter(None, by_end.values()), strict=False) for key in group]
    steady = [piece for piece in pieces if not _words(piece) & _RATES]
    grippers = _narrowest([piece for piece in steady if _words(piece) & _GRIPPER])
    joints = [p for p in steady if _words(p) & _JOINTS and not _words(p) & _GRIPPER]
    return [piece.key for piece in [*joints, *grippers]] if joints else []


def _narrowest(grippers: Sequence[FeatureDescription]) -> list[FeatureDescription]:
    """Of each side's grippers the one of fewest numbers: the others say the same in another way."""
    best: dict[frozenset[str], FeatureDescription] = {}
    for piece in grippers:
        side = frozenset(_words(piece) & _SIDES)
        if side not in best or _width(piece) < _width(best[side]):
            best[side] = piece
    return list(best.values())


def _width(feature: FeatureDescription) -> int:
    return feature.shape[0] if feature.shape else 1


def _words(feature: FeatureDescription) -> set[str]:
    return set(re.split(r"[._/]", feature.key.lower()))

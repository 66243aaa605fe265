"""In what units joints and grippers are, by the range of their values, and what actions mean.

The limits for joints are those by which Hugging Face sorted its community datasets before it converted them: angles in
radians stay below 3.5, LeRobot's normalized ones saturate at 100, and degrees go beyond.
"""

import re

import numpy as np

from robomix.tools.check.raw.profile import Profile, Values

_RADIANS, _DEGREES, _HUNDRED = 6.5, 30.0, 100.5
"""Largest angle in radians, least largest angle taken for degrees, and where normalized values end."""
_JOINT = re.compile(
    r"joint|shoulder|elbow|wrist|waist|hip|knee|ankle|motor|qpos|pan|lift|flex|_j\d|^j\d", re.IGNORECASE
)
_POSE = re.compile(r"^(x|y|z|roll|pitch|yaw|[rq][xyzw]|.*(eef|ee|tcp|pos_[xyz]|rot_[xyz]|quat).*)$", re.IGNORECASE)
_CHANGES = 0.2
"""Range of actions as a share of the state's, below which they look like changes of the state."""


def joints(values: Values) -> list[int]:
    """Entries that are joints by their names, grippers left out."""
    grippers = set(values.grippers())
    names = values.names or ()
    return [p for p, name in enumerate(names) if p not in grippers and _JOINT.search(name) and not _POSE.match(name)]


def is_pose(values: Values) -> bool:
    """Whether entries are positions or orientations in space by their names."""
    return bool(values.names) and any(_POSE.match(name) for name in values.names or ())


def angle_unit(values: Values, places: list[int]) -> str | None:
    """`radians`, `degrees` or `-100 to 100`, of the joints at `places`; None where that is not clear."""
    if not places or not (values.counts[places] > 0).all():
        return None
    reach = np.maximum(np.abs(values.low[places]), np.abs(values.high[places]))
    if reach.max() <= _RADIANS:
        return "radians" if reach.max() > 0.5 else None
    saturated = (reach > 99) & (reach <= _HUNDRED)
    if reach.max() <= _HUNDRED and saturated.sum() >= 2:
        return "-100 to 100"
    return "degrees" if _DEGREES < reach.max() <= 400 else None


def gripper_unit(values: Values, place: int) -> str | None:
    """`0 to 1`, `-1 to 1`, `0 to 100` or `metres`; None where that is not clear."""
    low, high = float(values.low[place]), float(values.high[place])
    if not np.isfinite([low, high]).all() or high <= low:
        return None
    if high <= 0.12 and low >= -0.12:
        return "metres"
    if 0.5 < high <= 1.05:
        return "0 to 1" if low >= -0.05 else "-1 to 1" if low >= -1.05 else None
    return "0 to 100" if 30 < high <= _HUNDRED and low >= -1 else None


def starts_open(values: Values, place: int) -> float | None:
    """Where in its range, 0 to 1, a gripper is at the start of the average episode; None where it never moves."""
    span = float(values.span[place])
    if not span or not values.episodes:
        return None
    return float((values.firsts[place] / values.episodes - values.low[place]) / span)


def meaning_of_actions(profile: Profile) -> str | None:
    """What actions are, next to a state of the same names; None where they cannot be compared, or nothing is clear."""
    best, lags = profile.lags.best(), profile.lags
    if lags.errors is None or best is None:
        return None
    for shift, meaning in ((0, "copies of the state"), (1, "the state of the next frame")):
        if lags.errors[int(np.flatnonzero(lags.shifts == shift)[0])].max() == 0:
            return meaning
    action, state = profile.values["action"], profile.values["observation.state"]
    moving = (state.span > 0) & (action.span > 0)
    if not moving.any():
        return None
    small = action.span[moving] < _CHANGES * state.span[moving]
    centred = np.abs(action.mean[moving]) < action.span[moving] / 2
    if small.all() and centred.all():
        return "changes of the state"
    return "positions to go to" if best[1] < 0.5 else None

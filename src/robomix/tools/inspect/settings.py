"""The keys of a suggested `dataset` block that are about all of its datasets, and why they are what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robomix.features import ACTION
from robomix.tools.inspect.description import CameraDescription, DatasetDescription
from robomix.tools.inspect.vector_names import STATE, VectorPlan, plan_vector

_BACKBONE_SIDE = 224
"""Pixels a side that pretrained backbones were made for: larger cameras are not brought below it for smaller ones."""
_NO_ROBOTS = (None, "", "unknown")
_SHOWN = 6


@dataclass(frozen=True)
class Setting:
    """One key of the `dataset` block."""

    key: str
    value: Any
    reasons: tuple[str, ...]


def mixture_settings(used: Sequence[DatasetDescription], actions: Mapping[str, VectorPlan | None]) -> list[Setting]:
    """The keys of the `dataset` block but for `datasets`."""
    size = common_size(used)
    union = ["a feature that a dataset lacks is zeros there, with a mask; intersection drops it from all"]
    union += [f"cameras differ in size: all are brought to {size[0]} x {size[1]}, which stretches some"] if size else []
    union += _padding(used, actions)
    alpha = "with weights of 1 every frame is drawn equally often; alpha: 0 draws every dataset equally often"
    settings = [Setting("features", "union", tuple(union)), Setting("alpha", 1.0, (alpha,))]
    settings.append(_normalization(used, actions))
    return settings + _rate(used)


def _padding(used: Sequence[DatasetDescription], actions: Mapping[str, VectorPlan | None]) -> list[str]:
    said = []
    for key in (STATE, ACTION):
        widths = {one.name: width for one in used if (width := _width(one, _plan(one, key, actions)))}
        if len(set(widths.values())) > 1:
            listing = ", ".join(f"{width} in {name}" for name, width in widths.items())
            said.append(f"{key} is {listing}: padded to {max(widths.values())} at the end, with a mask")
    return said


def _normalization(used: Sequence[DatasetDescription], actions: Mapping[str, VectorPlan | None]) -> Setting:
    """Who shares statistics: numbers of different robots mean different things."""
    robots = [_robot(one) for one in used]
    widths = [(_robot(one), _width(one, actions[one.name])) for one in used]
    named = {robot for robot in robots if robot is not None}
    is_one_robot = len(set(robots)) == 1 and None not in robots
    if any(len({width for robot, width in widths if robot == name}) > 1 for name in named):
        reason = "datasets of one robot have actions of different width: each is normalized by its own statistics"
        return Setting("normalize_by", "source", (reason,))
    if is_one_robot or len(used) < 2:
        return Setting("normalize_by", "global", ("one robot: all share statistics",))
    if not named or any(one.robot_type is not None and _robot(one) is None for one in used):
        reason = "which robots all of them are of is not said; where all are of one, global lets them share statistics"
        return Setting("normalize_by", "source", (reason,))
    reason = f"the robots differ ({listing_of(sorted(named))}): each has its own statistics"
    alone = listing_of([one.name for one in used if _robot(one) is None])
    alone = f"; so has each dataset that names none ({alone}), unless a `group` joins it to others" if alone else ""
    return Setting("normalize_by", "embodiment", (reason + alone,))


def _robot(one: DatasetDescription) -> str | None:
    """The robot a dataset names; LeRobot writes `unknown` for none, and would share statistics by that."""
    return None if one.robot_type in _NO_ROBOTS else one.robot_type


def _rate(used: Sequence[DatasetDescription]) -> list[Setting]:
    rates = {one.name: one.fps for one in used if one.fps is not None}
    if len(set(rates.values())) < 2:
        return []
    lowest = min(rates.values())
    listing = ", ".join(f"{fps:g} in {name}" for name, fps in rates.items())
    return [
        Setting(
            "rate",
            "native",
            (
                f"frames per second differ: {listing}. A chunk of 20 actions lasts {20 / max(rates.values()):.2g} to "
                f"{20 / lowest:.2g} s",
                f"rate: {lowest:g}, the lowest, makes them last equally long. Right for actions that are positions; "
                "where they are steps, `resample` of the dataset has to say which entries are differences",
            ),
        )
    ]


def _plan(one: DatasetDescription, key: str, actions: Mapping[str, VectorPlan | None]) -> VectorPlan | None:
    return actions[one.name] if key == ACTION else plan_vector(one, key)


def _width(one: DatasetDescription, plan: VectorPlan | None) -> int:
    """Entries of the vector that `plan` makes; 0 where there is none."""
    features = [one.feature(part) for part in plan.parts] if plan else []
    return sum(feature.shape[0] if feature.shape else 1 for feature in features if feature)


def common_size(datasets: Sequence[DatasetDescription]) -> tuple[int, int] | None:
    """(height, width) that all cameras are brought to; None where they have one size already."""
    cameras: list[CameraDescription] = [camera for one in datasets for camera in one.cameras]
    if len({(camera.height, camera.width) for camera in cameras}) < 2:
        return None
    sides = [[camera.height for camera in cameras], [camera.width for camera in cameras]]
    height, width = (max(min(side), min(_BACKBONE_SIDE, max(side))) for side in sides)
    return height, width


def listing_of(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

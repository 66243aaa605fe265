"""What robomimic's arrays are called here, and back: the one place that knows.

    actions                     action
    obs/robot0_eef_pos          observation.robot0_eef_pos      (nested groups are joined with ".")
    obs/agentview_image         observation.images.agentview    ((height, width, 3) of uint8)
    rewards, dones              next.reward, next.done
    states, actions_abs, ...    as they are

Features here are called as LeRobot's policies expect them.
"""

_NAMES = {"actions": "action", "rewards": "next.reward", "dones": "next.done"}
_ARRAYS = {key: name for name, key in _NAMES.items()}


def key_of(name: str, pictures: bool) -> str | None:
    """The feature that the array `name` of a demonstration is, with `/` between groups; None for `next_obs`."""
    top, _, rest = name.partition("/")
    if top == "next_obs":
        return None
    if top != "obs":
        return _NAMES.get(name, name.replace("/", "."))
    rest = rest.replace("/", ".")
    return f"observation.images.{rest.removesuffix('_image') or rest}" if pictures else f"observation.{rest}"


def array_of(key: str, pictures: bool) -> str:
    """The array that the feature `key` is written to. Where no name reads as `key`, the nearest: see `key_of`."""
    if pictures and key.startswith("observation.images."):
        return f"obs/{key.removeprefix('observation.images.')}_image"
    if key.startswith("observation."):
        return f"obs/{key.removeprefix('observation.')}"
    return _ARRAYS.get(key, key)

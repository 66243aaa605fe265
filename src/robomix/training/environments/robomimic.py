"""The environment that a robomimic file names in its `env_args`: `env_name`, `type` and `env_kwargs`.

Types are those of robomimic's `envs/env_base.py`: 1 is robosuite, 2 is gym, 3 iGibson (MOMART). Files that robomix
itself has recorded say "robomix".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from robomix.errors import ConfigError
from robomix.problems import report
from robomix.sim.robosuite_settings import VIEW
from robomix.training.environments.base import SimulationConfig
from robomix.training.environments.types import GymEnvConfig, RobosuiteEnvConfig, SimulatedRobotEnvConfig
from robomix.validation import fit

_NAMES = {1: "robosuite", 2: "gym", 3: "iGibson (MOMART)"}
_REMEDY = "Give the source an `env:` block with LeRobot's settings, such as {type: gym, task: ...}, or `eval: false`."


def environment_of(env_args: Mapping[str, Any] | None, *, cameras: Sequence[str] | None = None) -> SimulationConfig:
    """The environment that a dataset names (`Dataset.env_args`), as LeRobot makes it.

    `cameras` are those a policy sees, without `observation.images.`; None takes all it was recorded with. Raises
    ConfigError where no environment is named, or one that is not understood.
    """
    kind, name, kwargs = _parts(env_args)
    settings: dict[str, Any] = {"task": name}
    if kind == "robomix":
        shown = kwargs.get("cameras", []) if cameras is None else list(cameras)
        return _checked(SimulatedRobotEnvConfig, settings | {"cameras": shown, "size": kwargs.get("size", 96)})
    settings["env_kwargs"] = dict(kwargs)
    if kind == 1:
        shown = _recorded_cameras(kwargs) if cameras is None else list(cameras)
        return _checked(RobosuiteEnvConfig, settings | {"cameras": shown})
    if ":" in name:  # gymnasium would import what stands before it
        raise ConfigError(f"env_args call the environment {name!r}, which asks to import a module. {_REMEDY}")
    return _checked(GymEnvConfig, settings)


def _checked(cls: type[SimulationConfig], settings: dict[str, Any]) -> SimulationConfig:
    """The config of settings that come from a file, and so may be anything."""
    if problems := fit(cls, settings, ("env_args",)):
        raise report(problems)
    return cls(**settings)


def _parts(env_args: Mapping[str, Any] | None) -> tuple[int | str, str, Mapping[str, Any]]:
    """Type, name and settings, checked as far as the types go."""
    if env_args is None:
        raise ConfigError(f"there are no env_args, which would say what environment was recorded. {_REMEDY}")
    kind, name, kwargs = env_args.get("type"), env_args.get("env_name"), env_args.get("env_kwargs")
    if isinstance(kind, bool) or kind not in (1, 2, "robomix"):
        meaning = f", {_NAMES[kind]}" if isinstance(kind, int) and kind in _NAMES else ""
        raise ConfigError(
            f"env_args name the environment {name!r} of type {kind!r}{meaning}; evaluated can be type 1 "
            f"(robosuite), 2 (gym) and 'robomix'. {_REMEDY}"
        )
    if not isinstance(name, str) or not name:
        raise ConfigError(f"env_args give the env_name {name!r}, expected a text. {_REMEDY}")
    if not isinstance(kwargs, Mapping | None):
        raise ConfigError(f"env_args give the env_kwargs {kwargs!r}, expected an object. {_REMEDY}")
    return kind, name, kwargs or {}


def _recorded_cameras(kwargs: Mapping[str, Any]) -> Any:
    if not kwargs.get("use_camera_obs"):
        return []
    names = kwargs.get("camera_names", VIEW)
    return [names] if isinstance(names, str) else names

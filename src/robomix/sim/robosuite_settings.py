"""What robosuite is made with, given the `env_kwargs` of a robomimic file.

They are those of `robosuite.make` when the file was written, on another machine and maybe with another version: files
of robosuite up to 1.4 describe the controller of an arm, 1.5 has one for the whole robot with a part for each arm.
"""

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from robomix.errors import ConfigError

VIEW = "agentview"
"""The camera that every robosuite scene has."""
_SIZE = 256
"""robosuite's own, in pixels."""
_MACHINE = ("render_gpu_device_id",)
"""Settings of the machine the file was written on."""
_TWO_ARMED = ("Baxter",)
"""Robots of robosuite up to 1.4 that are one robot with two arms."""


def settings_of(env_kwargs: Mapping[str, Any], cameras: Sequence[str]) -> dict[str, Any]:
    """What robosuite is made with: the file's settings, drawing no more than what is asked for."""
    settings = {name: copy.deepcopy(value) for name, value in env_kwargs.items() if name not in _MACHINE}
    sizes = {name: _of_cameras(settings, name, cameras) for name in ("camera_heights", "camera_widths")}
    for name in ("camera_names", "camera_heights", "camera_widths"):
        settings.pop(name, None)
    if cameras:
        settings |= {"camera_names": list(cameras), **sizes}
    return {
        **settings,
        "controller_configs": _controllers(settings),
        "has_renderer": False,
        "has_offscreen_renderer": bool(cameras),
        "use_camera_obs": bool(cameras),
        "use_object_obs": True,
        "ignore_done": True,
        "camera_depths": False,
    }


def _of_cameras(settings: Mapping[str, Any], name: str, cameras: Sequence[str]) -> list[int]:
    """`camera_heights` or `camera_widths` of `cameras`, where the settings have one for all or one for each."""
    value, names = settings.get(name, _SIZE), settings.get("camera_names", VIEW)
    if not isinstance(value, list):
        return [value] * len(cameras)
    by_camera = dict(zip([names] if isinstance(names, str) else names, value, strict=False))
    missing = [camera for camera in cameras if camera not in by_camera]
    if missing:
        raise ConfigError(f"env_kwargs give {name} for {', '.join(by_camera)}, but the camera {missing[0]!r} is needed")
    return [by_camera[camera] for camera in cameras]


def _controllers(settings: Mapping[str, Any]) -> Any:
    """`controller_configs` as the installed robosuite takes them."""
    configs = settings.get("controller_configs")
    try:
        factory = importlib.import_module("robosuite.controllers.composite.composite_controller_factory")
    except ImportError:  # before 1.5
        return configs
    robots = settings.get("robots")
    names = [robots] if isinstance(robots, str) else list(robots or ())
    if isinstance(configs, list) and len(configs) == len(names):
        return [_whole_robot(config, name, factory) for config, name in zip(configs, names, strict=True)]
    return _whole_robot(configs, names[0], factory) if names else configs


def _whole_robot(config: Any, robot: str, factory: Any) -> Any:
    """A controller of an arm, as robosuite had them up to 1.4, as part of one for all of `robot`."""
    if not isinstance(config, dict) or "body_parts" in config:
        return config
    config = dict(config)
    if str(config.get("type", "")).startswith("OSC"):
        config.setdefault("input_ref_frame", "world")  # 1.5 would take actions in the frame of the robot's base
        config.setdefault("input_type", "delta" if config.get("control_delta", True) else "absolute")
    arms = ["right", "left"] if robot in _TWO_ARMED else ["right"]
    return factory.refactor_composite_controller_config(config, robot, arms)

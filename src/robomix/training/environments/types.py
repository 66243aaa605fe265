"""The types: the robots robomix simulates itself, those of robosuite, and whatever gymnasium knows by name."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from robomix.errors import ConfigError
from robomix.sim.evaluation_env import EvaluationEnv
from robomix.sim.gym_env import SimulatedRobotEnv
from robomix.sim.registered_env import RegisteredEnv, check_render_mode, registered
from robomix.sim.robosuite_env import (
    DEFAULT_CONTROL_FREQ,
    DEFAULT_EPISODE_LENGTH,
    RobosuiteEnv,
    check_known,
    import_robosuite,
)
from robomix.sim.robot import ACTION, ENVIRONMENT, STATE, camera_key
from robomix.sim.robots import ROBOTS, robot_class
from robomix.training.environments.base import SimulationConfig
from robomix.training.lerobot import EnvConfig, FeatureType, PolicyFeature


@EnvConfig.register_subclass("robomix")
@dataclass
class SimulatedRobotEnvConfig(SimulationConfig):
    """A robot that robomix simulates, with its one task. Its features, rate and limit are the robot's own.

    Raises ConfigError, when built, for an unknown robot or camera, another rate than the robot's, and where its
    simulator is not installed.
    """

    fps: int | None = None
    """Control steps per second. It is the robot's own, and need not be given."""
    cameras: list[str] = field(default_factory=list)
    """Cameras of the robot that the policy sees."""
    size: int = 96
    """Height and width of what it sees, in pixels."""
    render_size: int = 128
    """Height and width of videos, in pixels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        robot = robot_class(self.task)
        robot.check_cameras(self.cameras)
        if self.fps not in (None, robot.fps):
            raise ConfigError(f"fps: found {self.fps}, but robot {self.task!r} runs at {robot.fps}. Leave `fps` out.")
        self.fps = robot.fps
        self.episode_length = self.episode_length or robot.max_steps
        self.task_description = self.task_description or robot.task
        vectors = {
            ACTION: (ACTION, FeatureType.ACTION, robot.action_names),
            "agent_pos": (STATE, FeatureType.STATE, robot.state_names),
            "environment_state": (ENVIRONMENT, FeatureType.ENV, robot.environment_names),
        }
        self.features = {key: PolicyFeature(kind, (len(names),)) for key, (_, kind, names) in vectors.items()}
        self.features_map = {key: name for key, (name, _, _) in vectors.items()}
        for camera in self.cameras:
            shape = (self.size, self.size, 3)
            self.features[f"pixels/{camera}"] = PolicyFeature(FeatureType.VISUAL, shape)
            self.features_map[f"pixels/{camera}"] = camera_key(camera)

    def factory(self) -> Callable[[], EvaluationEnv]:
        return partial(
            SimulatedRobotEnv,
            self.task,
            tuple(self.cameras),
            self.size,
            render_size=self.render_size,
            episode_length=self.episode_length,
            task_description=self.task_description,
        )

    def check(self) -> None:
        robot_class(self.task)

    @classmethod
    def _task_is(cls) -> str:
        return f"a robot, one of {', '.join(ROBOTS)}"


@EnvConfig.register_subclass("robosuite")
@dataclass
class RobosuiteEnvConfig(SimulationConfig):
    """An environment of robosuite, or of a package that adds to it. Its features are known once it runs."""

    episode_length: int | None = DEFAULT_EPISODE_LENGTH
    """Steps after which an episode that is not solved has failed; robomimic calls it the rollout's horizon."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """What robosuite makes it with, as in a robomimic file: robots, controller_configs, control_freq, ..."""
    cameras: list[str] = field(default_factory=list)
    """Cameras that the policy sees, in the sizes that env_kwargs say."""
    render_size: int = 128
    """Height and width of videos, in pixels."""
    package: str | None = None
    """A module to import first, which adds `task` to robosuite, such as mimicgen."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rate = self.env_kwargs.get("control_freq", DEFAULT_CONTROL_FREQ)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 1 <= rate < math.inf:
            raise ConfigError(f"env_kwargs.control_freq: found {rate!r}, expected a rate in Hz, 1 or more")
        self.fps = round(rate)
        self.task_description = self.task_description or self.task
        self.episode_length = self.episode_length or DEFAULT_EPISODE_LENGTH

    def factory(self) -> Callable[[], EvaluationEnv]:
        return partial(
            RobosuiteEnv,
            self.task,
            self.env_kwargs,
            tuple(self.cameras),
            package=self.package,
            render_size=self.render_size,
            episode_length=self.episode_length,
            task_description=self.task_description,
        )

    def check(self) -> None:
        import_robosuite(self.package)
        check_known(self.task)

    @classmethod
    def _task_is(cls) -> str:
        return "an environment of robosuite, such as Lift"


@EnvConfig.register_subclass("gym")
@dataclass
class GymEnvConfig(SimulationConfig):
    """Any environment that gymnasium knows by name. Its features and rate are known once it runs."""

    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """What gymnasium makes it with."""
    package: str | None = None
    """A module to import first, which registers `task`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.task_description = self.task_description or self.task

    def factory(self) -> Callable[[], EvaluationEnv]:
        return partial(
            RegisteredEnv,
            self.task,
            self.env_kwargs,
            package=self.package,
            episode_length=self.episode_length,
            task_description=self.task_description,
        )

    def check(self) -> None:
        check_render_mode(self.task, self.env_kwargs)
        registered(self.task, self.package)

    @classmethod
    def _task_is(cls) -> str:
        return "the id of a registered environment, such as FetchPickAndPlace-v4"

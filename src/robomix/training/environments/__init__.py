"""Environments to evaluate policies in, as LeRobot's types: `--env.type=robomix`, `robosuite` or `gym`.

Importing this package makes them known to LeRobot, whose own commands find them with
`--env.discover_packages_path=robomix.training.environments`.
"""

from robomix.training.environments.base import SimulationConfig, check_environment
from robomix.training.environments.robomimic import environment_of
from robomix.training.environments.types import GymEnvConfig, RobosuiteEnvConfig, SimulatedRobotEnvConfig

__all__ = [
    "GymEnvConfig",
    "RobosuiteEnvConfig",
    "SimulatedRobotEnvConfig",
    "SimulationConfig",
    "check_environment",
    "environment_of",
]

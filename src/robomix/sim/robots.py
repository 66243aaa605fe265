"""The robots there are, by name. Their simulators are imported when a robot is opened, and not before."""

import importlib
from collections.abc import Sequence

from robomix.errors import ConfigError, did_you_mean
from robomix.sim.render import importing_without_gl
from robomix.sim.robot import SimulatedRobot

ROBOTS = {
    "sawyer": "robomix.sim.sawyer:SawyerRobot",
    "aloha": "robomix.sim.aloha:AlohaRobot",
    "fetch": "robomix.sim.fetch:FetchRobot",
    "pusht": "robomix.sim.pusht:PushTRobot",
}
"""Where each robot lives, as `module:class`."""


def open_robot(name: str, cameras: Sequence[str] = (), size: int = 96) -> SimulatedRobot:
    """The simulated robot called `name`, whose observations hold pictures of `cameras`, `size` pixels square.

    Use it in a `with` block or call its `close`. Raises ConfigError for an unknown robot or camera, and where the
    simulator is not installed.
    """
    return robot_class(name)(cameras, size)


def robot_class(name: str) -> type[SimulatedRobot]:
    """The class of the robot called `name`: what it sees and takes, without opening its simulator.

    Raises ConfigError for an unknown robot, and where the simulator is not installed.
    """
    if name not in ROBOTS:
        raise ConfigError(f"unknown robot {name!r}; robots are {', '.join(ROBOTS)}.{did_you_mean(name, ROBOTS)}")
    module_name, class_name = ROBOTS[name].split(":")
    try:
        with importing_without_gl():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        raise ConfigError(
            f"robot {name!r} needs the package {package!r}, which is not installed. "
            "Install the simulators with: pip install 'robomix[sim]'"
        ) from missing
    found: type[SimulatedRobot] = getattr(module, class_name)
    return found

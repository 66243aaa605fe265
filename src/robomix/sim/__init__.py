"""Simulated robots with scripted experts: demonstrations made on the spot.

with open_robot("fetch") as robot:
    record(robot, "demos/fetch", episodes=50)

Policies drive them through `robomix eval`, in the environment `{type: robomix, task: fetch}`.
"""

from robomix.sim.record import Recording, demonstrate, record
from robomix.sim.robot import Observation, SimulatedRobot
from robomix.sim.robots import ROBOTS, open_robot

__all__ = ["ROBOTS", "Observation", "Recording", "SimulatedRobot", "demonstrate", "open_robot", "record"]

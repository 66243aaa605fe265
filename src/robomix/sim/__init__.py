"""Simulated robots with scripted experts: demonstrations made on the spot, and closed-loop evaluation.

with open_robot("fetch") as robot:
    record(robot, "demos/fetch", episodes=50)
    print(rollout(robot, policy, episodes=20))
"""

from robomix.sim.record import Recording, demonstrate, record
from robomix.sim.robot import Observation, SimulatedRobot
from robomix.sim.robots import ROBOTS, open_robot
from robomix.sim.rollout import EVALUATION_SEED, Policy, RolloutResult, rollout

__all__ = [
    "EVALUATION_SEED",
    "ROBOTS",
    "Observation",
    "Policy",
    "Recording",
    "RolloutResult",
    "SimulatedRobot",
    "demonstrate",
    "open_robot",
    "record",
    "rollout",
]

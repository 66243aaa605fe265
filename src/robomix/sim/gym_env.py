"""A simulated robot of this house as a gymnasium environment, with LeRobot's names of what it sees."""

from collections.abc import Sequence

import gymnasium
import numpy as np

from robomix.sim.evaluation_env import EvaluationEnv, Moment, Observation, picture_space, vector_space
from robomix.sim.robot import ENVIRONMENT, STATE, camera_key
from robomix.sim.robot import Observation as RobotObservation
from robomix.sim.robots import open_robot


class SimulatedRobotEnv(EvaluationEnv):
    """The robot called `task` with its one task; a solved step is rewarded with 1.

    Observations have `agent_pos` (S,) and `environment_state` (E,), float32, and for the cameras asked for `pixels`,
    camera to (size, size, 3) uint8. Without cameras nothing is drawn but what `render` is asked for.
    """

    def __init__(
        self,
        task: str,
        cameras: Sequence[str] = (),
        size: int = 96,
        *,
        render_size: int = 128,
        episode_length: int | None = None,
        task_description: str | None = None,
    ) -> None:
        """`episode_length` and `task_description` default to the robot's own limit and sentence.

        Raises ConfigError for an unknown robot or camera, and where the simulator is not installed.
        """
        self.robot = open_robot(task, cameras, size)
        super().__init__(
            task=task,
            task_description=task_description or self.robot.task,
            fps=self.robot.fps,
            episode_length=episode_length or self.robot.max_steps,
        )
        self._render_size = render_size
        vectors = {"agent_pos": self.robot.state_names, "environment_state": self.robot.environment_names}
        spaces: dict[str, gymnasium.Space] = {key: vector_space((len(names),)) for key, names in vectors.items()}
        if cameras:
            spaces["pixels"] = gymnasium.spaces.Dict({camera: picture_space(size, size) for camera in cameras})
        self.observation_space = gymnasium.spaces.Dict(spaces)
        low, high = self.robot.action_limits
        self.action_space = gymnasium.spaces.Box(low, high, (len(self.robot.action_names),), np.float32)

    def render(self) -> np.ndarray:
        return self.robot.picture(self.robot.all_cameras[0], self._render_size).transpose(1, 2, 0)

    def close(self) -> None:
        self.robot.close()

    def _start(self, seed: int) -> Observation:
        return self._named(self.robot.reset(seed))

    def _advance(self, action: np.ndarray) -> Moment:
        observation, success = self.robot.step(action)
        return Moment(self._named(observation), float(success), success)

    def _named(self, seen: RobotObservation) -> Observation:
        observation: Observation = {"agent_pos": seen[STATE], "environment_state": seen[ENVIRONMENT]}
        if self.robot.cameras:
            pictures = {camera: seen[camera_key(camera)].transpose(1, 2, 0) for camera in self.robot.cameras}
            observation["pixels"] = pictures
        return observation

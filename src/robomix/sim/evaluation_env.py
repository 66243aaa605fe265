"""What a simulator needs so that LeRobot can evaluate a policy in it: one kind of gymnasium environment.

LeRobot's rollouts (lerobot 0.6.1, `scripts/lerobot_eval.py` and `envs/utils.py`) ask an environment for
`_max_episode_steps`, `task_description`, `task`, `metadata["render_fps"]`, `render()` and `info["is_success"]`. They
take observations as a dict: `agent_pos` and `environment_state`, `pixels` of (H, W, C) uint8, one or by camera, and
whatever else there is, which becomes `observation.<key>`.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from robomix.errors import AlignmentError

Observation = dict[str, Any]
"""Vectors float32, and `pixels`: (H, W, C) uint8, or a dict of them by camera."""


class Moment(NamedTuple):
    """What a step of a simulator brings."""

    observation: Observation
    reward: float
    success: bool
    """Whether the task is solved."""
    over: bool = False
    """Whether the episode cannot go on, for the simulator's own reasons."""


class EvaluationEnv(gymnasium.Env[Observation, np.ndarray], ABC):
    """One task in one simulator. An episode ends when it is solved, or after `episode_length` steps."""

    def __init__(self, *, task: str, task_description: str, fps: float, episode_length: int) -> None:
        """An environment that tables call `task`, stepped `fps` times per second of simulated time.

        `task_description` is what a policy that reads instructions is told to do.
        """
        self.task = task
        self.task_description = task_description
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        self.render_mode = "rgb_array"
        self._max_episode_steps = episode_length
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts the episode that `seed` (0 to 2**32 - 1) stands for, or without one the next of a random sequence."""
        super().reset(seed=seed)
        self._steps = 0
        start = int(self.np_random.integers(2**32)) if seed is None else seed
        return self._start(start), {"is_success": False}

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Applies `action`. One that is wider than this robot's is cut to its first entries: padding is at the end.

        Raises AlignmentError where `action` is narrower or not finite.
        """
        moment = self._advance(self._own_entries(action))
        self._steps += 1
        terminated = moment.success or moment.over
        truncated = not terminated and self._steps >= self._max_episode_steps
        return moment.observation, moment.reward, terminated, truncated, {"is_success": moment.success}

    @abstractmethod
    def render(self) -> np.ndarray:
        """The scene as a viewer sees it now: (H, W, 3) uint8."""

    @abstractmethod
    def _start(self, seed: int) -> Observation: ...

    @abstractmethod
    def _advance(self, action: np.ndarray) -> Moment: ...

    def _own_entries(self, action: np.ndarray) -> np.ndarray:
        action, shape = np.asarray(action, dtype=np.float32), self.action_space.shape or ()
        if len(shape) == 1 and action.ndim == 1:
            action = action[: shape[0]]
        if action.shape != shape or not np.isfinite(action).all():
            raise AlignmentError(
                f"environment {self.task!r} was given the action {action} of shape {action.shape}; "
                f"it takes {shape} of finite numbers"
            )
        return action


def vector_space(shape: tuple[int, ...]) -> gymnasium.spaces.Box:
    """The space of float32 numbers of that shape, without bounds."""
    return gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)


def picture_space(height: int, width: int, channels: int = 3) -> gymnasium.spaces.Box:
    """The space of uint8 pictures (H, W, C)."""
    return gymnasium.spaces.Box(0, 255, (height, width, channels), np.uint8)

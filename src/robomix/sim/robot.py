"""What every simulated robot offers: reset, step, an expert that knows the task, and pictures when asked for.

A robot here is a simulator with one task in it. Its observations are those of a LeRobot dataset, its actions are
what its controller takes, and its expert is a script that reads the simulator's true state. Nothing but `picture`
(and so an observation with cameras) draws anything: state-only work needs no graphics at all.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import ACTION, Feature
from robomix.sim.render import Renderer, open_renderer

STATE = "observation.state"
ENVIRONMENT = "observation.environment_state"

Observation = dict[str, np.ndarray]
"""`observation.state` (S,) float32, `observation.environment_state` (E,) float32, and for each camera asked for
`observation.images.<camera>` (3, H, W) uint8."""


class SimulatedRobot(ABC):
    """One robot with one task, stepped at its own rate."""

    name: ClassVar[str]
    robot_type: ClassVar[str]
    fps: ClassVar[int]
    task: ClassVar[str]
    """What to do, as a sentence; every demonstration carries it."""
    max_steps: ClassVar[int]
    """An episode that has not succeeded by then has failed."""
    state_names: ClassVar[tuple[str, ...]]
    environment_names: ClassVar[tuple[str, ...]]
    action_names: ClassVar[tuple[str, ...]]
    action_limits: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    """Lowest and highest value of every entry of an action that the controller takes; it cuts off what is beyond."""
    all_cameras: ClassVar[tuple[str, ...]]
    """Cameras the simulator has; the first is the one to watch."""

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        """`cameras` of `all_cameras` appear in observations as pictures of `size` by `size` pixels."""
        self.check_cameras(cameras)
        self.cameras = tuple(cameras)
        self.size = size

    @classmethod
    def check_cameras(cls, cameras: Sequence[str]) -> None:
        """Raise ConfigError for a camera the simulator does not have."""
        for camera in cameras:
            if camera not in cls.all_cameras:
                known = ", ".join(cls.all_cameras)
                hint = did_you_mean(camera, cls.all_cameras)
                raise ConfigError(f"robot {cls.name!r} has no camera {camera!r}; it has {known}.{hint}")

    @property
    def features(self) -> dict[str, Feature]:
        """What a dataset of this robot holds, by key."""
        vectors = {STATE: self.state_names, ENVIRONMENT: self.environment_names, ACTION: self.action_names}
        features = {key: Feature("numeric", "float32", (len(names),), names) for key, names in vectors.items()}
        shape = (3, self.size, self.size)
        pictures = {camera_key(name): Feature("camera", "uint8", shape, storage="video") for name in self.cameras}
        return features | pictures

    def reset(self, seed: int) -> Observation:
        """Start the episode that `seed` (0 to 2**32 - 1) stands for; the same seed always gives the same episode."""
        self._reset(seed)
        return self.observe()

    def step(self, action: np.ndarray) -> tuple[Observation, bool]:
        """Apply `action` (A,) for one period of `1 / fps` seconds: what is seen then, and whether the task is solved.

        Raises AlignmentError where `action` has another shape or is not finite.
        """
        action = np.asarray(action, dtype=np.float32)
        if action.shape != (len(self.action_names),) or not np.isfinite(action).all():
            raise AlignmentError(
                f"robot {self.name!r} was given the action {action} of shape {action.shape}; "
                f"it takes {len(self.action_names)} finite numbers: {', '.join(self.action_names)}"
            )
        success = self._step(action)
        return self.observe(), success

    def observe(self) -> Observation:
        """The observation of the present moment."""
        pictures = {camera_key(camera): self.picture(camera) for camera in self.cameras}
        vectors = {STATE: self._state(), ENVIRONMENT: self._environment()}
        return {key: np.asarray(value, dtype=np.float32) for key, value in vectors.items()} | pictures

    @abstractmethod
    def expert(self) -> Iterator[np.ndarray]:
        """Actions (A,) float32 that solve the episode just reset; each is chosen when it is asked for."""

    @abstractmethod
    def picture(self, camera: str, size: int | None = None) -> np.ndarray:
        """What `camera` sees now, (3, size, size) uint8; `size` defaults to that of the observations."""

    @abstractmethod
    def close(self) -> None:
        """Give the simulator's resources back; the robot cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def _reset(self, seed: int) -> None: ...

    @abstractmethod
    def _step(self, action: np.ndarray) -> bool:
        """Apply a checked float32 action; True while the task is solved."""

    @abstractmethod
    def _state(self) -> np.ndarray:
        """(S,) what the robot feels of itself."""

    @abstractmethod
    def _environment(self) -> np.ndarray:
        """(E,) where the objects and the goal are."""


class MujocoRobot(SimulatedRobot):
    """A robot simulated by MuJoCo. Its constructor sets `model` and `data` (mujoco's MjModel and MjData)."""

    model: Any
    data: Any

    def __init__(self, cameras: Sequence[str] = (), size: int = 96) -> None:
        super().__init__(cameras, size)
        self._renderers: dict[int, Renderer] = {}

    def picture(self, camera: str, size: int | None = None) -> np.ndarray:
        size = size or self.size
        if size not in self._renderers:
            self._renderers[size] = open_renderer(self.model, self.data, size)
        return self._renderers[size].render(camera)

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


def camera_key(camera: str) -> str:
    """The dataset's key for a camera of that name."""
    return f"observation.images.{camera}"

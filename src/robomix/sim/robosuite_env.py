"""robosuite's environments, made and seen as robomimic makes and sees them (its `envs/env_robosuite.py`).

Observations are what the robots feel (`robot0_eef_pos`, `robot0_gripper_qpos`, ...), `object` for what robosuite calls
`object-state`, and the cameras asked for, upright.
"""

import contextlib
import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from robomix.errors import ConfigError, did_you_mean
from robomix.sim.evaluation_env import EvaluationEnv, Moment, Observation, picture_space, vector_space
from robomix.sim.packages import import_package
from robomix.sim.render import Renderer, gl_backend, open_renderer, with_working_gl
from robomix.sim.robosuite_settings import VIEW, settings_of

DEFAULT_EPISODE_LENGTH = 400
"""robomimic's `experiment.rollout.horizon`."""
DEFAULT_CONTROL_FREQ = 20
"""robosuite's own, in Hz."""
_INSTALL = "pip install --no-deps robosuite==1.5.2 && pip install --no-deps numba llvmlite"
"""With its dependencies robosuite 1.5 asks for NumPy 1, which LeRobot does not run with."""
_HIDDEN_GROUP = 3
"""MuJoCo shows groups 0 to 2; robosuite keeps collision shapes in 0 and what is to be seen in 1."""


class RobosuiteEnv(EvaluationEnv):
    """The environment that robosuite calls `task`.

    Observations are vectors float32 by robomimic's names, and `pixels`: camera to (H, W, 3) uint8 for `cameras`, drawn
    by robosuite, so that they look as they do in datasets. Without cameras robosuite draws nothing, and `render` uses
    this house's renderer. Rewards are robosuite's, shaped if `env_kwargs` say so.
    """

    def __init__(
        self,
        task: str,
        env_kwargs: Mapping[str, Any] | None = None,
        cameras: Sequence[str] = (),
        *,
        package: str | None = None,
        render_size: int = 128,
        episode_length: int | None = None,
        task_description: str | None = None,
    ) -> None:
        """`env_kwargs` are those of a robomimic file; `package` is imported first and registers `task` with robosuite.

        Raises ConfigError where robosuite or `package` is missing, and for what robosuite does not know or take.
        """
        robosuite = import_robosuite(package)
        check_known(task)
        self._flip = robosuite.macros.IMAGE_CONVENTION == "opengl"
        self._cameras = tuple(cameras)
        self._render_size = render_size
        self._renderer: Renderer | None = None
        self._env = _make(robosuite, task, env_kwargs or {}, self._cameras)
        super().__init__(
            task=task,
            task_description=task_description or task,
            fps=self._env.control_freq,
            episode_length=episode_length or DEFAULT_EPISODE_LENGTH,
        )
        low, high = self._env.action_spec
        self.action_space = gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))
        for name in self._env.observation_names:  # some robosuite leaves out, and robomimic has
            if "joint_pos" in name or "eef_vel" in name:
                self._env.modify_observable(name, "active", True)
        self.observation_space = _space_of(self._named(self._env._get_observations(force_update=True)))

    def render(self) -> np.ndarray:
        size, simulation = self._render_size, self._env.sim
        if self._cameras:
            return np.ascontiguousarray(simulation.render(width=size, height=size, camera_name=self._cameras[0])[::-1])
        if self._renderer is None:  # robosuite builds a new model for each episode
            model, data = simulation.model._model, simulation.data._data
            model.geom_group[model.geom_group == 0] = _HIDDEN_GROUP
            self._renderer = open_renderer(model, data, size)
        return self._renderer.render(VIEW).transpose(1, 2, 0)

    def close(self) -> None:
        self._close_renderer()
        self._env.close()

    def _start(self, seed: int) -> Observation:
        self._close_renderer()
        with _seeded(self._env, seed):
            return self._named(self._env.reset())

    def _advance(self, action: np.ndarray) -> Moment:
        seen, reward, _, _ = self._env.step(action)
        success = self._env._check_success()
        solved = bool(success["task"] if isinstance(success, dict) else success)
        return Moment(self._named(seen), float(reward), solved)

    def _named(self, seen: Mapping[str, Any]) -> Observation:
        named: Observation = {}
        if "object-state" in seen:
            named["object"] = _vector(seen["object-state"])
        prefixes = tuple(robot.robot_model.naming_prefix for robot in self._env.robots)
        pictures = {f"{camera}_image" for camera in self._cameras}
        for key, value in seen.items():
            if key.startswith(prefixes) and key not in pictures and not key.endswith("proprio-state"):
                named[key] = _vector(value)
        if self._cameras:
            upright = -1 if self._flip else 1
            named["pixels"] = {
                camera: np.ascontiguousarray(seen[f"{camera}_image"][::upright]) for camera in self._cameras
            }
        return named

    def _close_renderer(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def import_robosuite(package: str | None = None) -> Any:
    """The module robosuite, once `package`, which adds environments to it, is imported too.

    Raises ConfigError where one of them cannot be imported.
    """
    logging.getLogger("robosuite_logs").addFilter(_is_serious)
    with with_working_gl():
        robosuite = import_package("robosuite", needed_by="this environment", advice=f"Install it with: {_INSTALL}")
        if package:
            import_package(package, needed_by="this environment", advice="Correct `package`, or install it.")
    return robosuite


def _is_serious(record: logging.LogRecord) -> bool:
    """Keeps robosuite's notices about optional parts of it, several per environment, out of the terminal."""
    return record.levelno >= logging.ERROR


def check_known(task: str) -> None:
    """Raise ConfigError where robosuite, imported before, has no environment `task`."""
    known = importlib.import_module("robosuite.environments.base").REGISTERED_ENVS
    if task not in known:
        raise ConfigError(
            f"robosuite has no environment {task!r}.{did_you_mean(task, known)} Where another package adds it to "
            "robosuite, install that and name it: package=mimicgen."
        )


def _make(robosuite: Any, task: str, env_kwargs: Mapping[str, Any], cameras: Sequence[str]) -> Any:
    if cameras and gl_backend() is None:
        raise ConfigError(
            f"environment {task!r} shows pictures, which robosuite draws with OpenGL, and that does not work here. "
            "Install libegl1 or libosmesa6, or evaluate a policy without cameras."
        )
    try:
        with with_working_gl():
            return robosuite.make(task, **settings_of(env_kwargs, cameras))
    except ConfigError:
        raise
    except Exception as error:  # robosuite refuses what it does not know with any kind of exception
        raise ConfigError(
            f"robosuite {robosuite.__version__} cannot make {task!r} with the env_kwargs {sorted(env_kwargs)}: "
            f"{type(error).__name__}: {error}. A file of another version of robosuite may need that version."
        ) from error


@contextlib.contextmanager
def _seeded(env: Any, seed: int) -> Iterator[None]:
    """Has robosuite place things by `seed`: from its own generator since 1.5, from NumPy's global one before."""
    if hasattr(env, "rng"):  # its samplers hold this very generator
        env.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _vector(value: Any) -> np.ndarray:
    return np.atleast_1d(np.asarray(value, dtype=np.float32))


def _space_of(observation: Observation) -> gymnasium.spaces.Dict:
    spaces: dict[str, gymnasium.Space] = {
        key: vector_space(value.shape) for key, value in observation.items() if key != "pixels"
    }
    if "pixels" in observation:
        pictures = {camera: picture_space(*value.shape) for camera, value in observation["pixels"].items()}
        spaces["pixels"] = gymnasium.spaces.Dict({**pictures})
    return gymnasium.spaces.Dict(spaces)

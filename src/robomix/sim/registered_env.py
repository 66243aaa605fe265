"""Any environment that gymnasium knows by name, with its observations by name.

robomimic's files call such an environment type 2 (`env_gym.py`): what it sees is the vector `flat`. Environments that
see several things have them by their own names here, inner ones joined with ".": `observation`, `desired_goal`, ...
"""

import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import gymnasium
import numpy as np

from robomix.errors import ConfigError, did_you_mean
from robomix.sim.evaluation_env import EvaluationEnv, Moment, Observation, picture_space, vector_space
from robomix.sim.packages import import_package
from robomix.sim.render import gl_backend, with_working_gl

PACKAGES = ("gymnasium_robotics", "gym_pusht", "gym_aloha")
"""Packages whose environments are found without being told where they are from."""
_SUCCESS = ("is_success", "success")
_DRAWN = "rgb_array"
"""gymnasium's render mode that returns pictures."""
_FPS = 30
"""LeRobot's rate for environments that do not say theirs."""


class RegisteredEnv(EvaluationEnv):
    """The environment that gymnasium registers as `task`.

    Vectors come as float32 under their names, or as `flat` where there is but one. Pictures, uint8 of (H, W, 1 or 3),
    come under `pixels`: by name, or alone. Success is a flag that is set, or a number above 0, in `info` under
    `is_success` or `success`; environments that say neither never succeed, and are told apart by their reward.
    """

    def __init__(
        self,
        task: str,
        env_kwargs: Mapping[str, Any] | None = None,
        *,
        package: str | None = None,
        episode_length: int | None = None,
        task_description: str | None = None,
    ) -> None:
        """`episode_length` defaults to the one registered, `task_description` to `task`. `package` registers `task`.

        Raises ConfigError for an unknown name, for what cannot be made, and for observations and actions that are
        neither vectors nor pictures.
        """
        spec = registered(task, package)
        limit = episode_length or spec.max_episode_steps
        if limit is None:
            raise ConfigError(f"environment {task!r} has no limit of its own. Say when to give up: episode_length=300.")
        check_render_mode(task, env_kwargs or {})
        kwargs = dict(env_kwargs or {}) | {"render_mode": _DRAWN}
        try:
            with with_working_gl(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions that are out of date, which a dataset may well ask for
                self._env = gymnasium.make(spec, max_episode_steps=-1, disable_env_checker=True, **kwargs)
        except Exception as error:  # a simulator refuses its settings with any kind of exception
            raise ConfigError(f"environment {task!r} cannot be made with {kwargs}: {error}") from error
        super().__init__(
            task=task,
            task_description=task_description or task,
            fps=_rate(self._env.metadata.get("render_fps")),
            episode_length=limit,
        )
        self._vectors, self._pictures = _parts(self._env.observation_space, task)
        self.observation_space = self._space()
        if not isinstance(self._env.action_space, gymnasium.spaces.Box):
            raise ConfigError(f"environment {task!r} takes actions {self._env.action_space}, not vectors of numbers")
        self.action_space = self._env.action_space

    def render(self) -> np.ndarray:
        try:
            with with_working_gl():
                picture = np.asarray(self._env.render())
        except Exception as error:
            advice = "" if gl_backend() else " OpenGL does not work here: install libegl1 or libosmesa6."
            raise ConfigError(f"environment {self.task!r} cannot be drawn for a video: {error}.{advice}") from error
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            found = f"{picture.dtype} of shape {picture.shape}" if picture.ndim else repr(picture.item())
            raise ConfigError(
                f"environment {self.task!r} cannot be drawn for a video: its render() gives {found}, expected uint8 of "
                f"shape (H, W, 3). Evaluate it without videos, or with an environment that has render_mode={_DRAWN!r}."
            )
        return picture

    def close(self) -> None:
        self._env.close()

    def _start(self, seed: int) -> Observation:
        with with_working_gl():  # pictures among the observations are drawn by now
            seen, _ = self._env.reset(seed=seed)
        return self._named(seen)

    def _advance(self, action: np.ndarray) -> Moment:
        seen, reward, terminated, truncated, info = self._env.step(action)
        success = _number(next((info[key] for key in _SUCCESS if key in info), False)) > 0
        return Moment(self._named(seen), float(reward), success, terminated or truncated)

    def _named(self, seen: Any) -> Observation:
        def value(path: tuple[str, ...]) -> np.ndarray:
            return np.asarray(reduce(getitem, path, seen))

        named: Observation = {
            name: np.atleast_1d(value(path)).astype(np.float32) for name, (path, _) in self._vectors.items()
        }
        pictures = {name: value(path) for name, (path, _) in self._pictures.items()}
        return named | ({"pixels": pictures.get("", pictures)} if pictures else {})

    def _space(self) -> gymnasium.spaces.Dict:
        spaces: dict[str, gymnasium.Space] = {
            name: vector_space(box.shape or (1,)) for name, (_, box) in self._vectors.items()
        }
        pictures = {name: picture_space(*box.shape) for name, (_, box) in self._pictures.items()}
        if pictures:
            spaces["pixels"] = pictures.get("") or gymnasium.spaces.Dict({**pictures})
        return gymnasium.spaces.Dict(spaces)


def registered(task: str, package: str | None = None) -> gymnasium.envs.registration.EnvSpec:
    """What gymnasium knows of the environment `task`, after importing `package`, or those of PACKAGES.

    Raises ConfigError where it knows none of that name, or where `package` cannot be imported.
    """
    for name in [package] if package else PACKAGES if task not in gymnasium.registry else ():
        with with_working_gl(), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notices about environments nobody asked for
            try:
                import_package(name, needed_by=f"environment {task!r}", advice="Correct `package`, or install it.")
            except ConfigError:
                if package:
                    raise
    if task not in gymnasium.registry:
        hint = did_you_mean(task, gymnasium.registry)
        raise ConfigError(
            f"gymnasium has no environment {task!r}.{hint} Where a package has it, install that and name it: "
            "package=its_module."
        )
    return gymnasium.registry[task]


def check_render_mode(task: str, env_kwargs: Mapping[str, Any]) -> None:
    """Raise ConfigError where `env_kwargs` ask for another way of drawing than the one videos are made of."""
    mode = env_kwargs.get("render_mode", _DRAWN)
    if mode != _DRAWN:
        raise ConfigError(
            f"environment {task!r}: env_kwargs.render_mode is {mode!r}, expected {_DRAWN!r}, which videos are made of. "
            "Leave it out."
        )


def _rate(declared: Any) -> float:
    """The `render_fps` an environment declares, where that is a rate a video can have."""
    return declared if 1 <= _number(declared) < math.inf else _FPS


def _number(value: Any) -> float:
    """A number, a flag, or an array of one of them; NaN for all else, such as a text."""
    given = np.asarray(value)
    return float(given.item()) if given.size == 1 and given.dtype.kind in "biuf" else math.nan


Part = tuple[tuple[str, ...], gymnasium.spaces.Box]
"""The keys that lead to a value in an observation, and its space."""


def _parts(space: gymnasium.Space, task: str) -> tuple[dict[str, Part], dict[str, Part]]:
    """The vectors and the pictures of observations, by the names they get here; "" is a picture on its own."""
    vectors, pictures = {}, {}
    for path, leaf in _leaves(space):
        if not isinstance(leaf, gymnasium.spaces.Box):
            where = f" under {'.'.join(path)!r}" if path else ""
            raise ConfigError(f"environment {task!r} shows {leaf}{where}; only vectors and pictures are understood")
        if leaf.dtype == np.uint8 and len(leaf.shape) == 3 and leaf.shape[2] in (1, 3):
            name = ".".join(path[1:] if path[:1] == ("pixels",) else path)
            pictures[name] = path, leaf
        else:
            vectors[".".join(path) or "flat"] = path, leaf
    if "" in pictures and len(pictures) > 1:
        raise ConfigError(f"environment {task!r} shows pictures under 'pixels' and beside it; only one is understood")
    return vectors, pictures


def _leaves(space: gymnasium.Space, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], gymnasium.Space]]:
    if isinstance(space, gymnasium.spaces.Dict):
        for name, inner in space.spaces.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, space

"""Closed loop in LeRobot's vector environments: several copies of a simulator, stepped together by one policy."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from tqdm import tqdm

from robomix.errors import AlignmentError, RobomixError
from robomix.training.lerobot import NEW_ROLLOUT_OPTION, preprocess_observation
from robomix.video.encode import VideoEncoder

VIDEO_FPS = 25
"""Videos skip steps of faster environments, to about this rate; time in them stays real time."""

Observation = dict[str, Any]
"""By LeRobot's keys: (n, ...) tensors, cameras as float (n, C, H, W) from 0 to 1; `task`, a list of n texts."""


class Driver(Protocol):
    """What acts: a rule from observations to actions, which may remember within an episode."""

    def reset(self) -> None:
        """Forget; episodes begin, in all environments at once."""

    def __call__(self, observation: Observation) -> np.ndarray:
        """(n, A) actions of n environments."""


@dataclass(frozen=True)
class Episode:
    """How one episode went."""

    seed: int
    success: bool
    reward: float
    """Sum over the episode."""
    steps: int
    """Until success, or until it was given up."""

    def record(self) -> dict[str, Any]:
        """Plain data, without NaN."""
        return asdict(self) | {"reward": self.reward if math.isfinite(self.reward) else None}


@dataclass(frozen=True)
class Filming:
    """Which episodes are kept as videos, and where: `<folder>/<seed>-solved.mp4` or `-failed.mp4`."""

    folder: Path
    episodes: int


def roll_out(
    env: Any,
    driver: Driver,
    *,
    episodes: int,
    seed: int,
    repeat: int = 1,
    prepare: Callable[[Observation], Observation] = lambda observation: observation,
    finish: Callable[[dict[str, Any]], dict[str, Any]] = lambda action: action,
    max_steps: int | None = None,
    filming: Filming | None = None,
    title: str = "rollouts",
) -> list[Episode]:
    """Lets `driver` act in `env`, a gymnasium VectorEnv of LeRobot, in the episodes of seeds `seed`, `seed + 1`, ...

    Each action is held for `repeat` steps. `prepare` and `finish` are the environment's own processing of observations
    and of actions, {"action": (n, A) tensor}. An episode ends as the environment says, or after `max_steps`, and is
    solved if `is_success` was ever true in it. Raises AlignmentError where the actions are not what it takes.
    """
    limit = max_steps or env.call("_max_episode_steps")[0]

    def act(seen: Any) -> np.ndarray:
        shown = prepare(preprocess_observation(seen) | {"task": _tasks(env)})
        with _failing("the policy failed on what it was shown"):
            told = driver(shown)
        return _checked(env, finish({"action": torch.from_numpy(told)})["action"].to("cpu").numpy())

    done: list[Episode] = []
    with tqdm(total=episodes, desc=title, unit="episode", delay=2, leave=False, disable=None) as progress:
        while len(done) < episodes:
            seeds = [seed + len(done) + i for i in range(env.num_envs)]
            wanted = min(episodes, filming.episodes if filming else 0) - len(done)
            driver.reset()
            of = (
                f"the episode of seed {seeds[0]}"
                if len(seeds) == 1
                else f"the episodes of seeds {seeds[0]} to {seeds[-1]}"
            )
            film = _Film(env, filming.folder if filming else Path(), seeds[: max(0, wanted)])
            with _failing(f"the environment failed in {of}"), film:
                batch = _roll_out_batch(env, act, seeds, limit, repeat, film)[: episodes - len(done)]
            done += batch
            progress.update(len(batch))
    return done


def _roll_out_batch(
    env: Any, act: Callable[[Any], np.ndarray], seeds: Sequence[int], limit: int, repeat: int, film: "_Film"
) -> list[Episode]:
    n = env.num_envs
    seen, _ = env.reset(seed=list(seeds), options={NEW_ROLLOUT_OPTION: True})
    running, solved = np.ones(n, bool), np.zeros(n, bool)
    reward, steps = np.zeros(n), np.zeros(n, int)
    action = np.empty(0)
    for step in range(limit):
        film.add(step, running)
        if step % repeat == 0:
            action = act(seen)
        seen, gained, terminated, truncated, info = env.step(action)
        reward += np.where(running, gained, 0.0)
        steps += running
        solved |= running & _successes(info, n)
        running &= ~(terminated | truncated)
        if not running.any():
            break
    film.finish(solved)
    values = zip(seeds, solved, reward, steps, strict=True)
    return [Episode(int(s), bool(success), float(r), int(count)) for s, success, r, count in values]


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Whatever a simulator or a policy raises inside is told as one of this house's errors."""
    try:
        yield
    except RobomixError:
        raise
    except Exception as error:
        raise RobomixError(f"{what}: {type(error).__name__}: {error}") from error


def _checked(env: Any, action: np.ndarray) -> np.ndarray:
    if action.shape != env.action_space.shape:
        raise AlignmentError(
            f"the environment takes actions of {env.single_action_space.shape[-1]} numbers, the policy gives "
            f"{action.shape[-1]}. Are dataset and environment of the same robot, in the same control mode?"
        )
    return action


def _tasks(env: Any) -> list[str]:
    """The environments' instructions: LeRobot asks for a description first, then for a name."""
    for name in ("task_description", "task"):
        try:
            return [str(text) for text in env.call(name)]
        except (AttributeError, NotImplementedError):
            continue
    return [""] * env.num_envs


def _successes(info: dict[str, Any], n: int) -> np.ndarray:
    """(n,) bool: which environments report success in this step. Those that end report it in `final_info`."""
    found = np.zeros(n, bool)
    for part in (info, info.get("final_info")):
        if isinstance(part, dict) and "is_success" in part:
            found |= [_is_true(value) for value in part["is_success"]]
    return found


def _is_true(value: Any) -> bool:
    """A flag or a number that is not 0; NaN and texts are neither."""
    return isinstance(value, bool | np.bool_ | int | float | np.number) and bool(value == value and value)


class _Film:
    """Videos of the first of several episodes that run at once; none are left of a batch that ends in an error."""

    def __init__(self, env: Any, folder: Path, seeds: Sequence[int]) -> None:
        self._env = env
        self._folder = folder
        self._seeds = seeds
        said = env.unwrapped.metadata.get("render_fps")
        fps = max(1, round(said)) if isinstance(said, int | float) and math.isfinite(said) else VIDEO_FPS
        self._stride = max(1, round(fps / VIDEO_FPS))
        self._fps = Fraction(fps, self._stride)
        self._videos: list[VideoEncoder] = []

    def add(self, step: int, running: np.ndarray) -> None:
        """Films the episodes that are still running."""
        filmed = [i for i in range(len(self._seeds)) if running[i]]
        if step % self._stride or not filmed:
            return
        envs = getattr(self._env, "envs", None)  # a SyncVectorEnv draws only what is asked for
        pictures = {i: envs[i].render() for i in filmed} if envs else dict(enumerate(self._env.call("render")))
        for i in filmed:
            picture = np.asarray(pictures[i])
            height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2  # as video needs them
            if step == 0:
                path = self._folder / f"{self._seeds[i]}.mp4"
                self._videos.append(VideoEncoder(path, height=height, width=width, fps=self._fps, codec="h264"))
            self._videos[i].add(picture[:height, :width], key_frame=step == 0)

    def finish(self, solved: np.ndarray) -> None:
        """Writes the videos, named by how the episodes ended."""
        for video, success in zip(self._videos, solved, strict=False):
            video.close()
            video.path.rename(video.path.with_stem(f"{video.path.stem}-{'solved' if success else 'failed'}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for video in self._videos:
                video.discard()

"""Demonstrations: episodes a scripted expert solved, written as a LeRobot v3.0 dataset or as a robomimic HDF5 file.

A frame holds what the expert saw and the action that was executed then. Failed attempts are not kept unless asked for,
so a policy learns only from what works. With noise the expert's hand trembles: it still sees what happens and corrects
it, and gets there by a worse way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from robomix.errors import ConfigError, RobomixError
from robomix.features import Feature
from robomix.formats.episode_writer import EpisodeWriter
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.formats.robomimic.writer import RobomimicWriter
from robomix.sim.robot import ACTION, SimulatedRobot

DEMONSTRATION_SEED = 0
"""Where demonstrations start counting seeds; evaluation starts far above (`robomix.training.seeds`)."""
REWARD, DONE = "next.reward", "next.done"
_FRAMES_AFTER_SUCCESS = 5
"""A demonstration goes on for a moment, so that holding still at the goal is learned too."""
_HDF5 = (".hdf5", ".h5")
_NOISE_KEY = 0x6E6F697365
"""Keeps the noise of an episode apart from the simulator's own randomness, which has the same seed."""


@dataclass(frozen=True)
class Recording:
    """What `record` wrote."""

    path: Path
    episodes: int
    frames: int
    attempts: int
    """Episodes tried; those the expert failed are not in the dataset, unless they were to be kept."""


@dataclass(frozen=True)
class Attempt:
    """One episode of the expert."""

    frames: dict[str, np.ndarray]
    """Each feature of the robot stacked over the T frames, and `next.reward` (T,) float32, `next.done` (T,) bool."""
    solved: bool


def record(
    robot: SimulatedRobot,
    path: Path | str,
    *,
    episodes: int,
    noise: float = 0.0,
    keep_failures: bool = False,
    attempts_per_episode: int = 4,
    seed: int = DEMONSTRATION_SEED,
    codec: str = "libsvtav1",
    overwrite: bool = False,
) -> Recording:
    """Write `episodes` demonstrations of `robot` to a new dataset at `path`.

    A path that ends with `.hdf5` or `.h5` becomes a robomimic file, with rewards and dones (see `attempt`) and the
    `env_args` of `env_args_of`; any other a LeRobot v3.0 folder, its videos by `codec`. `noise`: see `attempt`.

    Attempts use the seeds `seed`, `seed + 1` and so on. Cameras and their size are the robot's. A terminal shows a
    progress bar where it takes longer than two seconds. Raises RobomixError when `attempts_per_episode` for each
    demonstration were too few, and what the writer raises where it cannot write; nothing is left at `path` then.
    """
    path, recorded, frames, attempts = Path(path), 0, 0, 0
    writer, add = _writer(robot, path, codec, overwrite)
    title = f"demonstrations of {robot.name}"
    with writer, tqdm(total=episodes, desc=title, unit="episode", delay=2, leave=False, disable=None) as progress:
        while recorded < episodes:
            if attempts == attempts_per_episode * episodes:
                raise RobomixError(
                    f"The expert of robot {robot.name!r} solved {recorded} of {attempts} attempts (seeds {seed} to "
                    f"{seed + attempts - 1}), too few for {episodes} demonstrations. "
                    + ("Try less noise, or more attempts_per_episode." if noise else "Try another seed.")
                )
            tried = attempt(robot, seed + attempts, noise=noise)
            attempts += 1
            if tried.solved or keep_failures:
                add({key: tried.frames[key] for key in writer.features})
                recorded += 1
                frames += len(tried.frames[ACTION])
                progress.update()
    return Recording(path, recorded, frames, attempts)


def demonstrate(robot: SimulatedRobot, seed: int, *, noise: float = 0.0) -> dict[str, np.ndarray] | None:
    """The expert's solution of one episode: each feature stacked over its T frames, or None where it failed."""
    tried = attempt(robot, seed, noise=noise)
    return {key: tried.frames[key] for key in robot.features} if tried.solved else None


def attempt(robot: SimulatedRobot, seed: int, *, noise: float = 0.0) -> Attempt:
    """One episode of the expert, until a moment after success or for `max_steps`.

    `noise` is the standard deviation of what is added to each entry of each action, in the action's own units: those of
    sawyer and fetch run from -1 to 1. It is drawn from a Gaussian keyed by `seed`, and what is executed, within the
    robot's limits, is also what is recorded. `next.reward` is 1 where the action leaves the task solved, else 0;
    `next.done` is True there and at the last frame (robomimic's `done_mode` 2).

    Raises ConfigError where `noise` is no finite number from 0 on.
    """
    if not (np.isfinite(noise) and noise >= 0):
        raise ConfigError(f"noise is {noise}, expected a standard deviation: 0 or a positive number.")
    frames = list(_expert_frames(robot, seed, noise))
    keys = [*robot.features, REWARD, DONE]
    stacked = {key: np.stack([frame[key] for frame in frames]) for key in keys}
    stacked[DONE][-1] = True
    return Attempt(stacked, solved=len(frames) < robot.max_steps)


def env_args_of(robot: SimulatedRobot) -> dict[str, Any]:
    """What a robomimic file says of its environment: the robot's name, its rate, and what its cameras are."""
    cameras = {"cameras": list(robot.cameras), "size": robot.size} if robot.cameras else {}
    kwargs = {"robots": [robot.robot_type], "control_freq": robot.fps, **cameras}
    return {"env_name": robot.name, "type": "robomix", "env_kwargs": kwargs}


def _expert_frames(robot: SimulatedRobot, seed: int, noise: float) -> Iterator[dict[str, np.ndarray]]:
    """What was seen, the action executed on it, and what came of it."""
    observation = robot.reset(seed)
    hand = np.random.default_rng([seed, _NOISE_KEY])
    solved = 0
    for _, action in zip(range(robot.max_steps), robot.expert(), strict=False):
        if noise:
            action = np.clip(action + hand.normal(0, noise, action.shape), *robot.action_limits).astype(np.float32)
        seen = observation | {ACTION: action}
        observation, success = robot.step(action)
        yield seen | {REWARD: np.asarray(success, np.float32), DONE: np.asarray(success, bool)}
        solved += success
        if solved > _FRAMES_AFTER_SUCCESS:
            return


def _writer(
    robot: SimulatedRobot, path: Path, codec: str, overwrite: bool
) -> tuple[EpisodeWriter, Callable[[dict[str, np.ndarray]], int]]:
    """The writer for a path, and how it is given an episode."""
    if path.suffix in _HDF5:
        outcome = {REWARD: Feature("numeric", "float32", ()), DONE: Feature("numeric", "bool", ())}
        features = {**robot.features, **outcome}
        mimic = RobomimicWriter(path, env_args=env_args_of(robot), features=features, overwrite=overwrite)
        return mimic, mimic.add_episode
    writer = DatasetWriter(
        path, fps=robot.fps, features=robot.features, robot_type=robot.robot_type, codec=codec, overwrite=overwrite
    )
    return writer, partial(writer.add_episode, task=robot.task)

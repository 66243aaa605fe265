"""Demonstrations: episodes a scripted expert solved, written as a LeRobot v3.0 dataset.

A frame holds what the expert saw and the action it chose then. Failed attempts are not kept, so a policy learns only
from what works.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from robomix.errors import RobomixError
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.sim.robot import ACTION, SimulatedRobot

DEMONSTRATION_SEED = 0
"""Where demonstrations start counting seeds; evaluation starts far above (`rollout.EVALUATION_SEED`)."""
_FRAMES_AFTER_SUCCESS = 5
"""A demonstration goes on for a moment, so that holding still at the goal is learned too."""
_ATTEMPTS_PER_EPISODE = 4


@dataclass(frozen=True)
class Recording:
    """What `record` wrote."""

    path: Path
    episodes: int
    frames: int
    attempts: int
    """Episodes tried; those the expert failed are not in the dataset."""


def record(
    robot: SimulatedRobot,
    path: Path | str,
    *,
    episodes: int,
    seed: int = DEMONSTRATION_SEED,
    codec: str = "libsvtav1",
    overwrite: bool = False,
) -> Recording:
    """Write `episodes` demonstrations of `robot` to a new LeRobot v3.0 dataset at `path`.

    Attempts use the seeds `seed`, `seed + 1` and so on. Cameras and their size are the robot's. A terminal shows a
    progress bar where it takes longer than two seconds. Raises RobomixError when the expert fails too often, and what
    DatasetWriter raises where it cannot write; nothing is left at `path` then.
    """
    path, recorded, frames, attempts = Path(path), 0, 0, 0
    writer = DatasetWriter(
        path, fps=robot.fps, features=robot.features, robot_type=robot.robot_type, codec=codec, overwrite=overwrite
    )
    title = f"demonstrations of {robot.name}"
    with writer, tqdm(total=episodes, desc=title, unit="episode", delay=2, leave=False, disable=None) as progress:
        while recorded < episodes:
            if attempts == _ATTEMPTS_PER_EPISODE * episodes:
                raise RobomixError(
                    f"The expert of robot {robot.name!r} solved {recorded} of {attempts} attempts (seeds {seed} to "
                    f"{seed + attempts - 1}), too few for {episodes} demonstrations. Try another seed."
                )
            demonstration = demonstrate(robot, seed + attempts)
            attempts += 1
            if demonstration is not None:
                writer.add_episode(demonstration, task=robot.task)
                recorded += 1
                frames += len(demonstration[ACTION])
                progress.update()
    return Recording(path, recorded, frames, attempts)


def demonstrate(robot: SimulatedRobot, seed: int) -> dict[str, np.ndarray] | None:
    """The expert's solution of one episode: each feature stacked over its T frames, or None where it failed."""
    frames = list(_expert_frames(robot, seed))
    if len(frames) == robot.max_steps:
        return None
    return {key: np.stack([frame[key] for frame in frames]) for key in robot.features}


def _expert_frames(robot: SimulatedRobot, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Observation and the action chosen on it, until a moment after success or for `max_steps`."""
    observation = robot.reset(seed)
    solved = 0
    for _, action in zip(range(robot.max_steps), robot.expert(), strict=False):
        yield observation | {ACTION: action}
        observation, success = robot.step(action)
        solved += success
        if solved > _FRAMES_AFTER_SUCCESS:
            return

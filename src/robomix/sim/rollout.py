"""Closed loop: a policy drives a robot through episodes it has never seen, and successes are counted."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from robomix.sim.robot import Observation, SimulatedRobot
from robomix.video.encode import VideoEncoder

EVALUATION_SEED = 1_000_000
"""Where evaluation starts counting seeds, far from those of demonstrations."""
_VIDEO_FPS = 25
"""Rollout videos skip steps of faster robots, to about this rate; time in them stays real time."""


class Policy(Protocol):
    """What drives a robot: a rule from observations to actions, which may remember within an episode."""

    def reset(self) -> None:
        """Forget; an episode begins."""

    def __call__(self, observation: Observation) -> np.ndarray:
        """The action for what the robot sees now. A policy of several robots may give more numbers than this one
        takes, for padding is at the end: the robot takes its own first entries.
        """


@dataclass(frozen=True)
class RolloutResult:
    """How the episodes went, in the order of their seeds."""

    robot: str
    seeds: tuple[int, ...]
    successes: tuple[bool, ...]
    steps: tuple[int, ...]
    """Steps until success, or until the episode was given up."""
    videos: tuple[Path, ...] = ()

    @property
    def success_rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    def __str__(self) -> str:
        return f"{self.robot}: {sum(self.successes)}/{len(self.successes)} solved"


def rollout(
    robot: SimulatedRobot,
    policy: Policy,
    *,
    episodes: int,
    seed: int = EVALUATION_SEED,
    max_steps: int | None = None,
    video_folder: Path | str | None = None,
    videos: int = 3,
    video_size: int = 128,
) -> RolloutResult:
    """Let `policy` drive `robot` through the episodes of seeds `seed` to `seed + episodes - 1`.

    An episode ends with success, or after `max_steps` (the robot's own limit where None). Where `video_folder` is
    given, the first `videos` episodes are drawn from the robot's first camera, `video_size` pixels square, and written
    there as `<robot>-<seed>-solved.mp4` or `-failed.mp4`. Raises ValueError for less than one episode.
    """
    if episodes < 1:
        raise ValueError(f"rollout of {robot.name!r} was asked for {episodes} episodes; it needs at least one")
    limit = max_steps or robot.max_steps
    seeds = range(seed, seed + episodes)
    outcomes: list[tuple[bool, int]] = []
    paths: list[Path] = []
    for episode in tqdm(seeds, desc=f"rollouts of {robot.name}", unit="episode", delay=2, leave=False, disable=None):
        if video_folder is None or len(paths) == videos:
            outcomes.append(_run_episode(robot, policy, episode, limit))
        else:
            outcome, path = _filmed_episode(robot, policy, episode, limit, Path(video_folder), video_size)
            outcomes.append(outcome)
            paths.append(path)
    successes, steps = zip(*outcomes, strict=True)
    return RolloutResult(robot.name, tuple(seeds), successes, steps, tuple(paths))


def _run_episode(
    robot: SimulatedRobot, policy: Policy, seed: int, limit: int, watch: Callable[[int], None] | None = None
) -> tuple[bool, int]:
    """Whether the episode was solved, and after how many steps; `watch` is called with each step before it."""
    observation = robot.reset(seed)
    policy.reset()
    for step in range(limit):
        if watch is not None:
            watch(step)
        observation, success = robot.step(np.asarray(policy(observation))[: len(robot.action_names)])
        if success:
            return True, step + 1
    return False, limit


def _filmed_episode(
    robot: SimulatedRobot, policy: Policy, seed: int, limit: int, folder: Path, size: int
) -> tuple[tuple[bool, int], Path]:
    """Run an episode and write what the robot's first camera saw of it."""
    camera, stride = robot.all_cameras[0], max(1, round(robot.fps / _VIDEO_FPS))
    path = folder / f"{robot.name}-{seed}.mp4"
    with VideoEncoder(path, height=size, width=size, fps=Fraction(robot.fps, stride), codec="h264") as video:

        def film(step: int) -> None:
            if step % stride == 0:
                video.add(robot.picture(camera, size), key_frame=step == 0)

        solved, steps = _run_episode(robot, policy, seed, limit, film)
        video.add(robot.picture(camera, size))
    return (solved, steps), path.rename(path.with_stem(f"{path.stem}-{'solved' if solved else 'failed'}"))

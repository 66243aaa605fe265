"""Evaluation of a policy in the environments of the datasets it is trained on, each by its own name.

A source is evaluated if it says `eval: true`, in the environment of its `env:` block, else in the one its dataset names
(robomimic's `env_args`). Observations go through the source's own map and transforms and its group's normalization,
actions come back through the inverses (`mixture.live`).
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from robomix.errors import ConfigError, RobomixError
from robomix.mixture.live import LiveSource
from robomix.mixture.source import Source
from robomix.sim.render import drawing_with_gl
from robomix.statistics.groups import folder_name
from robomix.training.drivers import PlainDriver, SourceDriver, observations_of
from robomix.training.lerobot import EnvConfig, EvalConfig, close_envs, make_env, make_env_pre_post_processors
from robomix.training.model_folders import check_folders
from robomix.training.normalization import ProcessorPair
from robomix.training.rollouts import Episode, Filming, roll_out
from robomix.training.runner import executing
from robomix.training.seeds import EVALUATION_SEED
from robomix.training.source_environment import SourceEnvironment, environment_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conditions:
    """How policies are rolled out, the same for all."""

    settings: EvalConfig
    """LeRobot's: how many episodes, how many at once."""
    seed: int = EVALUATION_SEED
    """Of the first episode; the others have the next ones."""
    max_steps: int | None = None
    """Steps after which an episode is given up; None: the environment's own limit."""
    video_folder: Path | None = None
    """Where videos are kept, in folders named by the source; None: nowhere."""
    videos: int = 4
    """How many of each."""

    def filming(self, name: str) -> Filming | None:
        """What is filmed of the source or task `name`."""
        if self.video_folder is None or self.videos < 1:
            return None
        return Filming(self.video_folder / folder_name(name), self.videos)


@dataclass(frozen=True)
class Result:
    """How a policy did in one environment."""

    name: str
    """Of the source; robomimic's `key`."""
    environment: str
    episodes: tuple[Episode, ...]
    seconds: float

    @property
    def success(self) -> float:
        """Share of the episodes that were solved."""
        return sum(episode.success for episode in self.episodes) / len(self.episodes)

    @property
    def reward(self) -> float:
        """Mean over the episodes of the sum of rewards."""
        return float(np.mean([episode.reward for episode in self.episodes]))

    @property
    def steps(self) -> float:
        """Mean number of steps of the solved episodes, NaN without any."""
        solved = [episode.steps for episode in self.episodes if episode.success]
        return float(np.mean(solved)) if solved else float("nan")

    def record(self) -> dict[str, Any]:
        """Plain data for metrics."""
        steps = None if np.isnan(self.steps) else self.steps
        reward = self.reward if np.isfinite(self.reward) else None
        known = {"success": self.success, "reward": reward, "steps": steps}
        return known | {"episodes": len(self.episodes), "seconds": self.seconds}


def environments_of(sources: Sequence[Source]) -> dict[str, SourceEnvironment]:
    """Source name to environment, for those that say `eval: true`.

    Raises ConfigError, before anything is trained, where an environment is not known or its simulator not installed.
    """
    found = {}
    names = [source.name for source in sources if source.config.eval]
    check_folders(names, "dataset", "Give it another `name`, such as 'arm'.")
    for source in sources:
        if source.config.eval:
            with _speaking_of(source):
                found[source.name] = environment_for(source)
    return found


def evaluate_source(
    source: Source,
    environment: SourceEnvironment,
    policy: Any,
    processors: ProcessorPair,
    conditions: Conditions,
    *,
    names: Mapping[str, str] | None = None,
) -> Result:
    """Rolls `policy` out in the environment of `source`. Raises ConfigError or AlignmentError where they do not fit.

    `names` maps the mixture's names of observations to the policy's, where they differ.
    """
    names = names or {}
    with _speaking_of(source), executing(policy, environment.n_action_steps) as n_action_steps:
        ensembled = getattr(policy.config, "temporal_ensemble_coeff", None) is not None
        if _relative(source) and (ensembled or n_action_steps is None):
            why = "temporal_ensemble_coeff mixes several" if ensembled else "it is not known when this policy makes one"
            raise ConfigError(f"its actions are relative to the state at a plan's start, and {why}")
        live = LiveSource(source, observations_of(policy, names), n_action_steps=n_action_steps or 1)
        driver = SourceDriver(live, policy, processors, environment.rename_map, names)
        return evaluate(source.name, environment.config, driver, policy, conditions, repeat=environment.repeat)


def evaluate(
    name: str, env: EnvConfig, driver: PlainDriver, policy: Any, conditions: Conditions, *, repeat: int = 1
) -> Result:
    """Rolls `driver` out in `env`, in each of its tasks if it has several; each action is held for `repeat` steps."""
    started = time.perf_counter()
    settings = conditions.settings
    prepare, finish = make_env_pre_post_processors(env_cfg=env, policy_cfg=policy.config)
    envs = _made(env, min(settings.batch_size, settings.n_episodes), settings.use_async_envs)
    tasks = [(f"{suite}_{i}", made) for suite, of_suite in envs.items() for i, made in of_suite.items()]
    was_training = policy.training
    policy.eval()
    torch.manual_seed(conditions.seed)
    episodes: list[Episode] = []
    try:
        with drawing_with_gl():
            for task, vector_env in tasks:
                named = f"{name}/{task}" if len(tasks) > 1 else name
                episodes += roll_out(
                    vector_env,
                    driver,
                    episodes=settings.n_episodes,
                    seed=conditions.seed,
                    repeat=repeat,
                    prepare=prepare,
                    finish=finish,
                    max_steps=conditions.max_steps,
                    filming=conditions.filming(named),
                    title=named,
                )
    finally:
        _close(envs)
        policy.train(was_training)
    return Result(name, f"{env.type} {env.task}" if env.task else env.type, tuple(episodes), _since(started))


def as_table(results: Sequence[Result]) -> Table:
    """The results for people."""
    table = Table(title="Evaluation", title_justify="left")
    for header in ("source", "environment"):
        table.add_column(header, overflow="fold")
    for header in ("solved", "success", "steps to success", "mean reward"):
        table.add_column(header, justify="right")
    for result in results:
        solved = sum(episode.success for episode in result.episodes)
        table.add_row(
            result.name,
            result.environment,
            f"{solved}/{len(result.episodes)}",
            f"{result.success:.0%}",
            "-" if np.isnan(result.steps) else f"{result.steps:.0f}",
            f"{result.reward:.2f}",
        )
    return table


def _made(env: EnvConfig, batch_size: int, use_async: bool) -> dict[str, dict[int, Any]]:
    try:
        with drawing_with_gl():
            made: dict[str, dict[int, Any]] = make_env(env, n_envs=batch_size, use_async_envs=use_async)
    except RobomixError:
        raise
    except Exception as error:  # a simulator that is not installed or refuses its settings: whatever it says is told
        raise ConfigError(f"the environment {env.type!r} cannot be made: {type(error).__name__}: {error}") from error
    return made


def _close(envs: Any) -> None:
    try:
        close_envs(envs)
    except Exception as error:  # a simulator that has failed may fail once more; what counts is what happened first
        log.warning("closing the environments failed: %s: %s", type(error).__name__, error)


def _relative(source: Source) -> bool:
    return any(step.relative(frozenset()) for step in source.transforms)


def _since(started: float) -> float:
    return time.perf_counter() - started


@contextmanager
def _speaking_of(source: Source) -> Iterator[None]:
    """Errors inside are about the evaluation of `source`."""
    try:
        yield
    except RobomixError as error:
        raise type(error)(f"source {source.name!r} cannot be evaluated: {error}") from error

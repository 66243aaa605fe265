"""Evaluation of a policy in the environments of the datasets it is trained on, each by its own name.

A source is evaluated if it says `eval: true`, in the environment of its `env:` block, else in the one its dataset names
(robomimic's `env_args`). Observations go through the source's own map and transforms and its group's normalization,
actions come back through the inverses (`mixture.live`).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table

from robomix.errors import AlignmentError, ConfigError, RobomixError
from robomix.mixture.live import LiveSource
from robomix.mixture.source import Source
from robomix.training.drivers import PlainDriver, Processors, SourceDriver, observations_of
from robomix.training.lerobot import EnvConfig, EvalConfig, close_envs, make_env, make_env_pre_post_processors
from robomix.training.rollouts import Episode, Filming, roll_out
from robomix.training.runner import executing
from robomix.training.source_environment import SourceEnvironment, environment_for

EVALUATION_SEED = 1_000_000
"""First seed of the episodes, whatever the training's seed: far from demonstrations, the same for all policies."""


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
        known = {"success": self.success, "reward": self.reward, "steps": steps}
        return known | {"episodes": len(self.episodes), "seconds": self.seconds}


def environments_of(sources: Sequence[Source]) -> dict[str, SourceEnvironment]:
    """Source name to environment, for those that say `eval: true`.

    Raises ConfigError, before anything is trained, where an environment is not known or its simulator not installed.
    """
    found = {}
    for source in sources:
        if source.config.eval:
            with _speaking_of(source):
                found[source.name] = environment_for(source)
                _repeats(source, found[source.name].config)
    return found


def evaluate_source(
    source: Source,
    environment: SourceEnvironment,
    policy: Any,
    processors: Processors,
    settings: EvalConfig,
    *,
    seed: int,
    max_steps: int | None = None,
    videos: Filming | None = None,
) -> Result:
    """Rolls `policy` out in the environment of `source`. Raises ConfigError or AlignmentError where they do not fit."""
    with _speaking_of(source), executing(policy, environment.n_action_steps) as n_action_steps:
        if getattr(policy.config, "temporal_ensemble_coeff", None) is not None and _relative(source):
            raise ConfigError(
                "its actions are relative to the state at the chunk's start, which temporal_ensemble_coeff mixes up"
            )
        live = LiveSource(source, observations_of(policy), n_action_steps=n_action_steps)
        driver = SourceDriver(live, policy, processors, environment.rename_map)
        return evaluate(
            source.name,
            environment.config,
            driver,
            policy,
            settings,
            seed=seed,
            max_steps=max_steps,
            videos=videos,
            repeat=_repeats(source, environment.config),
        )


def evaluate(
    name: str,
    env: EnvConfig,
    driver: PlainDriver,
    policy: Any,
    settings: EvalConfig,
    *,
    seed: int,
    max_steps: int | None = None,
    videos: Filming | None = None,
    repeat: int = 1,
) -> Result:
    """Rolls `driver` out in `env`, `settings.n_episodes` times, `settings.batch_size` at once."""
    started = time.perf_counter()
    batch_size = min(settings.batch_size, settings.n_episodes)
    prepare, _ = make_env_pre_post_processors(env_cfg=env, policy_cfg=policy.config)
    envs = _made(env, batch_size, settings.use_async_envs)
    was_training = policy.training
    policy.eval()
    torch.manual_seed(seed)
    episodes: list[Episode] = []
    try:
        for suite in envs.values():
            for vector_env in suite.values():
                episodes += roll_out(
                    vector_env,
                    driver,
                    episodes=settings.n_episodes,
                    seed=seed,
                    repeat=repeat,
                    prepare=prepare,
                    max_steps=max_steps,
                    filming=videos,
                    title=f"rollouts of {name}",
                )
    finally:
        close_envs(envs)
        policy.train(was_training)
    return Result(name, f"{env.type} {env.task}" if env.task else env.type, tuple(episodes), _since(started))


def as_table(results: Sequence[Result]) -> Table:
    """The results for people."""
    table = Table(title="Evaluation", title_justify="left")
    for header in ("source", "environment"):
        table.add_column(header, overflow="fold")
    for header in ("solved", "success", "mean steps", "mean reward"):
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
        made: dict[str, dict[int, Any]] = make_env(env, n_envs=batch_size, use_async_envs=use_async)
    except RobomixError:
        raise
    except Exception as error:  # a simulator that is not installed or refuses its settings: whatever it says is told
        raise ConfigError(f"the environment {env.type!r} cannot be made: {type(error).__name__}: {error}") from error
    return made


def _repeats(source: Source, env: EnvConfig) -> int:
    """How many steps of the environment one of the source takes: more than one where `rate` is lower than its own."""
    own = source.dataset.fps
    times = env.fps / own
    if times.denominator != 1:
        raise ConfigError(
            f"its frames come at {float(own):g} Hz and its environment steps at {env.fps} Hz, which is no multiple of "
            "it. Choose a `rate` that divides the environment's, or correct `fps`."
        )
    return int(times)


def _relative(source: Source) -> bool:
    return any(step.relative(frozenset()) for step in source.transforms)


def _since(started: float) -> float:
    return time.perf_counter() - started


@contextmanager
def _speaking_of(source: Source) -> Iterator[None]:
    """Errors inside are about the evaluation of `source`."""
    try:
        yield
    except (ConfigError, AlignmentError) as error:
        raise type(error)(f"source {source.name!r} cannot be evaluated: {error}") from error

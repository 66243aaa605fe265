"""Which environment a source's policy is rolled out in: that of its `env:` block, else the one its dataset names."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from robomix.errors import ConfigError
from robomix.mixture.source import Source
from robomix.problems import KeyPath, Problem, report, wrong
from robomix.training.choices import build_block, choice_problems
from robomix.training.environments import GymEnvConfig, SimulatedRobotEnvConfig, check_environment, environment_of
from robomix.training.lerobot import EnvConfig
from robomix.validation import fields_of, fit, unknown_keys

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceEnvironment:
    """An environment, and what lies between it and a source."""

    config: EnvConfig
    rename_map: Mapping[str, str] = field(default_factory=dict)
    """What the environment calls an observation, to what the dataset calls it; LeRobot's name for it."""
    n_action_steps: int | None = None
    """How many actions of each plan are executed before the policy looks again; None: as it is configured."""
    repeat: int = 1
    """Steps of the environment for which each action is held."""


OWN = {"rename_map": dict[str, str], "n_action_steps": int, "repeat": int}
"""Keys of an `env:` block that are not LeRobot's."""


def env_problems(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """What is wrong with the `env:` block of a source, as far as it can be told without opening its dataset.

    A block without `type` is about the environment that the dataset names.
    """
    problems = [p for name, hint in OWN.items() if name in block for p in fit(hint, block[name], (*key, name))]
    for name in ("n_action_steps", "repeat"):
        if not problems and block.get(name, 1) < 1:
            problems.append(wrong((*key, name), block[name], "1 or more"))
    settings = {name: value for name, value in block.items() if name not in OWN}
    return problems + (choice_problems("env", settings, key) if "type" in block else [])


def dataset_env_problems(dataset: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the `env:` blocks of the sources, in a `dataset:` block that is right otherwise."""
    blocks = {i: source["env"] for i, source in enumerate(dataset.get("datasets", ())) if source.get("env") is not None}
    return [p for i, env in blocks.items() for p in env_problems(env, ("dataset", "datasets", i, "env"))]


def environment_for(source: Source) -> SourceEnvironment:
    """The environment of a source that says `eval: true`. Raises ConfigError where none is known."""
    block = source.config.env or {}
    settings = {name: value for name, value in block.items() if name not in OWN}
    config = build_block("env", settings, None) if "type" in settings else _of_the_dataset(source, settings)
    check_environment(config)
    own = {name: value for name, value in block.items() if name in OWN}
    if "repeat" not in own:
        own["repeat"] = _repeats(source)
        _warn_of_other_rate(source, config)
    return SourceEnvironment(config, **own)


def _repeats(source: Source) -> int:
    """How many recorded frames one of the source's spans: more than one where `rate` is lower than the recording's."""
    recorded, fps = source.dataset.recorded_fps, source.dataset.fps
    times = recorded / fps
    if times.denominator != 1:
        raise ConfigError(
            f"it is recorded at {float(recorded):g} Hz and resampled to {float(fps):g} Hz, which does not divide it. "
            "Choose a `rate` that does, or say for how many steps of the environment each action is held: "
            "`env: {repeat: 2}`."
        )
    return int(times)


def _warn_of_other_rate(source: Source, config: EnvConfig) -> None:
    """Datasets often give a nominal rate, and so do environments: they are taken to step together, and told."""
    recorded = source.dataset.recorded_fps
    if not isinstance(config, GymEnvConfig) and config.fps != round(recorded):
        log.warning(
            "source %r is recorded at %g Hz, and its environment %r says %g steps per second; one step for each frame "
            "is assumed. Otherwise say for how many steps to hold each action: env: {repeat: %d}",
            source.name,
            float(recorded),
            config.type,
            config.fps,
            max(2, round(config.fps / recorded)),
        )


def _of_the_dataset(source: Source, settings: Mapping[str, Any]) -> EnvConfig:
    """The environment the dataset names, with `settings` in place of its own."""
    dataset = source.dataset
    if dataset.env_args is None:
        raise ConfigError(
            f"it says `eval: true`, but {dataset.path} ({dataset.format}) does not say in which environment. Name it "
            "with the source, by LeRobot's settings: `env: {type: pusht}`."
        )
    config: Any = environment_of(dataset.env_args, cameras=_cameras(source))
    kind: Any = type(config)
    known, key = fields_of(kind), ("env",)
    problems = unknown_keys(settings, known, key)
    if problems := problems or [p for name, value in settings.items() for p in fit(known[name], value, (*key, name))]:
        raise report(problems)
    derived = {"fps": None} if isinstance(config, SimulatedRobotEnvConfig) else {}  # follows from the robot
    return dataclasses.replace(config, **derived | dict(settings))


def _cameras(source: Source) -> list[str]:
    """The cameras of the dataset that its samples are made of, as simulators call them."""
    needed = source.windows_for(dict.fromkeys(source.features))[0]
    recorded = [source.mapped_keys()[key] for key in needed]
    cameras = [key for key in recorded if source.dataset.features[key].is_camera]
    return [key.removeprefix("observation.images.") for key in cameras]

"""A checkpoint in the environments of a mixture file's datasets, after training."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError, did_you_mean
from robomix.mixture.factory import open_sources
from robomix.problems import report
from robomix.training.choices import default_device, device_problem
from robomix.training.drivers import with_given
from robomix.training.evaluation import Conditions, Result, environments_of, evaluate_source
from robomix.training.lerobot import EvalConfig
from robomix.training.model_folders import find_model, model_folder_of, recorded_mixture
from robomix.training.robot_folder import given_inputs, mixture_names
from robomix.training.runner import load_policy, load_processors
from robomix.training.seeds import EVALUATION_SEED
from robomix.training.source_environment import dataset_env_problems


def evaluate_checkpoint(
    checkpoint: Path,
    config: Path | None = None,
    *,
    names: Collection[str] = (),
    episodes: int = 50,
    batch_size: int = 0,
    seed: int = EVALUATION_SEED,
    device: str | None = None,
    video_folder: Path | None = None,
    videos: int = 4,
) -> list[Result]:
    """Rolls a trained policy out in the environments of datasets, each with the statistics of its group.

    Args:
        checkpoint: a checkpoint, its policy folder, or the output folder of a run, whose last checkpoint is meant.
        config: a file with the `dataset:` block; None takes the mixture the checkpoint was trained on.
        names: only these sources, by name; empty: all that say `eval: true`.
        episodes: in each environment, of seeds `seed`, `seed + 1`, ...
        batch_size: environments stepped at once; 0 for one that suits the machine.
        seed: of the first episode.
        device: of the policy; None takes the fastest there is.
        video_folder: where `videos` episodes of each source are kept, in folders of their names; None: nowhere.
        videos: see `video_folder`.

    Raises:
        ConfigError, FormatError or AlignmentError for what does not fit, naming the source.
    """
    model = find_model(checkpoint)
    mixture = _mixture(model, config)
    wanted = _wanted(mixture, names, config or model)
    sources = open_sources(replace(mixture, datasets=tuple(s for s in mixture.datasets if s.name in wanted)))
    environments = environments_of(sources)
    if problem := device and device_problem(device):
        raise ConfigError(f"device: found {device!r}; {problem}")
    if episodes < 1:
        raise ConfigError(f"episodes: found {episodes}, expected 1 or more.")
    if not 0 <= seed <= 2**32 - episodes:
        raise ConfigError(f"seed: found {seed}, expected 0 or more, and below 2^32 with all episodes.")
    folders = {source.name: model_folder_of(model, source.name) for source in sources}
    settings = EvalConfig(n_episodes=episodes, batch_size=batch_size)
    conditions = Conditions(settings, seed=seed, video_folder=video_folder, videos=videos)
    results = []
    for source in sources:
        folder = folders[source.name]
        policy = load_policy(folder, device or default_device())
        processors, names = with_given(load_processors(policy, folder), given_inputs(folder)), mixture_names(folder)
        results.append(evaluate_source(source, environments[source.name], policy, processors, conditions, names=names))
    return results


def _mixture(model: Path, config: Path | None) -> MixtureConfig:
    """The mixture of the file `config`, else that of the training."""
    origin = str(config or model)
    data = {"dataset": recorded_mixture(model).get("config")} if config is None else read_document(config)
    block: Any = data.get("dataset")
    if block is None and "algo_name" in data:
        raise ConfigError(f"{config} is a config of robomimic's. Leave --config out: the checkpoint knows its mixture.")
    if not isinstance(block, Mapping):
        missing = f"{config} has no block `dataset:`" if config else f"{model} does not say what it was trained on"
        raise ConfigError(f"{missing}. Give the mixture file of the training: --config=mix.yaml")
    mixture = MixtureConfig.from_dict(block, origin=origin)
    if problems := dataset_env_problems(block):
        raise report(problems, origin=origin)
    return mixture


def _wanted(mixture: MixtureConfig, names: Collection[str], origin: Path) -> set[str]:
    """Names of the sources to evaluate."""
    evaluated = [str(source.name) for source in mixture.datasets if source.eval]
    if not evaluated:
        raise ConfigError(
            f"no dataset of {origin} says `eval: true` or has an `env:`. Say in which environment to evaluate it, by "
            "LeRobot's settings: `env: {type: pusht}`."
        )
    for name in names:
        if name not in evaluated:
            listing = ", ".join(evaluated)
            raise ConfigError(f"no dataset {name!r} to evaluate.{did_you_mean(name, evaluated)} There is {listing}.")
    return set(names or evaluated)

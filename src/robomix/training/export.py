"""One robot's policy folder out of a checkpoint: of a group that was trained, or of a dataset that was not."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError, RobomixError, did_you_mean
from robomix.formats.publish import staged_folder
from robomix.mixture.alignment import align
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import open_sources, policy_horizons
from robomix.statistics.compute import mixture_stats
from robomix.statistics.groups import folder_name
from robomix.statistics.safe import safe_stats
from robomix.training.checkpoint import PRETRAINED, find_model, recorded_mixture, weights_folder
from robomix.training.normalization import robot_processors
from robomix.training.robot_folder import write_robot
from robomix.training.robot_policy import policy_of_robot
from robomix.training.robots import Robot, robots_of
from robomix.training.runner import load_policy


def export_group(checkpoint: Path, group: str, out: Path) -> None:
    """Copies the policy folder of a normalization group to `out`, a folder that does not exist yet.

    Raises ConfigError where there is no such group, or `out` exists.
    """
    model = find_model(checkpoint)
    groups = list(dict.fromkeys(recorded_mixture(model).get("groups", {}).values()))
    if group not in groups:
        listing = ", ".join(groups) or "none: robomix has not written it"
        raise ConfigError(f"{model} has no group {group!r}.{did_you_mean(group, groups)} Its groups: {listing}.")
    own = model if (model / "config.json").is_file() else model / folder_name(group)
    with _new_folder(out) as folder:
        for file in own.iterdir():
            if file.is_file():
                shutil.copy2(file, folder / file.name)


def export_source(checkpoint: Path, config: Path, name: str, out: Path) -> Robot:
    """Writes the policy folder of a dataset's robot to `out`, a folder that does not exist yet; returns the robot.

    The dataset is the source `name` of the mixture file `config`, which need not have been in the training. Its map and
    transforms must bring it to what the policy was trained with: its cameras, and vectors of at most its widths.
    Normalization statistics are computed from its data. Of its features, those the policy does not take are left out.

    Raises ConfigError, FormatError or AlignmentError where they do not fit.
    """
    policy = load_policy(_shared(checkpoint), "cpu")
    mixture = _mixture(config, name, policy.config)
    taken = [*policy.config.input_features, "action"]
    robot = robots_of(mixture.sources, {name: name}, [key for key in taken if key in mixture.schema.features])[name]
    _check_it_acts_and_sees(robot, name, mixture)
    own = policy_of_robot(policy, robot)
    block = read_document(config)["dataset"]
    imagenet = MixtureConfig.from_dict(block, origin=str(config)).use_imagenet_stats
    stats = safe_stats(next(iter(mixture_stats(mixture.only(list(robot.features)), use_imagenet=imagenet).values())))
    policy.config.pretrained_path = _shared(checkpoint)  # where its processors are
    processors = robot_processors(policy, stats, "cpu", robot)
    with _new_folder(out) as folder:
        own.config.pretrained_path = None
        own.save_pretrained(folder)
        for one in processors:
            one.save_pretrained(folder)
        write_robot(folder, robot, policy.config)
    return robot


def _shared(checkpoint: Path) -> Path:
    """The folder of the policy that all robots share."""
    model = find_model(checkpoint)
    for above in (model, model.parent):
        if above.name == PRETRAINED:
            return weights_folder(above.parent)
    return model


def _mixture(config: Path, name: str, policy: Any) -> Mixture:
    """The mixture of the source `name` alone, with the windows of a policy of config `policy`."""
    block = read_document(config).get("dataset")
    if not isinstance(block, dict):
        raise ConfigError(f"{config} has no block `dataset:`. Give a mixture file.")
    every = MixtureConfig.from_dict(block, origin=str(config))
    names = [str(source.name) for source in every.datasets]
    if name not in names:
        raise ConfigError(f"{config} has no source {name!r}.{did_you_mean(name, names)} There is {', '.join(names)}.")
    alone = replace(every, datasets=tuple(source for source in every.datasets if source.name == name))
    sources = open_sources(alone, drop_n_last_frames=getattr(policy, "drop_n_last_frames", 0))
    schema = align(sources, every.features)
    return Mixture(sources, schema, horizons=policy_horizons(policy, schema))


def _check_it_acts_and_sees(robot: Robot, name: str, mixture: Mixture) -> None:
    here = ", ".join(mixture.schema.features)
    if "action" not in robot.features:
        raise ConfigError(
            f"source {name!r} has no 'action', only {here}. Name it with feature_map: {{actions: action}}."
        )
    if len(robot.features) == 1:
        raise ConfigError(
            f"source {name!r} has nothing that the policy observes, only {here}. Give it the names of the training "
            "with feature_map."
        )


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that is filled under another name, and becomes `out` when it is whole."""
    try:
        with staged_folder(out, _check_new) as folder:
            yield folder
    except OSError as error:
        raise RobomixError(f"cannot write {out}: {error}") from error


def _check_new(out: Path) -> None:
    if os.path.lexists(out):
        raise ConfigError(f"{out} exists already, and is not overwritten. Choose another folder for --out.")

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
from robomix.features import STATE
from robomix.formats.publish import staged_folder
from robomix.mixture.alignment import align
from robomix.mixture.condition import Condition
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import open_sources, policy_horizons
from robomix.statistics.given import config_stats
from robomix.statistics.groups import folder_name
from robomix.statistics.safe import safe_stats
from robomix.training.compatibility import ABSOLUTE_ACTIONS
from robomix.training.model_folders import PRETRAINED, find_model, recorded_folders, recorded_mixture, weights_folder
from robomix.training.normalization import robot_processors
from robomix.training.robot_folder import write_robot
from robomix.training.robot_policy import policy_of_robot
from robomix.training.robots import Robot, robots_of
from robomix.training.runner import load_policy


def export_group(checkpoint: Path, group: str, out: Path) -> None:
    """Copies the policy folder of a normalization group to `out`, a folder that does not exist yet.

    Where the policy tells sources apart, each is a group.

    Raises ConfigError where there is no such group, or `out` exists.
    """
    model = find_model(checkpoint)
    groups = list(dict.fromkeys(recorded_folders(model).values()))
    if group not in groups:
        listing = ", ".join(groups) or "none: robomix has not written it"
        raise ConfigError(f"{model} has no group {group!r}.{did_you_mean(group, groups)} Its groups: {listing}.")
    own = model if (model / "config.json").is_file() else model / folder_name(group)
    with _new_folder(out) as folder:
        for file in own.iterdir():
            if file.is_file():
                shutil.copy2(file, folder / file.name)


def export_source(checkpoint: Path, config: Path, name: str, out: Path, condition: str | None = None) -> Robot:
    """Writes the policy folder of a dataset's robot to `out`, a folder that does not exist yet; returns the robot.

    The dataset is the source `name` of the mixture file `config`, which need not have been in the training. Its map and
    transforms must bring it to what the policy was trained with: its cameras, and vectors of at most its widths.
    It normalizes by the statistics that the file gives for its group (`stats`), else by those of its data. Of its
    features, those the policy does not take are left out. Of a policy that was told which source or group its samples
    are of, `condition` names the one it is to take the robot for.

    Raises ConfigError, FormatError or AlignmentError where they do not fit.
    """
    policy = load_policy(_shared(checkpoint), "cpu")
    if getattr(policy.config, "use_relative_actions", False):
        raise ConfigError(f"{_shared(checkpoint)} has use_relative_actions. {ABSOLUTE_ACTIONS}.")
    alone = _alone(config, name)
    told = _told(find_model(checkpoint), name, condition)
    mixture = _mixture(alone, policy.config, told)
    taken = [key for key in (*policy.config.input_features, "action") if key in mixture.schema.features]
    robot = robots_of(mixture.sources, {name: name}, taken, told)[name]
    _check_it_acts_and_sees(robot, name, mixture)
    own = policy_of_robot(policy, robot)
    (stats,) = config_stats(mixture.only([*robot.features, *robot.given]), alone).values()
    policy.config.pretrained_path = _shared(checkpoint)  # where its processors are
    processors = robot_processors(policy, safe_stats(stats), "cpu", robot)
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


def _alone(config: Path, name: str) -> MixtureConfig:
    """The mixture file `config` as if the source `name` were all there is: however it is drawn, its frames count."""
    block = read_document(config).get("dataset")
    if not isinstance(block, dict):
        raise ConfigError(f"{config} has no block `dataset:`. Give a mixture file.")
    every = MixtureConfig.from_dict(block, origin=str(config))
    names = [str(source.name) for source in every.datasets]
    if name not in names:
        raise ConfigError(f"{config} has no source {name!r}.{did_you_mean(name, names)} There is {', '.join(names)}.")
    own = replace(every.datasets[names.index(name)], weight=1.0)
    return replace(every, datasets=(own,), weight_schedule=(), stats_weighting="frames")


def _told(model: Path, source: str, name: str | None) -> Condition | None:
    """What the policy of a model folder is told of a new source: that it is `name`, one of those of the training."""
    record = recorded_mixture(model).get("condition")
    if record is None:
        if name is not None:
            raise ConfigError(f"--condition={name}: {model} was trained without `condition_on`. Leave the flag out.")
        return None
    known = record["names"]
    listing = f"one of {', '.join(known)}"
    if name is None:
        raise ConfigError(
            f"{model} was told the {record['on']} of its samples (`condition_on`). Say which it is to take {source!r} "
            f"for, with --condition=NAME: {listing}."
        )
    if name not in known:
        raise ConfigError(f"--condition={name}: expected {listing}.{did_you_mean(name, known)}")
    return Condition.of_record(record, {source: name})


def _mixture(alone: MixtureConfig, policy: Any, told: Condition | None) -> Mixture:
    """The mixture of a config, with the windows of a policy of config `policy`, which is told this of it."""
    sources = open_sources(alone, drop_n_last_frames=getattr(policy, "drop_n_last_frames", 0))
    stateless = told is not None and told.in_state and STATE not in sources[0].features  # its folder needs no entries
    schema = align(sources, alone.features, None if stateless else told)
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

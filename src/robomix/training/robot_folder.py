"""A policy folder for each robot: LeRobot's own, which needs nothing of robomix, and beside it what robomix knows.

`robot.json` says of which group a folder is, what the mixture calls those of its inputs that have another name there,
which inputs the robot has not and must be given as zeros, which are `given` as they stand there, and what LeRobot does
not do by itself.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError
from robomix.mixture.dataset import Mixture
from robomix.statistics.groups import folder_name
from robomix.training.normalization import Processors
from robomix.training.policy_cuts import PADDED_INSIDE, has_cuts
from robomix.training.robot_policy import lacking_notes, own_inputs, policy_of_robot, robot_config, zero_inputs
from robomix.training.robots import Robot, prompt_notes, robots_of

ROBOT = "robot.json"

log = logging.getLogger(__name__)


def robots_of_training(mixture: Mixture, groups: Mapping[str, str], policy: Any) -> dict[str, Robot] | None:
    """The robots whose policies a checkpoint of `policy` holds, by group; None where it holds the shared policy.

    That is with one group, and for policy types without a rule for being cut, of which a warning tells. Warnings also
    tell what plain LeRobot will not do for a robot. Raises ConfigError where a robot's policy could not be built.
    """
    of_prompts = prompt_notes(mixture.sources)
    for note in of_prompts:
        log.warning(note)
    if len(set(groups.values())) == 1:
        return None
    kind = policy.config.type
    if not has_cuts(kind):
        log.warning(
            "the policy folders of all groups will be as wide as the mixture: robomix cannot cut a policy of type %r "
            "to one robot. Observations must be padded with zeros at the end, and the first actions taken.",
            kind,
        )
        return None
    robots = robots_of(mixture.sources, groups, mixture.schema.features, mixture.schema.condition)
    if any(robot.in_front for robot in robots.values()):
        size = sum(weights.numel() * weights.element_size() for weights in policy.parameters()) / 1e6
        log.info("each of the %d policy folders of a checkpoint has weights of its own, %.1f MB", len(robots), size)
    tried = set()
    for group, robot in robots.items():
        signature = _signature(robot_config(policy.config, robot))
        if signature not in tried:
            policy_of_robot(policy, robot)
        tried.add(signature)
        for note in [*robot.notes, *lacking_notes(policy.config, robot)]:
            if note not in of_prompts:  # they name their source
                log.warning("policy folder %s: %s", folder_name(group), note)
    return robots


def write_robot_folders(
    pretrained: Path, shared: Path, policy: Any, processors: Processors, robots: Mapping[str, Robot]
) -> None:
    """Writes `policy` into the folder `shared`, and that of each robot into a folder of its group in `pretrained`.

    Robots of the same widths and inputs share one file of weights, by hard links; those that have all, the shared one.
    """
    shared.mkdir(parents=True)
    policy.save_pretrained(shared)
    for one in processors.shared:
        one.save_pretrained(shared)
    written: dict[Any, Path] = {(_signature(policy.config), ()): shared}
    for group, robot in robots.items():
        folder = pretrained / folder_name(group)
        for one in processors.by_group[group]:
            one.save_pretrained(folder)
        signature = _signature(robot_config(policy.config, robot, rename=False))
        if policy.config.type in PADDED_INSIDE:
            signature = _signature(policy.config)  # its weights are of no robot's width
        weights = (signature, robot.in_front)
        if weights in written:
            robot_config(policy.config, robot).save_pretrained(folder)
            _link_weights(written[weights], folder)
        else:
            policy_of_robot(policy, robot).save_pretrained(folder)
            written[weights] = folder
        write_robot(folder, robot, policy.config)


def write_robot(folder: Path, robot: Robot, config: Any) -> None:
    """Writes `robot.json` into the policy folder of `robot`, which comes of a policy of config `config`."""
    inputs = own_inputs(config, robot)
    record = {
        "group": robot.group,
        "sources": list(robot.sources),
        "names": {robot.renamed(key): key for key in inputs if robot.renamed(key) != key},
        "zeros": zero_inputs(config, robot),
        "notes": [*robot.notes, *lacking_notes(config, robot)],
    } | ({"given": {key: list(values) for key, values in robot.given.items()}} if robot.given else {})
    (folder / ROBOT).write_text(json.dumps(record, indent=2) + "\n")


def read_robot(folder: Path) -> dict[str, Any]:
    """What `write_robot` has written there; empty for other policy folders. Raises ConfigError where it is damaged."""
    path = folder / ROBOT
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text())
        of_type = isinstance(record["names"], dict) and isinstance(record["zeros"], list)
        of_type = of_type and isinstance(record.get("given", {}), dict)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({type(error).__name__}: {error}).") from None
    if not of_type:
        raise ConfigError(f"{path} is damaged: `names` and `given` must be mappings and `zeros` a list.")
    made: dict[str, Any] = record
    return made


def mixture_names(folder: Path) -> dict[str, str]:
    """Mixture key to the name that the policy in `folder` has for it, where it is another."""
    return {key: own for own, key in read_robot(folder).get("names", {}).items()}


def given_inputs(folder: Path) -> dict[str, tuple[float, ...]]:
    """Inputs of the policy in `folder` that are always the same: they tell it which robot it is."""
    return {key: tuple(values) for key, values in read_robot(folder).get("given", {}).items()}


def _signature(config: Any) -> tuple[Any, ...]:
    """What a policy's weights depend on, of its features by the mixture's names."""
    features = {**config.input_features, **config.output_features}
    return tuple((key, tuple(feature.shape)) for key, feature in features.items())


def _link_weights(origin: Path, folder: Path) -> None:
    for file in origin.iterdir():
        if file.name.startswith("model."):
            os.link(file, folder / file.name)

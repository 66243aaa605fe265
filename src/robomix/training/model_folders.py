"""The policy folders of a checkpoint: where they are, what is recorded with them, what they may be named by."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError, did_you_mean
from robomix.mixture.lock import NAME as LOCK
from robomix.statistics.groups import folder_name
from robomix.training.robot_folder import given_inputs, read_robot

PRETRAINED = "pretrained_model"
STATE = "training_state"
MIXTURE = "mixture.json"
SHARED = "policy"
"""In the training state: the policy that several robots share, a policy folder itself."""


def find_model(path: Path) -> Path:
    """The model folder `path` means: itself, that of a checkpoint, or that of the last checkpoint of a run.

    Raises ConfigError where there is none.
    """
    for folder in (path / "checkpoints" / "last" / PRETRAINED, path / PRETRAINED, path):
        if (folder / MIXTURE).is_file() or (folder / "config.json").is_file():
            return folder
    what = "holds no policy" if path.exists() else "does not exist"
    raise ConfigError(
        f"{path} {what}. Expected a checkpoint such as outputs/run/checkpoints/last, its {PRETRAINED} folder, or the "
        "output folder of a run."
    )


def recorded_mixture(model: Path) -> dict[str, Any]:
    """What robomix recorded with a model: its mixture's config, groups and table; empty for other policy folders."""
    path = next((folder / MIXTURE for folder in (model, model.parent) if (folder / MIXTURE).is_file()), None)
    if path is None:
        return {}
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({error}).") from None
    groups = record.get("groups") if isinstance(record, dict) else None
    if not isinstance(groups, dict) or not all(isinstance(group, str) for group in groups.values()):
        raise ConfigError(f"{path} is damaged: it does not say the `groups` of the datasets.")
    return dict(record)


def recorded_folders(model: Path) -> dict[str, str]:
    """Source name to what its policy folder in a model folder is named by: its normalization group, or itself."""
    record = recorded_mixture(model)
    folders: dict[str, str] = record.get("folders", record.get("groups", {}))
    return folders


def model_folder_of(model: Path, source: str) -> Path:
    """The policy folder with the statistics of `source` in a model folder. Raises ConfigError where it has none."""
    if (model / "config.json").is_file():
        return model
    folders = recorded_folders(model)
    if source not in folders:
        known = ", ".join(folders)
        raise ConfigError(
            f"{model} has statistics for {known}, and none for {source!r}.{did_you_mean(source, folders)} Name the "
            "dataset as in the training, or give one of the policy folders in there as the checkpoint."
        )
    return model / folder_name(folders[source])


def weights_folder(checkpoint: Path) -> Path:
    """The policy folder with all weights of a checkpoint: that of the shared policy, or any group's if all share it."""
    pretrained = checkpoint / PRETRAINED
    if (checkpoint / STATE / SHARED).is_dir():
        return checkpoint / STATE / SHARED
    found = sorted(pretrained.rglob("model.safetensors"))
    if not found:
        raise ConfigError(f"{pretrained} holds no weights (model.safetensors); is it a checkpoint?")
    return found[0].parent


def told_by(weights: Path) -> dict[str, Any] | None:
    """The condition (`Condition.record`) by which the policy in the folder `weights` is told what its samples are of.

    None where it is told nothing, as the own policy of a robot, which has it in its biases, and where it is not known.
    """
    folder = weights.resolve()
    is_shared = folder.name == SHARED and folder.parent.name == STATE
    model = folder.parent.parent / PRETRAINED if is_shared else folder
    condition: dict[str, Any] | None = recorded_mixture(model).get("condition")
    return None if read_robot(folder) and not given_inputs(folder) else condition


def check_groups(groups: Sequence[str], condition: Mapping[str, Any] | None) -> None:
    """Raises ConfigError unless each of several groups can have a folder of its own in a checkpoint.

    They are normalization groups, or where `condition`, as a checkpoint records it, tells sources apart, sources.
    """
    if len(groups) > 1 and condition is not None and condition["on"] == "source":
        check_folders(groups, "source", "Give it another `name`, such as 'arm': under condition_on each has a folder.")
    elif len(groups) > 1:
        check_folders(groups, "normalization group", "Give its sources another `group`, a name such as 'arm'.")


def check_folders(names: Sequence[str], what: str, advice: str) -> None:
    """Raises ConfigError unless each of `names` can have a folder of its own; `what` they are the names of."""
    folders = [folder_name(name).casefold() for name in names]
    reserved = (".", "..", "config.json", "train_config.json", MIXTURE, LOCK)
    for name, folder in zip(names, folders, strict=True):
        same = [other for other, its in zip(names, folders, strict=True) if its == folder]
        if len(same) > 1 or folder in reserved or len(os.fsencode(folder)) > 200 or not folder.isprintable():
            clash = f", which is another one's too ({' and '.join(map(repr, same))})" if len(same) > 1 else ""
            raise ConfigError(f"the {what} {name!r} cannot have a folder named {folder_name(name)!r}{clash}. {advice}")

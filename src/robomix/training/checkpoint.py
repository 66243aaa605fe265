"""Checkpoints that are LeRobot checkpoints.

    checkpoints/
    |-- 002000/
    |   |-- pretrained_model/       a LeRobot policy folder; with several normalization groups one folder per group
    |   |   |-- config.json, model.safetensors, policy_preprocessor.json, policy_postprocessor.json, ...
    |   |   |-- train_config.json   what the run was started with
    |   |   `-- mixture.json        the resolved mixture
    |   `-- training_state/         optimizer, scheduler, step, and schedule.json
    `-- last -> 002000

A checkpoint is built under a temporary name and renamed, so `last` never points at half of one.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError
from robomix.training.config import TrainConfig, save_train_config
from robomix.training.lerobot import load_training_state, save_training_state
from robomix.training.normalization import Processors

PRETRAINED = "pretrained_model"
STATE = "training_state"


def save_checkpoint(
    *,
    config: TrainConfig,
    step: int,
    policy: Any,
    processors: Processors,
    optimizer: Any,
    scheduler: Any,
    mixture_record: dict[str, Any],
    schedule_state: dict[str, Any],
) -> Path:
    """Writes the checkpoint of `step` and points `last` at it; returns its folder."""
    parent = Path(config.output_dir) / "checkpoints"
    final = parent / f"{step:0{max(6, len(str(config.steps)))}d}"
    building = parent / f".{final.name}.building"
    shutil.rmtree(building, ignore_errors=True)
    pretrained = building / PRETRAINED
    pretrained.mkdir(parents=True)
    for folder, (preprocessor, postprocessor) in _group_folders(pretrained, processors):
        preprocessor.save_pretrained(folder)
        postprocessor.save_pretrained(folder)
    _save_weights(policy, [folder for folder, _ in _group_folders(pretrained, processors)])
    save_train_config(config, pretrained)
    _write_json(pretrained / "mixture.json", mixture_record)
    save_training_state(building, step, optimizer, scheduler)
    _write_json(building / STATE / "schedule.json", schedule_state)
    _sync(building)
    shutil.rmtree(final, ignore_errors=True)
    building.rename(final)
    _point_last_at(final)
    return final


def load_schedule_state(checkpoint: Path) -> dict[str, Any]:
    """What `Schedule.state` gave when the checkpoint was written. Raises ConfigError where it is not one of robomix."""
    path = checkpoint / STATE / "schedule.json"
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(f"{checkpoint} is not a checkpoint to resume from: {path} is missing") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is damaged ({error}); resume from an earlier checkpoint") from None


def restore(checkpoint: Path, optimizer: Any, scheduler: Any) -> None:
    """Loads the state of `optimizer` and `scheduler` in place."""
    load_training_state(checkpoint, optimizer, scheduler)


def weights_folder(checkpoint: Path) -> Path:
    """The folder with a checkpoint's weights: any group's, since all share them."""
    pretrained = checkpoint / PRETRAINED
    found = sorted(pretrained.rglob("model.safetensors"))
    if not found:
        raise ConfigError(f"{pretrained} holds no weights (model.safetensors); is it a checkpoint?")
    return found[0].parent


def policy_folder(checkpoint: Path, group: str) -> Path:
    """The LeRobot policy folder of a normalization group in `checkpoint`: its own, or the only one there is."""
    own = checkpoint / PRETRAINED / _folder_name(group)
    return own if own.is_dir() else checkpoint / PRETRAINED


def _group_folders(pretrained: Path, processors: Processors) -> list[tuple[Path, tuple[Any, Any]]]:
    if len(processors.by_group) == 1:
        return [(pretrained, next(iter(processors.by_group.values())))]
    return [(pretrained / _folder_name(group), pair) for group, pair in processors.by_group.items()]


def _folder_name(group: str) -> str:
    """A group's name as the name of one folder: repo ids have a slash."""
    return group.replace("/", "--")


def _save_weights(policy: Any, folders: list[Path]) -> None:
    """The policy in the first folder; in the others its config, and its weights as hard links."""
    policy.save_pretrained(folders[0])
    for folder in folders[1:]:
        folder.mkdir(exist_ok=True)
        for file in folders[0].iterdir():
            if file.name.startswith(("config.", "model.")):
                os.link(file, folder / file.name)


def _point_last_at(final: Path) -> None:
    link, new = final.parent / "last", final.parent / ".last.new"
    new.unlink(missing_ok=True)
    new.symlink_to(final.name)
    new.replace(link)


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n")

"""Checkpoints that are LeRobot checkpoints.

    checkpoints/
    |-- 002000/
    |   |-- pretrained_model/       a LeRobot policy folder; with several normalization groups one per group (robot)
    |   |   |-- config.json, model.safetensors, policy_preprocessor.json, policy_postprocessor.json, ...
    |   |   |-- train_config.json   what the run was started with
    |   |   |-- mixture.json        the resolved mixture
    |   |   `-- mixture.lock        what it was trained on (`mixture.lock`)
    |   `-- training_state/         optimizer, scheduler, step, and schedule.json
    |       `-- policy/             with several groups: the policy all share, as wide as the mixture
    `-- last -> 002000

A checkpoint is built under a temporary name and renamed, so `last` never points at half of one.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from robomix.errors import ConfigError, RobomixError
from robomix.files import sync_below
from robomix.mixture.lock import NAME as LOCK
from robomix.statistics.groups import folder_name
from robomix.training.config import TrainConfig, save_train_config
from robomix.training.lerobot import load_training_state, save_training_state
from robomix.training.model_folders import MIXTURE, PRETRAINED, SHARED, STATE
from robomix.training.normalization import Processors
from robomix.training.robot_folder import write_robot_folders
from robomix.training.robots import Robot

EARLIER = "resume from an earlier checkpoint, with --config_path=OUTPUT_DIR/checkpoints/STEP"
"""What to do where one is damaged."""

_KEYS = {"version", "seed", "batch_size", "batching", "batches", "sources"}


def save_checkpoint(
    *,
    config: TrainConfig,
    step: int,
    policy: Any,
    processors: Processors,
    robots: Mapping[str, Robot] | None,
    optimizer: Any,
    optimizer_state: dict[str, Any] | None = None,
    scheduler: Any,
    mixture_record: dict[str, Any],
    lock: dict[str, Any],
    schedule_state: dict[str, Any],
) -> Path:
    """Writes the checkpoint of `step` and points `last` at it; returns its folder.

    With `robots`, by group, each group's folder has the policy of its robot alone. `optimizer_state` is that of an
    `optimizer` with only a part of it (`Whole`).
    Raises RobomixError where that cannot be written; checkpoints that were there before are untouched.
    """
    parent = Path(config.output_dir) / "checkpoints"
    final = parent / f"{step:0{max(6, len(str(config.steps)))}d}"
    building = parent / f".{final.name}.building"
    with _built_aside(building, final):
        pretrained = building / PRETRAINED
        pretrained.mkdir()
        if robots is not None:
            write_robot_folders(pretrained, building / STATE / SHARED, policy, processors, robots)
        else:
            _write_shared_policy(pretrained, policy, processors)
        save_train_config(config, pretrained)
        _write_json(pretrained / MIXTURE, mixture_record)
        _write_json(pretrained / LOCK, lock)
        save_training_state(building, step, optimizer, scheduler, optim_state_dict=optimizer_state)
        _write_json(building / STATE / "schedule.json", schedule_state, indent=None)  # of hundreds of sources
        sync_below(building)
    return final


def load_schedule_state(checkpoint: Path) -> dict[str, Any]:
    """What `Schedule.state` gave when the checkpoint was written. Raises ConfigError where it is not one of robomix."""
    path = checkpoint / STATE / "schedule.json"
    try:
        state = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{checkpoint} is not a checkpoint to resume from: {path} is missing") from None
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); {EARLIER}") from None
    is_whole = isinstance(state, dict) and state.keys() >= _KEYS and all(map(_is_source, state["sources"]))
    if not is_whole or not all(_is_stage(stage, len(state["sources"])) for stage in state.get("stages", ())):
        raise ConfigError(f"{path} is damaged (not what robomix writes there); {EARLIER}")
    return state


def restore(checkpoint: Path, optimizer: Any, scheduler: Any) -> None:
    """Loads the state of `optimizer`, unless None, and `scheduler` in place.

    Raises ConfigError where it is missing or damaged.
    """
    with damage_told(checkpoint):
        load_training_state(checkpoint, optimizer, scheduler, load_optimizer=optimizer is not None)


@contextmanager
def damage_told(checkpoint: Path) -> Iterator[None]:
    """Raises ConfigError for any error inside, where the training state of `checkpoint` is loaded."""
    try:
        yield
    except Exception as error:  # several files, which may be damaged in any way or be of another policy: all are told
        raise ConfigError(
            f"{checkpoint / STATE} cannot be loaded ({type(error).__name__}: {error}); {EARLIER}"
        ) from error


def _write_shared_policy(pretrained: Path, policy: Any, processors: Processors) -> None:
    """A folder per group, each with its processors; the policy in the first, in the others weights as hard links."""
    for folder, (preprocessor, postprocessor) in _group_folders(pretrained, processors):
        preprocessor.save_pretrained(folder)
        postprocessor.save_pretrained(folder)
    folders = [folder for folder, _ in _group_folders(pretrained, processors)]
    policy.save_pretrained(folders[0])
    for folder in folders[1:]:
        folder.mkdir(exist_ok=True)
        for file in folders[0].iterdir():
            if file.name.startswith(("config.", "model.")):
                os.link(file, folder / file.name)


def _group_folders(pretrained: Path, processors: Processors) -> list[tuple[Path, tuple[Any, Any]]]:
    if len(processors.by_group) == 1:
        return [(pretrained, next(iter(processors.by_group.values())))]
    return [(pretrained / folder_name(group), pair) for group, pair in processors.by_group.items()]


@contextmanager
def _built_aside(building: Path, final: Path) -> Iterator[None]:
    """Inside, the folder `building` is filled; then it becomes `final`, and `last` points there. Or it is gone."""
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        yield
        shutil.rmtree(final, ignore_errors=True)
        building.rename(final)
        _point_last_at(final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(building, ignore_errors=True)
        raise RobomixError(
            f"cannot write the checkpoint {final}: {error}. Make room or correct the permissions; then "
            f"--resume=true --output_dir={final.parent.parent} goes on from the last checkpoint that is there."
        ) from error


def _point_last_at(final: Path) -> None:
    link, new = final.parent / "last", final.parent / ".last.new"
    new.unlink(missing_ok=True)
    new.symlink_to(final.name)
    new.replace(link)


def _is_source(entry: Any) -> bool:
    return isinstance(entry, dict) and {"name", "frames", "slots", "fingerprint"} <= entry.keys()


def _is_stage(entry: Any, sources: int) -> bool:
    known = isinstance(entry, dict) and {"step", "interpolate"} <= entry.keys()
    return known and len(entry.get("slots", ())) == sources


def _write_json(path: Path, data: dict[str, Any], *, indent: int | None = 2) -> None:
    path.write_text(json.dumps(data, indent=indent) + "\n")

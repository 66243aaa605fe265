"""Checkpoints that are LeRobot checkpoints.

    checkpoints/
    |-- 002000/
    |   |-- pretrained_model/       a LeRobot policy folder; with several normalization groups one per group (robot)
    |   |   |-- config.json, model.safetensors, policy_preprocessor.json, policy_postprocessor.json, ...
    |   |   |-- train_config.json   what the run was started with
    |   |   `-- mixture.json        the resolved mixture
    |   `-- training_state/         optimizer, scheduler, step, and schedule.json
    |       `-- policy/             with several groups: the policy all share, as wide as the mixture
    `-- last -> 002000

A checkpoint is built under a temporary name and renamed, so `last` never points at half of one.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from robomix.errors import ConfigError, RobomixError, did_you_mean
from robomix.files import sync_below
from robomix.statistics.groups import folder_name as folder_name
from robomix.training.config import TrainConfig, save_train_config
from robomix.training.lerobot import load_training_state, save_training_state
from robomix.training.normalization import Processors
from robomix.training.robot_folder import given_inputs, read_robot, write_robot_folders
from robomix.training.robots import Robot

PRETRAINED = "pretrained_model"
STATE = "training_state"
MIXTURE = "mixture.json"
SHARED = "policy"
"""In the training state: the policy that several robots share, a policy folder itself."""

_KEYS = {"version", "seed", "batch_size", "batching", "batches", "sources"}
_EARLIER = "resume from an earlier checkpoint, with --config_path=OUTPUT_DIR/checkpoints/STEP"


def save_checkpoint(
    *,
    config: TrainConfig,
    step: int,
    policy: Any,
    processors: Processors,
    robots: Mapping[str, Robot] | None,
    optimizer: Any,
    scheduler: Any,
    mixture_record: dict[str, Any],
    schedule_state: dict[str, Any],
) -> Path:
    """Writes the checkpoint of `step` and points `last` at it; returns its folder.

    With `robots`, by group, each group's folder has the policy of its robot alone.
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
        save_training_state(building, step, optimizer, scheduler)
        _write_json(building / STATE / "schedule.json", schedule_state)
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
        raise ConfigError(f"{path} is damaged ({error}); {_EARLIER}") from None
    is_whole = isinstance(state, dict) and state.keys() >= _KEYS and all(map(_is_source, state["sources"]))
    if not is_whole or not all(_is_stage(stage, len(state["sources"])) for stage in state.get("stages", ())):
        raise ConfigError(f"{path} is damaged (not what robomix writes there); {_EARLIER}")
    return state


def restore(checkpoint: Path, optimizer: Any, scheduler: Any) -> None:
    """Loads the state of `optimizer` and `scheduler` in place. Raises ConfigError where it is missing or damaged."""
    try:
        load_training_state(checkpoint, optimizer, scheduler)
    except Exception as error:  # several files, which may be damaged in any way or be of another policy: all are told
        raise ConfigError(
            f"{checkpoint / STATE} cannot be loaded ({type(error).__name__}: {error}); {_EARLIER}"
        ) from error


def check_same_groups(checkpoint: Path, groups: Mapping[str, str]) -> None:
    """Raises ConfigError where the sources of a resumed run are normalized in other groups than its weights know."""
    path = checkpoint / PRETRAINED / MIXTURE
    try:
        then = json.loads(path.read_text())["groups"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is missing or damaged ({error}); {_EARLIER}") from None
    if then != dict(groups):
        raise ConfigError(
            f"cannot continue this run with other normalization groups: {then} then, {dict(groups)} now. "
            "Restore `normalize_by` and `group`, or start a new run from the checkpoint's weights: "
            f"--policy.path={weights_folder(checkpoint)}"
        )


def check_same_condition(checkpoint: Path, condition: Mapping[str, Any] | None) -> None:
    """Raises ConfigError where the policy of a resumed run is told other things of its samples than before."""
    then = recorded_mixture(checkpoint / PRETRAINED).get("condition")
    if then != condition:
        back = "Restore it with `condition_as` and `condition_key`" if then else "Leave `condition_on` out"
        raise ConfigError(
            f"cannot continue this run with another `condition_on`: {condition_text(then)} then, "
            f"{condition_text(condition)} now. {back}, or start a new run."
        )


def told_by(weights: Path) -> dict[str, Any] | None:
    """The condition (`Condition.record`) by which the policy in the folder `weights` is told what its samples are of.

    None where it is told nothing, as the own policy of a robot, which has it in its biases, and where it is not known.
    """
    folder = weights.resolve()
    is_shared = folder.name == SHARED and folder.parent.name == STATE
    model = folder.parent.parent / PRETRAINED if is_shared else folder
    condition: dict[str, Any] | None = recorded_mixture(model).get("condition")
    return None if read_robot(folder) and not given_inputs(folder) else condition


def condition_text(condition: Mapping[str, Any] | None) -> str:
    """A condition as a checkpoint records it, for messages."""
    if condition is None:
        return "none"
    kind = "one_hot" if condition["one_hot"] else "index"
    return f"{condition['on']} ({kind} of {', '.join(condition['names'])}, in {condition['key']})"


def check_same_statistics(checkpoint: Path, fingerprint: str | None) -> None:
    """Raises ConfigError where a resumed run is given other statistics than those its weights were trained with."""
    then = recorded_mixture(checkpoint / PRETRAINED).get("given_statistics")
    if then != fingerprint:
        change = "have changed" if then and fingerprint else "were given then" if then else "are given only now"
        raise ConfigError(
            f"cannot continue this run with other statistics: those of `dataset.stats` {change}. Restore them, or "
            f"start a new run from its weights: --policy.path={weights_folder(checkpoint)}"
        )


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
    reserved = (".", "..", "config.json", "train_config.json", MIXTURE)
    for name, folder in zip(names, folders, strict=True):
        same = [other for other, its in zip(names, folders, strict=True) if its == folder]
        if len(same) > 1 or folder in reserved or len(os.fsencode(folder)) > 200 or not folder.isprintable():
            clash = f", which is another one's too ({' and '.join(map(repr, same))})" if len(same) > 1 else ""
            raise ConfigError(f"the {what} {name!r} cannot have a folder named {folder_name(name)!r}{clash}. {advice}")


def _group_folders(pretrained: Path, processors: Processors) -> list[tuple[Path, tuple[Any, Any]]]:
    if len(processors.by_group) == 1:
        return [(pretrained, next(iter(processors.by_group.values())))]
    return [(pretrained / folder_name(group), pair) for group, pair in processors.by_group.items()]


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


def _is_source(entry: Any) -> bool:
    return isinstance(entry, dict) and {"name", "frames", "slots", "fingerprint"} <= entry.keys()


def _is_stage(entry: Any, sources: int) -> bool:
    known = isinstance(entry, dict) and {"step", "interpolate"} <= entry.keys()
    return known and len(entry.get("slots", ())) == sources


def _point_last_at(final: Path) -> None:
    link, new = final.parent / "last", final.parent / ".last.new"
    new.unlink(missing_ok=True)
    new.symlink_to(final.name)
    new.replace(link)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n")

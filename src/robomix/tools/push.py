"""`push`: a dataset or a policy of this machine to the Hub, as LeRobot expects it there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from rich.table import Table

from robomix.errors import ConfigError, FormatError, did_you_mean
from robomix.files import read_json
from robomix.formats.lerobot.info import read_info
from robomix.remote.hub_upload import CARD, LEFT_OUT, Upload
from robomix.remote.retries import told
from robomix.tools.build.places import size_text
from robomix.tools.check.finding import Verdict
from robomix.tools.check.run import check

_WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
_DATASET_FILES = ("data/*", "meta/*", "videos/*")
_SHOWN = 3
_DATASET_CARD = """\
---
task_categories:
- robotics
tags:
- LeRobot
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# {name}

A dataset of the LeRobot format {version}: {episodes} episodes, {frames} frames at {fps:g} frames per second{robot}.
"""
_POLICY_CARD = """\
---
library_name: lerobot
pipeline_tag: robotics
tags:
- LeRobot
- {type}
---

# {name}

A policy of type {type}, which LeRobot loads: `--policy.path={repo_id}`.
"""


@dataclass(frozen=True)
class PushPlan:
    """What is about to be pushed."""

    upload: Upload
    files: int
    size: int
    """In bytes."""
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def plan_push(
    folder: Path, repo_id: str, *, private: bool = False, branch: str | None = None, force: bool = False
) -> PushPlan:
    """Decides what of `folder` goes to `repo_id`; nothing is sent. A dataset is checked first, all but its pictures.

    With `force`, a dataset goes even if the check says FAIL. Raises ConfigError or FormatError for a folder that is
    neither a LeRobot dataset nor a policy, and for what is no name of a repository.
    """
    _check_name(repo_id)
    folder = Path(os.path.abspath(folder))
    notes, refusals = [], []
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_left_out(path, folder)]
    if links := [path for path in paths if path.is_symlink()]:
        refusals.append(f"{links[0].relative_to(folder)} is a link, and only files go to the Hub. `cp -rL` copies them")
    if (folder / "meta" / "info.json").is_file():
        info = read_info(folder)
        job = Upload(folder, repo_id, "dataset", private, branch, _DATASET_FILES, _dataset_card(folder, repo_id))
        notes.append(f"what {repo_id} has below data, meta and videos, and the folder has not, is removed there")
        if branch is None:
            job = Upload(**vars(job) | {"tag": info.version})
        else:
            notes.append(f"no version tag is set on a branch: who reads it asks for `revision: {branch}`")
        failures = _failures(folder)
        (notes if force else refusals).extend(failures)
    else:
        kind = _policy_type(folder)
        card = _POLICY_CARD.format(type=kind, name=repo_id.split("/")[-1], repo_id=repo_id)
        job = Upload(folder, repo_id, "model", private, branch, card=card)
    if (folder / CARD).is_file():
        job = Upload(**vars(job) | {"card": None})
    return PushPlan(job, len(paths), sum(path.stat().st_size for path in paths), tuple(notes), tuple(refusals))


def as_table(plan: PushPlan) -> Table:
    """What a person reads before it is done."""
    job = plan.upload
    table = Table(title=f"plan for {job.url}", show_header=False)
    rows: Sequence[tuple[str, str]] = (
        ("from", str(job.folder)),
        ("as", "dataset" if job.kind == "dataset" else "policy"),
        ("files", f"{plan.files}, {size_text(plan.size)}"),
        ("branch", job.branch or "main"),
        ("version tag", job.tag or "none"),
        ("card", "the folder's" if job.card is None else "a short one, unless the repository has one"),
        ("if it is new", "private" if job.private else "as the account has it by default: public, mostly"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _check_name(repo_id: str) -> None:
    """Raises ConfigError for what is no NAMESPACE/NAME; the Hub makes a repository of a bare name, and then errs."""
    try:
        validate_repo_id(repo_id)
        is_whole, why = "/" in repo_id, ""
    except HFValidationError as error:
        is_whole, why = False, f" {told(error)}"
    if not is_whole:
        raise ConfigError(f"--repo_id: found {repo_id!r}, expected NAMESPACE/NAME, such as me/so100_pick.{why}")


def _is_left_out(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return any(part.startswith(".") for part in parts) or f"{parts[0]}/*" in LEFT_OUT


def _failures(folder: Path) -> list[str]:
    found = [finding for finding in check(folder).findings if finding.level is Verdict.FAIL]
    if not found:
        return []
    told = "; ".join(f"{one.defect.id} {one.found}" for one in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"the check says FAIL: {told}{more}. `robomix check {folder}` says more, --force pushes it as it is"]


def _dataset_card(folder: Path, repo_id: str) -> str:
    raw = read_json(folder / "meta" / "info.json")
    info = read_info(folder)
    robot = f", of the robot {info.robot_type}" if info.robot_type else ""
    return _DATASET_CARD.format(
        name=repo_id.split("/")[-1],
        version=info.version,
        episodes=raw.get("total_episodes", "some"),
        frames=raw.get("total_frames", "some"),
        fps=float(info.fps),
        robot=robot,
    )


def _policy_type(folder: Path) -> str:
    """The type of the LeRobot policy in `folder`. Raises ConfigError where there is none, and says what there is."""
    if not folder.is_dir():
        neighbours = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        hint = " It is a file." if folder.exists() else did_you_mean(folder.name, neighbours)
        raise ConfigError(f"{folder} is no folder.{hint}")
    config = _config(folder / "config.json")
    if config is not None and any((folder / name).is_file() for name in _WEIGHTS):
        return str(config["type"])
    inside = [entry.name for entry in sorted(folder.iterdir()) if _config(entry / "config.json") is not None]
    if config is not None:
        hint = f"it has a config.json, but no weights ({' or '.join(_WEIGHTS)})"
    elif inside:
        what = "a policy" if len(inside) == 1 else "policies of several robots"
        hint = f"it holds {what}: {', '.join(inside)}. Push one"
    elif (folder / "checkpoints").is_dir():
        hint = f"it is a training's. Push {folder / 'checkpoints' / 'last' / 'pretrained_model'}"
    else:
        hint = "for anything else, there is `hf upload`"
    raise ConfigError(f"{folder} is neither a LeRobot dataset (meta/info.json) nor a policy (config.json): {hint}.")


def _config(path: Path) -> dict[str, Any] | None:
    """A policy's config.json; None for other files."""
    if not path.is_file():
        return None
    try:
        config = read_json(path)
    except FormatError:
        return None
    return config if isinstance(config.get("type"), str) else None

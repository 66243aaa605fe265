"""`mixture.lock`: what a training is made of, written down so that another run can insist on being made of the same.

As with the lock files of package managers, what counts is what a mixture file came to, not how it was put: weights
stand in it as probabilities, choices of episodes as their numbers, a folder or branch as the content it had. Where the
data lie is not in it, so a lock is good on another machine; nor are the settings of policy and optimizer.

    {"lock": 1,
     "order": {"version", "seed", "batch_size", "batching"},         what draws follow (`schedule`)
     "settings": {...},                                              of `dataset:`, where they are not the defaults
     "sources": {NAME: {"probability", "frames", "episodes", "held_out_episodes", "content", "revision",
                        "transforms_program", "settings": {...}}},   in their order
     "statistics": {GROUP: {FEATURE: hash}},                         what numbers are normalized with
     "versions": {PACKAGE: version}}                                 of what computes them
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from robomix.config import MixtureConfig, SourceConfig
from robomix.documents import read_document
from robomix.errors import ConfigError, RobomixError
from robomix.mixture.dataset import Mixture
from robomix.mixture.schedule import Schedule
from robomix.mixture.source import Source
from robomix.problems import show

NAME = "mixture.lock"
FORMAT = 1
"""Version of the file; a change of what stands where needs a new number."""
PACKAGES = ("robomix", "lerobot", "torch", "torchvision", "av", "pillow", "numpy")
"""Whose versions can change a sample or a gradient: decoding, resizing, arithmetic, policies."""

_ELSEWHERE = {"datasets", "type", "video_backend", "stats", "materialized", "alpha", "weight_schedule"}
"""Keys of a mixture that say where things lie, or whose outcome the lock has in other words."""
_SOURCE_ELSEWHERE = {"name", "repo_id", "root", "revision", "video_backend", "episodes", "val_episodes", "weight"}
_SOURCE_ELSEWHERE |= {"eval", "env"}
"""As above, and what is about simulators."""
SECTIONS = ("order", "settings", "sources", "statistics", "versions")


def mixture_lock(config: MixtureConfig, mixture: Mixture, schedule: Schedule) -> dict[str, Any]:
    """The lock of a training on `mixture`, opened as `config` says and drawn by `schedule`, without its statistics."""
    state = schedule.state(0)
    order = {key: state[key] for key in ("version", "seed", "batch_size", "batching")}
    names = [stream.name for stream in schedule.streams]
    for stage in schedule.stages[1:]:
        told = ", ".join(f"{name} {share}" for name, share in zip(names, stage.shares, strict=True))
        order[f"weights from step {stage.step}"] = f"{stage.interpolate} {told}"
    probabilities = schedule.probabilities.tolist()
    lock = {
        "lock": FORMAT,
        "order": order,
        "settings": _settings(config, MixtureConfig, _ELSEWHERE, config.to_dict()),
        "sources": {
            source.name: _of_source(source, entry, share)
            for source, entry, share in zip(mixture.sources, config.to_dict()["datasets"], probabilities, strict=True)
        },
        "versions": {package: _version(package) for package in PACKAGES},
    }
    plain: dict[str, Any] = json.loads(json.dumps(lock))  # as it is read again: no tuples
    return plain


def read_lock(path: Path) -> dict[str, Any]:
    """The lock in `path`. Raises ConfigError where there is none, or none that this version reads."""
    if not path.is_file():
        raise ConfigError(
            f"--locked: there is no {path}. Each run has its lock as {NAME} in its output folder; the same command "
            "with --lock in place of --locked writes one without training."
        )
    lock = read_document(path)
    if lock.get("lock") != FORMAT:
        raise ConfigError(
            f"{path}: found `lock: {show(lock.get('lock'))}`, expected {FORMAT}. It is no lock of a mixture, or one of "
            "a newer robomix; --lock writes a new one."
        )
    if not _is_whole(lock):
        raise ConfigError(f"{path}: it is damaged, expected mappings {', '.join(SECTIONS)}. --lock writes a new one.")
    return lock


def write_lock(path: Path, lock: Mapping[str, Any]) -> None:
    """Writes `lock` aside and renames it to `path`. Raises RobomixError where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{NAME}.") as aside:
            made = Path(aside) / NAME
            made.write_text(json.dumps(lock, indent=2) + "\n")
            os.replace(made, path)
    except OSError as error:
        raise RobomixError(f"cannot write {path}: {error.strerror}. --lock=PATH writes it elsewhere.") from error


def _is_whole(lock: Mapping[str, Any]) -> bool:
    """Whether all that is compared is there, of the kind that is compared."""
    if not all(isinstance(lock.get(name), dict) for name in SECTIONS):
        return False
    return all(isinstance(one, dict) and isinstance(one.get("settings"), dict) for one in lock["sources"].values())


def _of_source(source: Source, entry: Mapping[str, Any], probability: float) -> dict[str, Any]:
    held_out = source.held_out
    return {
        "probability": probability,
        "frames": source.frames.num_drawable,
        "episodes": _ranges(source.frames.ids),
        "held_out_episodes": None if held_out is None else _ranges(held_out.frames.ids),
        "content": source.dataset.fingerprint,
        "revision": source.config.revision,
        "transforms_program": _hash("".join(source.transforms_source())) if source.transforms else None,
        "settings": _settings(source.config, SourceConfig, _SOURCE_ELSEWHERE, entry),
    }


def _settings(config: Any, cls: Any, elsewhere: set[str], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `config` that are not the defaults of `cls`, as `plain` data."""
    defaults = cls(**{"root": "."} if cls is SourceConfig else {"datasets": (SourceConfig(root="."),)})
    unused = set() if plain.get("image_transforms", {}).get("enable") else {"image_transforms"}
    names = [field.name for field in fields(cls) if field.name not in elsewhere | unused]
    return {name: plain[name] for name in names if getattr(config, name) != getattr(defaults, name)}


def _ranges(ids: np.ndarray) -> str:
    """`0-4, 7` for the episodes 0, 1, 2, 3, 4 and 7, in their order."""
    parts = np.split(ids, np.flatnonzero(np.diff(ids) != 1) + 1) if len(ids) else []
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts) or "none"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _version(package: str) -> str | None:
    """Its version without the part that names a build, such as +cpu: a lock is good for machines of several kinds."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return None

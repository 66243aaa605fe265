"""Statistics as files: LeRobot's `stats.json`, openpi's `norm_stats.json`.

LeRobot 0.6.1 (`lerobot.datasets.io_utils.load_stats`) reads `FOLDER/meta/stats.json`:

    {"action": {"mean": [...], "std": [...], "min": [...], ..., "q99": [...], "count": [1000]}, ...}

openpi (`openpi/shared/normalize.py`) reads `ASSETS_DIR/ASSET_ID/norm_stats.json`, of two vectors alone:

    {"norm_stats": {"state": {"mean": [...], "std": [...], "q01": [...], "q99": [...]}, "actions": {...}}}
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import ConfigError
from robomix.files import read_json
from robomix.summaries import QUANTILES

LEROBOT_FILE = "meta/stats.json"
OPENPI_FILE = "norm_stats.json"
OPENPI_KEYS = {"state": "observation.state", "actions": "action"}
"""What openpi calls LeRobot's features."""
NAMES = ("mean", "std", "min", "max", *QUANTILES, "count")
"""The statistics of a feature, by LeRobot's names."""
LARGEST = float(np.finfo(np.float32).max)
"""Policies normalize in float32, where more is infinite."""
_OPENPI_NAMES = ("mean", "std", "q01", "q99")

Stats = Mapping[str, Mapping[str, np.ndarray]]


def write_lerobot(folder: Path, stats: Stats) -> Path:
    """Writes `stats` to `folder/meta/stats.json`; returns its path. Raises ConfigError where that cannot be."""
    plain = {key: {name: np.asarray(value).tolist() for name, value in of_key.items()} for key, of_key in stats.items()}
    return _write(folder / LEROBOT_FILE, plain)


def write_openpi(folder: Path, stats: Stats) -> Path | None:
    """Writes state and action of `stats` to `folder/norm_stats.json`; None where there are neither."""
    plain = {
        theirs: {name: np.asarray(stats[ours][name]).tolist() for name in _OPENPI_NAMES}
        for theirs, ours in OPENPI_KEYS.items()
        if ours in stats
    }
    return _write(folder / OPENPI_FILE, {"norm_stats": plain}) if plain else None


def read_stats(file: Path) -> dict[str, dict[str, np.ndarray]]:
    """The statistics in a file of either kind, by LeRobot's keys and names, float64; other names are left out.

    Raises FormatError where it is no JSON, ConfigError, naming the feature, where it holds no statistics, lacks mean or
    std, or where numbers are not finite in float32, deviations negative, or bounds the wrong way round.
    """
    data = read_json(file)
    own = data.get("norm_stats") if is_openpi(data) else data
    if not isinstance(own, Mapping) or not own or not all(isinstance(of_key, Mapping) for of_key in own.values()):
        raise ConfigError(
            f"{file} holds no statistics: expected a mapping of features, each with mean, std and more, as LeRobot's "
            "stats.json has it, or openpi's norm_stats.json below `norm_stats`."
        )
    named = {OPENPI_KEYS.get(key, key): of_key for key, of_key in own.items()} if is_openpi(data) else own
    return {key: _of_feature(of_key, f"{file}: {key!r}") for key, of_key in named.items()}


def is_openpi(data: Mapping[str, Any]) -> bool:
    """Whether a file's content is openpi's."""
    return "norm_stats" in data


def _of_feature(given: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    stats = {name: _numbers(given[name], f"{where}, {name}") for name in NAMES if given.get(name) is not None}
    for name in ("mean", "std"):
        if name not in stats:
            raise ConfigError(f"{where} has no {name}, only {', '.join(given) or 'nothing'}.")
    for name, value in stats.items():
        if value.shape != stats["mean"].shape and name != "count":
            raise ConfigError(f"{where}: {name} has the shape {value.shape}, mean has {stats['mean'].shape}.")
    if (stats["std"] < 0).any():
        raise ConfigError(f"{where}: std of entry {int(np.argmax(stats['std'] < 0))} is negative.")
    order = [name for name in ("min", *QUANTILES, "max") if name in stats]
    for low, high in pairwise(order):
        over = (stats[low] > stats[high] + 1e-6 * np.abs(stats[high])).reshape(-1)
        if over.any():
            raise ConfigError(f"{where}: {low} of entry {int(np.argmax(over))} is above its {high}.")
    return stats


def _numbers(value: Any, where: str) -> np.ndarray:
    try:
        array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: expected numbers, in a list as long as the feature is wide.") from None
    bad = ~(np.abs(array.reshape(-1)) <= LARGEST)  # true of NaN, too
    if bad.any():
        found = array.reshape(-1)[bad][0]
        expected = f"one that float32 holds, up to {LARGEST:.2g}" if np.isfinite(found) else "a finite number"
        raise ConfigError(f"{where}: entry {int(np.argmax(bad))} is {found:g}, expected {expected}.")
    return array


def _write(file: Path, data: Any) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data, indent=4) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}. Choose another folder with --out.") from error
    return file

"""Which datasets a path means: the one it is, or all of those that lie below it."""

from collections.abc import Sequence
from pathlib import Path

from robomix.formats.detect import FORMATS
from robomix.formats.robomimic.dataset import is_robomimic

_MAX_DEPTH = 3
"""Levels below a folder that are searched: of `data`, `data/me/robot/pick` is the last."""


def find_datasets(paths: Sequence[Path]) -> list[Path]:
    """Each path that is a dataset, and for a folder that is none all datasets below it, each once, in sorted order.

    A path with nothing below it stays: whoever opens it says what is wrong with it.
    """
    found = [place for path in paths for place in _within(path, _MAX_DEPTH) or [path]]
    return list({place.absolute(): place for place in found}.values())


def datasets_below(path: Path) -> list[Path]:
    """The datasets below a folder that is none itself, sorted; none for a dataset, however damaged, and for a file."""
    if _is_like_lerobot(path):
        return []
    found = find_datasets([path])
    return [] if found == [path] else found


def _is_like_lerobot(path: Path) -> bool:
    """Whether a folder is laid out like LeRobot's, even if files of it are missing."""
    try:
        return (path / "meta").is_dir() or any(any((path / top).glob("chunk-*")) for top in ("data", "videos"))
    except PermissionError:
        return True


def _within(path: Path, depth: int) -> list[Path]:
    """The dataset at a path, or those below it; none where there are none. A folder one may not look into counts."""
    try:
        is_dataset = any(known.sniff(path) for known in FORMATS)
        if not path.is_dir() or not depth or (is_dataset and not _is_folder_with_a_file(path)):
            return [path] if is_dataset else []
        inside = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    except PermissionError:
        return [path]
    below = [place for child in inside for place in _within(child, depth - 1)]
    return [path] if is_dataset and len(below) < 2 else below


def _is_folder_with_a_file(path: Path) -> bool:
    """Whether nothing but one HDF5 file makes the folder a dataset; other datasets may lie beside it."""
    return is_robomimic(path) and not any(known.sniff(path) for known in FORMATS if known.sniff is not is_robomimic)

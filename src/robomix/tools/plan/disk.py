"""Bytes that datasets, and what the cache keeps of them, take on the disk."""

import os
from collections.abc import Iterable
from pathlib import Path

from robomix.formats.base import Dataset


def dataset_bytes(datasets: Iterable[Dataset]) -> int:
    """Bytes of the files of `datasets`; one that is listed twice counts once."""
    return sum(map(bytes_below, {dataset.path.resolve() for dataset in datasets}))


def cache_bytes(datasets: Iterable[Dataset]) -> int:
    """Bytes of the columns of `datasets` in robomix's cache, those of the recording and those at another rate."""
    folders = {part.cache_folder for dataset in datasets for part in (dataset, dataset.recording)}
    return sum(bytes_below(folder) for folder in folders if folder is not None)


def bytes_below(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; links count as what they lead to."""
    if path.is_file():
        return path.stat().st_size
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(file.stat().st_size for file in files if file.is_file())

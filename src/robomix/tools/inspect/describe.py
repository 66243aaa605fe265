"""One dataset, opened and described."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robomix.formats import open_dataset
from robomix.formats.base import Dataset
from robomix.formats.rate import NoRateError
from robomix.remote.places import shown
from robomix.tools.inspect.cameras import describe_camera
from robomix.tools.inspect.description import (
    DatasetDescription,
    EpisodeLengths,
    FeatureDescription,
    TaskDescription,
)

PLACEHOLDER_FPS = 10.0
"""Rate at which a dataset is opened that says none, so that everything else of it can be described."""
_TASKS = 10
_VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".ts")


@dataclass(frozen=True)
class Opened:
    """A dataset and what is known of its opening."""

    path: Path
    dataset: Dataset
    fps_is_known: bool
    """False: neither its files nor the user said a rate, and it was opened at PLACEHOLDER_FPS."""
    fps_is_given: bool
    """Its rate is what the user said, which a mixture file has to say too."""
    warnings: tuple[str, ...]


def open_for_inspection(path: Path, fps: float | None = None, *, default_fps: float | None = None) -> Opened:
    """The dataset at `path`. `fps` is what it must have; one whose files say no rate may have `default_fps` as well.

    Raises FormatError where it cannot be read, or has another rate than `fps`.
    """
    given = default_fps if fps is None else fps
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            dataset, says_rate = open_dataset(path), True
        except NoRateError:
            dataset, says_rate = open_dataset(path, fps=PLACEHOLDER_FPS if given is None else given), False
        if says_rate and fps is not None:
            dataset = open_dataset(path, fps=fps)  # refuses a rate that is not the dataset's
    own = tuple(dict.fromkeys(str(warning.message).removeprefix(f"{dataset.path}: ") for warning in told))
    return Opened(
        path=path,
        dataset=dataset,
        fps_is_known=says_rate or given is not None,
        fps_is_given=not says_rate and given is not None,
        warnings=own + _unusable(dataset),
    )


def describe(opened: Opened, name: str) -> DatasetDescription:
    """What a person wants to know of a dataset before training on it. Reads numbers and headers, decodes nothing."""
    dataset = opened.dataset
    fps = float(dataset.fps) if opened.fps_is_known else None
    lengths = dataset.episodes.lengths
    data_bytes, video_bytes = size_on_disk(opened.path)
    frames_of = np.bincount(dataset.task_indices(), minlength=len(dataset.tasks))
    tasks = [TaskDescription(text, int(n)) for text, n in zip(dataset.tasks, frames_of, strict=True) if n]
    return DatasetDescription(
        name=name,
        path=shown(opened.path),
        format=dataset.format,
        robot_type=dataset.robot_type,
        fps=fps,
        episodes=dataset.num_episodes,
        frames=dataset.num_frames,
        hours=None if fps is None else dataset.num_frames / fps / 3600,
        lengths=EpisodeLengths(int(lengths.min()), float(np.median(lengths)), int(lengths.max())),
        features=tuple(
            FeatureDescription(key, feature.kind, feature.dtype, feature.shape, feature.names)
            for key, feature in dataset.features.items()
        ),
        cameras=tuple(describe_camera(dataset, key) for key, f in dataset.features.items() if f.is_camera),
        num_tasks=len(tasks),
        tasks=tuple(tasks[:_TASKS]),
        subsets={name: tuple(ids.tolist()) for name, ids in dataset.subsets.items()},
        data_bytes=data_bytes,
        video_bytes=video_bytes,
        warnings=opened.warnings,
    )


def size_on_disk(path: Path) -> tuple[int, int]:
    """Bytes of the files at `path` and below: (all but videos, videos). Hidden ones are left out."""
    if path.is_file():
        return path.stat().st_size, 0
    sizes = [0, 0]
    for folder, folders, names in os.walk(path):
        is_store = any(name in names for name in (".zgroup", ".zarray"))  # zarr v2 hides its metadata
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if (is_store or not name.startswith(".")) and file.is_file():
                sizes[name.lower().endswith(_VIDEO_SUFFIXES)] += file.stat().st_size
    return sizes[0], sizes[1]


def _unusable(dataset: Dataset) -> tuple[str, ...]:
    if not dataset.unusable:
        return ()
    first = min(dataset.unusable)
    count = len(dataset.unusable)
    return (f"{count} of its episodes cannot be used, such as {first}: {dataset.unusable[first]}",)

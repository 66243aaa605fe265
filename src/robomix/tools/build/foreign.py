"""A dataset of any format, or at another rate, as content: its numbers by column, its camera frames to be encoded."""

from pathlib import Path

import numpy as np

from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.lerobot.write_meta import declare
from robomix.tools.build.content import Content, Drawn, Episode, Origin, Rows
from robomix.tools.build.frames import DatasetFrames
from robomix.tools.build.rows import ColumnRows
from robomix.video.encode import find_encoder

REASON = "it is kept as single pictures, or in a format that is no video"


def content_of_dataset(dataset: Dataset, *, codec: str = "libsvtav1", reason: str = REASON) -> Content:
    """All episodes of `dataset`: numeric features by their own names and dtypes, cameras as video.

    `reason` is why frames are encoded, for the report. Text and binary columns are left out, since no reader of
    robomix gives them.
    """
    features, encoder = {}, find_encoder(codec)
    for key, feature in dataset.features.items():
        if feature.is_camera:
            shape = (3, *feature.shape[1:])
            features[key] = declare(Feature("camera", "uint8", shape, storage="video"), dataset.fps, encoder)
        elif feature.kind == "numeric":
            features[key] = declare(feature, dataset.fps, encoder)
    cameras = [key for key in features if dataset.features[key].is_camera]
    columns = {key: key for key in features if key not in cameras}
    episodes = []
    for ordinal, (start, stop) in enumerate(zip(dataset.episodes.starts, dataset.episodes.starts[1:], strict=False)):
        rows = np.arange(start, stop)
        own: Rows = ColumnRows(dataset, rows, columns)
        tasks, task_of = tasks_of(dataset, rows)
        episodes.append(
            Episode(
                len(rows),
                own,
                tasks,
                {key: Drawn(DatasetFrames(dataset, key), rows, reason) for key in cameras},
                Origin(str(dataset.path), int(dataset.episodes.ids[ordinal])),
                task_of,
            )
        )
    return Content(dataset.fps, dataset.robot_type, features, tuple(episodes), known_tasks=dataset.tasks)


def tasks_of(dataset: Dataset, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray | None]:
    """The texts of some rows, as an `Episode` has them: each once, and which of them each row has if there are more."""
    used, task_of = np.unique(dataset.task_indices()[rows], return_inverse=True)
    return tuple(dataset.tasks[i] for i in used), task_of if len(used) > 1 else None


def is_lerobot_folder(path: Path) -> bool:
    """Whether `path` can be read by `read_content`, which copies videos as they are."""
    return (path / "meta" / "info.json").is_file()

"""A dataset of any format, or at another rate, as content: its numbers by column, its camera frames to be encoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from robomix.features import Feature
from robomix.formats.base import Dataset
from robomix.formats.lerobot.write_meta import declare
from robomix.formats.lerobot.write_tables import image_column
from robomix.formats.lerobot.write_videos import png_bytes
from robomix.tools.build.content import Content, Drawn, Episode, Origin, Rows
from robomix.tools.build.frames import DatasetFrames
from robomix.tools.build.rows import ColumnRows
from robomix.video.encode import find_encoder

REASON = "it is kept as single pictures, or in a format that is no video"


def content_of_dataset(
    dataset: Dataset, *, cameras_as: str = "video", codec: str = "libsvtav1", reason: str = REASON
) -> Content:
    """All episodes of `dataset`: numeric features by their own names and dtypes, cameras as `video` or `image`.

    `reason` is why frames are encoded, for the report. Text and binary columns are left out, since no reader of
    robomix gives them.
    """
    features, encoder = {}, find_encoder(codec)
    for key, feature in dataset.features.items():
        if feature.is_camera:
            shape = (3, *feature.shape[1:])
            features[key] = declare(Feature("camera", "uint8", shape, storage=cameras_as), dataset.fps, encoder)
        elif feature.kind == "numeric":
            features[key] = declare(feature, dataset.fps, encoder)
    cameras = [key for key in features if dataset.features[key].is_camera]
    columns = {key: key for key in features if key not in cameras}
    task = dataset.task_indices()
    episodes = []
    for ordinal, (start, stop) in enumerate(zip(dataset.episodes.starts, dataset.episodes.starts[1:], strict=False)):
        rows = np.arange(start, stop)
        own: Rows = ColumnRows(dataset, rows, columns)
        if cameras and cameras_as == "image":
            own = WithPictures(own, tuple(DatasetFrames(dataset, key) for key in cameras), rows)
        used, task_of = np.unique(task[rows], return_inverse=True)
        episodes.append(
            Episode(
                len(rows),
                own,
                tuple(dataset.tasks[i] for i in used),
                {key: Drawn(DatasetFrames(dataset, key), rows, reason) for key in cameras if cameras_as == "video"},
                Origin(str(dataset.path), int(dataset.episodes.ids[ordinal])),
                task_of if len(used) > 1 else None,
            )
        )
    return Content(dataset.fps, dataset.robot_type, features, tuple(episodes), known_tasks=dataset.tasks)


@dataclass(frozen=True)
class WithPictures:
    """Rows with camera frames in them, as PNG."""

    rows: Rows
    cameras: Sequence[DatasetFrames]
    numbers: np.ndarray
    """(T,) int64: which frames."""

    def table(self) -> pa.Table:
        table = self.rows.table()
        for camera in self.cameras:
            frames = camera.read(self.numbers)
            table = table.append_column(camera.key, image_column([png_bytes(frame) for frame in frames]))
        return table

    @property
    def size(self) -> int:
        pixels = sum(camera.height * camera.width for camera in self.cameras)
        return self.rows.size + 2 * pixels * len(self.numbers)


def is_lerobot_folder(path: Path) -> bool:
    """Whether `path` can be read by `read_content`, which copies videos as they are."""
    return (path / "meta" / "info.json").is_file()

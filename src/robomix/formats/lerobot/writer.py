"""Writing LeRobot v3.0 datasets, an episode at a time.

    with DatasetWriter("my_set", fps=30, features={"action": ..., "observation.images.top": ...}) as writer:
        writer.add_episode({"action": actions, "observation.images.top": frames}, task="fold the towel")

The layout is that of LeRobot 0.6 (`lerobot/datasets`, read by LeRobotDataset): episodes and rows numbered from 0
without gaps, timestamp = frame_index / fps, tasks numbered as they first occur, one parquet row group per episode,
several episodes per file up to a size limit. Unlike there, video windows come from frame counts rather than sums of
durations, each episode starts on a key frame, quantiles are exact, and the folder appears under its name only after it
was read back: a crash, an error or Ctrl-C leaves nothing half-written there.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robomix.errors import ConfigError
from robomix.features import BOOKKEEPING, Feature
from robomix.formats.episode_writer import EpisodeWriter
from robomix.formats.lerobot import write_meta
from robomix.formats.lerobot.write_checks import check_storable, check_target, exact_fps
from robomix.formats.lerobot.write_stats import PixelCounts, Stats, column_stats, sampled_frames
from robomix.formats.lerobot.write_tables import DATA_PATH, EPISODES_PATH, RollingParquet, episode_table, read_column
from robomix.formats.lerobot.write_verify import verify_rows, verify_video
from robomix.formats.lerobot.write_videos import VideoTrack, png_bytes
from robomix.formats.publish import staged_folder
from robomix.formats.write_input import EpisodeInput
from robomix.video.encode import find_encoder

_MB = 1024 * 1024
_EPISODES_PER_ROW_GROUP = 100


class DatasetWriter(EpisodeWriter):
    """A LeRobot v3.0 dataset being written to the folder `path`; use it in a `with` block.

    `features` gives the columns in their order: numeric ones, and cameras of shape (3, H, W) whose `storage` is
    `video` (mp4, by `codec` "libsvtav1", "h264" or "h264_lossless") or `image` (PNG, lossless). `data_file_mb` and
    `video_file_mb` say when the next file begins. Raises ConfigError, before anything is written, for features that
    cannot be stored and for a `path` that exists; with `overwrite` an existing dataset is replaced, at the end and in
    one step.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: Fraction | float,
        features: Mapping[str, Feature],
        robot_type: str | None = None,
        codec: str = "libsvtav1",
        data_file_mb: float = 100,
        video_file_mb: float = 200,
        overwrite: bool = False,
    ) -> None:
        super().__init__(path, features)
        self.fps = exact_fps(fps)
        self._encoder = find_encoder(codec)
        check_storable(self.features, self._encoder)
        if min(data_file_mb, video_file_mb) <= 0:
            raise ConfigError(f"File size limits are {data_file_mb} and {video_file_mb} MB: expected them above 0.")
        self._check_target = partial(check_target, overwrite=overwrite)
        self._check_target(self.path)
        self._robot_type = robot_type
        self._data_file_mb, self._video_file_mb = data_file_mb, video_file_mb
        self._tasks: dict[str, int] = {}
        self._pixels = {key: PixelCounts() for key, feature in self.features.items() if feature.is_camera}
        self._pending: list[dict[str, Any]] = []

    def add_episode(self, columns: Mapping[str, np.ndarray | Iterable[np.ndarray]], task: str | Sequence[str]) -> int:
        """Append an episode of T frames; the index it got.

        `columns` has one entry per feature: (T, *shape) in the feature's dtype for numeric columns; for cameras
        (T, 3, H, W) uint8, or any iterable of T frames (3, H, W), read one frame of each camera at a time so that a
        long episode need not fit in memory. `task` is the text of the episode, or one text per frame.

        Raises ConfigError, naming key, frame, found and expected, for input that does not fit. If that happens before
        any camera stream was read, the writer can go on with the next episode.
        """
        with self._episode(columns, task) as checked:
            self._write(checked)
        return len(self.lengths) - 1

    def _begin(self, stack: ExitStack) -> None:
        self._root = stack.enter_context(staged_folder(self.path, self._check_target))
        self._data = RollingParquet(self._root, DATA_PATH, int(self._data_file_mb * _MB))
        self._episodes = RollingParquet(self._root, EPISODES_PATH, int(self._data_file_mb * _MB))
        limit = int(self._video_file_mb * _MB)
        self._tracks = {
            key: VideoTrack(self._root, key, feature, self.fps, self._encoder.name, limit)
            for key, feature in self.features.items()
            if feature.storage == "video"
        }
        for close in (self._data.close, self._episodes.close, *(track.discard for track in self._tracks.values())):
            stack.callback(close)

    def _write(self, checked: EpisodeInput) -> None:
        images, pixels = self._take_frames(checked)
        for text in checked.tasks:
            self._tasks.setdefault(text, len(self._tasks))
        bookkeeping = self._bookkeeping(checked)
        place = self._data.place_for(checked.length)
        self._data.write(episode_table(self.features, checked.numeric, images, bookkeeping))
        row = {
            "episode_index": len(self.lengths),
            "tasks": list(dict.fromkeys(checked.tasks)),
            "length": checked.length,
            **place.columns("data"),
            "dataset_from_index": self.num_frames,
            "dataset_to_index": self.num_frames + checked.length,
        }
        for track in self._tracks.values():
            row |= track.window()
        self._add_row(row, self._episode_stats(checked.numeric | bookkeeping, pixels))

    def _take_frames(self, episode: EpisodeInput) -> tuple[dict[str, list[bytes]], dict[str, PixelCounts]]:
        """Read all cameras in step: videos grow, PNGs and pixel counts are returned."""
        images: dict[str, list[bytes]] = {key: [] for key in episode.cameras if key not in self._tracks}
        pixels = {key: PixelCounts() for key in episode.cameras}
        sampled = sampled_frames(episode.length)
        for track in self._tracks.values():
            track.start_episode(episode.length)
        for i, frames in enumerate(zip(*episode.cameras.values(), strict=True)):
            for key, frame in zip(episode.cameras, frames, strict=True):
                if key in self._tracks:
                    self._tracks[key].add(frame)
                else:
                    images[key].append(png_bytes(frame))
                if i in sampled:
                    pixels[key].add(frame)
        return images, pixels

    def _bookkeeping(self, episode: EpisodeInput) -> dict[str, np.ndarray]:
        """The columns every LeRobot dataset has."""
        frame = np.arange(episode.length, dtype=np.int64)
        return {
            "timestamp": (frame * self.fps.denominator / self.fps.numerator).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(episode.length, len(self.lengths), dtype=np.int64),
            "index": self.num_frames + frame,
            "task_index": np.array([self._tasks[text] for text in episode.tasks], dtype=np.int64),
        }

    def _episode_stats(self, columns: Mapping[str, np.ndarray], pixels: Mapping[str, PixelCounts]) -> dict[str, Stats]:
        for key, counts in pixels.items():
            self._pixels[key].merge(counts)
        stats = {key: column_stats(values, values.shape[1:]) for key, values in columns.items()}
        return {key: pixels[key].stats() for key in pixels} | stats

    def _add_row(self, row: dict[str, Any], stats: Mapping[str, Stats]) -> None:
        """Keep a row of meta/episodes; write a row group when there are enough."""
        for key, entry in stats.items():
            row |= {f"stats/{key}/{name}": value.tolist() for name, value in entry.items()}
        self._pending.append(row)
        if len(self._pending) == _EPISODES_PER_ROW_GROUP:
            self._write_rows()

    def _write_rows(self) -> None:
        place = self._episodes.place_for(len(self._pending)).columns("meta/episodes")
        self._episodes.write(pa.Table.from_pylist([row | place for row in self._pending]))
        self._pending.clear()

    def _finish(self) -> None:
        """Close and check all files, and write the metadata; info.json, by which a reader knows a dataset, last."""
        if self._pending:
            self._write_rows()
        self._data.close()
        self._episodes.close()
        verify_rows(self._root, self.lengths)
        for track in self._tracks.values():
            track.close()
            for video in track.files:
                verify_video(video, self.fps)
        write_meta.write_tasks(self._root, list(self._tasks))
        write_meta.write_stats(self._root, self._stats())
        write_meta.write_info(
            self._root,
            features=self.features,
            fps=self.fps,
            robot_type=self._robot_type,
            encoder=self._encoder,
            episodes=len(self.lengths),
            frames=self.num_frames,
            tasks=len(self._tasks),
            data_file_mb=self._data_file_mb,
            video_file_mb=self._video_file_mb,
        )

    def _stats(self) -> dict[str, Stats]:
        """Statistics of the whole set. Columns are read back one at a time: memory holds one, and reading checks it."""
        stats = {key: pixels.stats() for key, pixels in self._pixels.items()}
        shapes = {key: feature.shape for key, feature in self.features.items() if not feature.is_camera}
        for key, shape in (shapes | dict.fromkeys(BOOKKEEPING, ())).items():
            stats[key] = column_stats(read_column(self._root, key), shape)
        return stats

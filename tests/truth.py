"""What the dataset fixtures can be asked for (`Spec`), and what they hold (`Truth`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from tests.pictures import pictures


@dataclass(frozen=True)
class Spec:
    """What to write. The defaults give 3 short episodes of a robot with one camera and no oddities."""

    lengths: Sequence[int] = (5, 7, 3)
    """Frames of each episode."""
    fps: int | float | Fraction = 10
    robot_type: str | None = "testbot"
    state_dim: int = 3
    action_dim: int = 2
    state_key: str = "observation.state"
    action_key: str = "action"
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """More numeric features by key, with their shapes, such as {"gripper": (1,), "pose": (2, 3)}."""
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=lambda: {"observation.images.top": (32, 48)})
    """Camera keys with (height, width), both even."""
    storage: Literal["video", "image"] = "video"
    codec: str = "h264"
    gop: int = 2
    b_frames: int = 0
    tasks: Sequence[str | Sequence[str]] | None = None
    """One entry per episode: its text, or one text per row. Default: two texts in turn."""
    seed: int = 0
    """Datasets of different seeds hold different numbers."""
    value_dtype: str = "float32"
    """dtype of state, action and extra; float64 values are not representable in float32."""
    scale: float = 1.0
    """Factor on all values of state, action and extra."""

    names: Literal["list", "nested", "dict", "null", "absent"] = "list"
    channels_first: bool = False
    """Camera shapes are declared (C, H, W) rather than (H, W, C)."""
    info_key: str | None = "info"
    """Where a video feature keeps its codec block: `info`, `video_info`, or None for nowhere."""
    lists: Literal["fixed", "variable"] = "fixed"
    """Vectors are fixed-size-list columns with a HF schema, or plain list columns as pandas writes them."""
    scalar_lists: bool = False
    """Features of shape (1,) are stored as lists of one value instead of scalars."""
    frame_index: bool = True
    """False: the column `frame_index` is missing."""
    wall_clock: bool = False
    """Timestamps do not start at 0, and their steps are 13 % too long."""
    stale_templates: bool = False
    """`data_path` and `video_path` of info.json do not lead to the files."""
    ghost_cameras: Sequence[str] = ()
    """Video features that info.json declares and that have no files."""
    episode_ids: Sequence[int] | None = None
    """`episode_index` of each episode; default 0, 1, 2, ..."""
    stats: bool = True

    tasks_shuffled: bool = False
    """v3.0: rows of tasks.parquet are not in the order of task_index."""
    tasks_column: str = "task"
    """v3.0: name under which tasks.parquet keeps the texts; `__index_level_0__` occurs."""
    episodes_per_data_file: int = 1000
    """v3.0"""
    episodes_per_video_file: int = 1000
    """v3.0"""
    episodes_per_meta_file: int = 1000
    """v3.0"""
    files_per_chunk: int = 1000
    """v3.0: `chunks_size`."""
    row_group_per_episode: bool = True
    """v3.0: False writes each parquet file as one row group."""


@dataclass(frozen=True)
class Truth:
    """What was written, in episode order: row `starts[e] + i` is frame i of the e-th episode."""

    path: Path
    fps: Fraction
    robot_type: str | None
    lengths: tuple[int, ...]
    episode_ids: tuple[int, ...]
    columns: dict[str, np.ndarray]
    """(N, *shape) of each numeric feature, in its stored dtype; shape (1,) stays (N, 1)."""
    frames: dict[str, np.ndarray]
    """(N, 3, H, W) uint8 of each camera before coding: exact for images, close for videos."""
    row_tasks: tuple[str, ...]
    """The task text of every row."""
    timestamps: np.ndarray
    """(N,) as stored."""

    @property
    def starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)

    @property
    def num_frames(self) -> int:
        return sum(self.lengths)

    def rows(self, episode: int) -> slice:
        return slice(int(self.starts[episode]), int(self.starts[episode + 1]))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Texts by task_index: in the order in which rows use them."""
        return tuple(dict.fromkeys(self.row_tasks))

    def task_index(self) -> np.ndarray:
        tasks = self.tasks
        return np.array([tasks.index(task) for task in self.row_tasks], dtype=np.int64)


def truth_of(path: Path, s: Spec) -> Truth:
    """The numbers, pictures and texts that a dataset of this Spec holds."""
    n, fps = sum(s.lengths), Fraction(s.fps).limit_denominator(1001)
    shapes = {s.state_key: (s.state_dim,), s.action_key: (s.action_dim,)} | dict(s.extra)
    cameras = enumerate(s.cameras.items())
    texts = s.tasks if s.tasks is not None else [f"task {e % 2}" for e in range(len(s.lengths))]
    row_tasks = [[t] * length if isinstance(t, str) else list(t) for t, length in zip(texts, s.lengths, strict=True)]
    frame = np.concatenate([np.arange(length) for length in s.lengths])
    times = 3.7 + frame / float(fps) * 1.13 if s.wall_clock else frame / float(fps)
    return Truth(
        path=path,
        fps=fps,
        robot_type=s.robot_type,
        lengths=tuple(s.lengths),
        episode_ids=tuple(s.episode_ids or range(len(s.lengths))),
        columns={key: _values(n, shape, s, i) for i, (key, shape) in enumerate(shapes.items()) if shape != (0,)},
        frames={key: pictures(range(n), camera, *size) for camera, (key, size) in cameras},
        row_tasks=tuple(text for episode in row_tasks for text in episode),
        timestamps=times.astype(np.float32),
    )


def _values(n: int, shape: tuple[int, ...], s: Spec, ordinal: int) -> np.ndarray:
    """Smooth curves with a little noise: (n, *shape) in the dtype asked."""
    rng = np.random.default_rng([s.seed, ordinal])
    phase, pace = rng.uniform(0, 6, shape), rng.uniform(0.1, 0.5, shape)
    t = np.arange(n).reshape(-1, *[1] * len(shape))
    return (s.scale * (np.sin(phase + pace * t) + rng.normal(0, 0.01, (n, *shape)))).astype(s.value_dtype)

"""The mixture's metadata, in the shape in which LeRobot's code looks for a dataset's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from robomix.features import Feature
from robomix.mixture.alignment import Schema
from robomix.mixture.source import Source

_INDEX_COLUMNS = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64"}


@dataclass
class MixtureMeta:
    """What `LeRobotDataset.meta` offers, for a mixture. Indices are the mixture's own."""

    repo_id: str
    features: dict[str, dict[str, Any]]
    """LeRobot's feature dicts: cameras are (height, width, channels)."""
    camera_keys: list[str]
    episodes: dict[str, np.ndarray]
    """Arrays of one entry per episode: `dataset_from_index`, `dataset_to_index` (half open), `dataset_source`, ..."""
    tasks: tuple[str, ...]
    """Distinct task texts; a sample's `task_index` points here."""
    robot_type: str | None
    """The sources' robot types, joined by `+` where they differ."""
    source_fps: tuple[Fraction, ...]
    total_frames: int
    total_episodes: int
    stats: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    """Normalization statistics, once they are computed (`robomix.statistics`)."""
    depth_keys: list[str] = field(default_factory=list)
    has_language_columns: bool = False

    @property
    def fps(self) -> float:
        """Frames per second where all sources agree. Raises ValueError where they differ: there is no one rate then."""
        if len(set(self.source_fps)) > 1:
            raise ValueError(
                f"the sources have different rates, {[float(f) for f in self.source_fps]}; ask each source"
            )
        return float(self.source_fps[0])

    @property
    def total_tasks(self) -> int:
        return len(self.tasks)

    @classmethod
    def of(cls, sources: Sequence[Source], schema: Schema, tasks: tuple[str, ...]) -> "MixtureMeta":
        lengths = [np.diff(source.frames.bounds) for source in sources]
        bounds = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        member = np.repeat(np.arange(len(lengths)), [len(one) for one in lengths])
        robots = dict.fromkeys(source.dataset.robot_type or "unknown" for source in sources)
        return cls(
            repo_id="+".join(source.name for source in sources),
            features=lerobot_features(schema),
            camera_keys=schema.camera_keys,
            episodes={
                "episode_index": np.arange(len(member)),
                "dataset_from_index": bounds[:-1],
                "dataset_to_index": bounds[1:],
                "dataset_source": member,
                "length": np.diff(bounds),
            },
            tasks=tasks,
            robot_type="+".join(robots),
            source_fps=tuple(source.dataset.fps for source in sources),
            total_frames=int(bounds[-1]),
            total_episodes=len(member),
        )


def lerobot_features(schema: Schema) -> dict[str, dict[str, Any]]:
    """`schema` as LeRobot's info.json would declare it, bookkeeping columns included."""
    columns = {key: {"dtype": dtype, "shape": (1,), "names": None} for key, dtype in _INDEX_COLUMNS.items()}
    columns["task_index"] = {"dtype": "int64", "shape": (1,), "names": None}
    return {key: _lerobot_feature(feature) for key, feature in schema.features.items()} | columns


def _lerobot_feature(feature: Feature) -> dict[str, Any]:
    if feature.is_camera:
        channels, height, width = feature.shape
        names = ["height", "width", "channels"]
        return {"dtype": "video", "shape": (height, width, channels), "names": names}
    names_of = list(feature.names) if feature.names else None
    return {"dtype": feature.dtype, "shape": feature.shape or (1,), "names": names_of}

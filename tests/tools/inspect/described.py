"""Descriptions of datasets that need no files, for tests of what names and shapes lead to."""

from typing import Any

from robomix.tools.inspect.description import (
    CameraDescription,
    DatasetDescription,
    EpisodeLengths,
    FeatureDescription,
)


def vector(key: str, width: int, names: tuple[str, ...] | None = None, dtype: str = "float32") -> FeatureDescription:
    return FeatureDescription(key, "numeric", dtype, (width,), names)


def camera(key: str, size: tuple[int, int] = (48, 64), channels: int = 3) -> FeatureDescription:
    return FeatureDescription(key, "camera", "uint8", (channels, *size), None)


def dataset(name: str, *features: FeatureDescription, **fields: Any) -> DatasetDescription:
    """Two episodes of 5 frames at 10 fps."""
    cameras = [CameraDescription(f.key, *f.shape[1:], "video", "h264", None) for f in features if f.kind == "camera"]
    given: dict[str, Any] = {
        "name": name,
        "path": f"data/{name}",
        "format": "LeRobot v3.0",
        "robot_type": "arm",
        "fps": 10.0,
        "episodes": 2,
        "frames": 10,
        "hours": 10 / 36000,
        "lengths": EpisodeLengths(5, 5.0, 5),
        "features": features,
        "cameras": tuple(cameras),
        "num_tasks": 1,
        "tasks": (),
        "subsets": {},
        "data_bytes": 0,
        "video_bytes": 0,
        "warnings": (),
    }
    return DatasetDescription(**given | fields)

"""`meta/info.json` of a LeRobot dataset: version, rate, path templates and declared features, checked.

Layouts: LeRobot v2.0 and v2.1 keep one file per episode, v3.0 keeps many episodes per file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from robomix.errors import FormatError
from robomix.files import read_json
from robomix.formats.rate import as_rate

READABLE = ("v2.0", "v2.1", "v3.0")
_FIELD = re.compile(r"\{(\w*)(?::0?(\d{1,2})d)?\}")
DEFAULT_PATHS = {
    "v2": (
        "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    ),
    "v3": (
        "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    ),
}
"""LeRobot's own templates of data and video files, by layout."""


@dataclass(frozen=True)
class Info:
    """What robomix takes from `meta/info.json`."""

    root: Path
    version: str
    """One of `READABLE`."""
    fps: Fraction
    robot_type: str | None
    features: Mapping[str, Mapping[str, Any]]
    """As declared, not yet interpreted."""
    chunks_size: int
    """v2.x: episodes per chunk folder."""
    data_path: str
    """Template of the data files, relative to `root`."""
    video_path: str
    """Template of the video files, relative to `root`."""

    @property
    def default_video_path(self) -> str:
        """LeRobot's own template for this version."""
        return DEFAULT_PATHS[self.version[:2]][1]

    def folders(self) -> list[str]:
        """The folders of `root` that hold the dataset: LeRobot's own and those the templates name."""
        tops = (_confined(path, self.root).parts[0] for path in (self.data_path, self.video_path))
        return ["meta", "data", "videos", *(top for top in tops if "{" not in top)]


def read_info(root: Path) -> Info:
    """Read and check `meta/info.json`. Raises FormatError naming the file, what is wrong and what to do."""
    path = root / "meta" / "info.json"
    raw = read_json(path)
    version = _version(raw, path)
    if raw.get("storage_format", "parquet") != "parquet":
        raise FormatError(f"{path}: storage_format is {raw['storage_format']!r}; robomix reads 'parquet' only.")
    features = raw.get("features")
    if not isinstance(features, dict) or not features or not all(isinstance(spec, dict) for spec in features.values()):
        raise FormatError(
            f"{path} declares no features: expected an object 'features' that maps each key to its dtype and shape. "
            "Restore the file from the source of the dataset."
        )
    chunks_size, robot_type = raw.get("chunks_size"), raw.get("robot_type")
    data_path, video_path = DEFAULT_PATHS[version[:2]]
    return Info(
        root=root,
        version=version,
        fps=as_rate(raw.get("fps"), f"{path}: fps"),
        robot_type=robot_type if isinstance(robot_type, str) and robot_type.strip() else None,
        features=features,
        chunks_size=chunks_size if isinstance(chunks_size, int) and chunks_size > 0 else 1000,
        data_path=_template(raw.get("data_path"), data_path, path),
        video_path=_template(raw.get("video_path"), video_path, path),
    )


def fill(template: str, root: Path, **values: int | str) -> str | None:
    """The relative path a template gives; None where it asks for a value that this layout does not have.

    Only plain fields such as `{episode_index:06d}` are understood, never attribute look-ups, and a path that leaves
    the dataset's folder raises FormatError.
    """
    if any(field not in values for field, _ in _FIELD.findall(template)):
        return None

    def value_of(match: re.Match[str]) -> str:
        value, width = values[match[1]], match[2]
        return f"{value:0{width}d}" if width and isinstance(value, int) else str(value)

    return str(_confined(_FIELD.sub(value_of, template), root))


def _confined(path: str, root: Path) -> PurePosixPath:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or not pure.parts:
        raise FormatError(
            f"{root / 'meta' / 'info.json'}: the path {path!r} leads out of the dataset's folder. robomix does not "
            "follow it; correct data_path and video_path, or do not use this dataset."
        )
    return pure


def _template(value: object, default: str, path: Path) -> str:
    if value is None:
        return default
    if not isinstance(value, str):
        raise FormatError(f"{path}: a path template is {value!r}, expected text such as {default!r}.")
    return value


def _version(raw: Mapping[str, Any], path: Path) -> str:
    found = raw.get("codebase_version")
    if found is None:
        calls_itself = f" It calls itself {raw['format']!r}." if isinstance(raw.get("format"), str) else ""
        raise FormatError(
            f"{path.parent.parent} is not a LeRobot dataset: meta/info.json has no 'codebase_version'.{calls_itself} "
            f"robomix reads {', '.join(READABLE)}; convert the data to one of these."
        )
    version = found if isinstance(found, str) and found.startswith("v") else f"v{found}"
    if version in READABLE:
        return version
    if version.startswith("v1"):
        remedy = "Convert it with LeRobot's script lerobot/common/datasets/v2/convert_dataset_v1_to_v2.py (LeRobot 0.1)"
    else:
        remedy = "If it is newer, update robomix; if it is a slip, correct codebase_version"
    raise FormatError(f"{path}: codebase_version is {found!r}; robomix reads {', '.join(READABLE)}. {remedy}.")

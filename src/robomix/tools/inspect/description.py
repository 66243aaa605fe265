"""What an inspection finds, as plain data: for tables, for JSON, for pages. `record()` gives what JSON can hold."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FeatureDescription:
    """One feature of a dataset, by its own name."""

    key: str
    kind: str
    """`numeric`, `camera`, `text` or `binary`; the last two are only listed."""
    dtype: str
    shape: tuple[int, ...]
    """Of one frame; cameras are (channels, height, width)."""
    names: tuple[str, ...] | None
    """Of a vector's entries, where the dataset has them."""


@dataclass(frozen=True)
class CameraDescription:
    """One camera, by its own name; what the header of its first file says of it."""

    key: str
    height: int
    width: int
    storage: str
    """`video`, `image` (encoded pictures) or `array` (pixels)."""
    codec: str | None
    """Such as `av1`, `h264`, `png`; None for pixels, and where it is not known."""
    pixel_format: str | None
    """Such as `yuv420p`, of videos."""
    problem: str | None = None
    """Why the file could not be looked into."""


@dataclass(frozen=True)
class TaskDescription:
    """One task, and how much of the dataset it is."""

    text: str
    frames: int


@dataclass(frozen=True)
class EpisodeLengths:
    """In frames."""

    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class DatasetDescription:
    """One dataset that can be read."""

    name: str
    """What a mixture would call it: its folder's name, with #2 at the second of that name."""
    path: str
    """As it was given, or below the folder that was given."""
    format: str
    robot_type: str | None
    fps: float | None
    """None: its files do not say, and nobody else did."""
    episodes: int
    frames: int
    hours: float | None
    """None where `fps` is."""
    lengths: EpisodeLengths
    features: tuple[FeatureDescription, ...]
    cameras: tuple[CameraDescription, ...]
    num_tasks: int
    """Of those that any frame has; a dataset may list more."""
    tasks: tuple[TaskDescription, ...]
    """The first of these."""
    subsets: dict[str, tuple[int, ...]]
    """Named selections of episodes that the dataset brings along: for `filter_key`."""
    data_bytes: int
    """On disk, all files but videos."""
    video_bytes: int
    warnings: tuple[str, ...]
    """What of it is not read, and why."""

    def record(self) -> dict[str, Any]:
        """The description as JSON has it."""
        return asdict(self)

    def feature(self, key: str) -> FeatureDescription | None:
        """The feature `key`; None where there is none."""
        return next((feature for feature in self.features if feature.key == key), None)


@dataclass(frozen=True)
class Unreadable:
    """A dataset that cannot be opened."""

    path: str
    reason: str


@dataclass(frozen=True)
class KeyComparison:
    """One key over all datasets."""

    key: str
    cells: tuple[str | None, ...]
    """For each dataset dtype and shape, as in `float32 (7)`; None where it has no such feature."""
    missing: tuple[str, ...]
    """Datasets without it."""
    difference: str | None
    """What those differ in that have it, and what a mixture makes of that, or `the same`; None where one has it."""
    entry_names: str | None
    """For vectors that several have, whether their entries are called the same; None where it does not apply."""


@dataclass(frozen=True)
class Compatibility:
    """How several datasets fit each other under their own names."""

    datasets: tuple[str, ...]
    fps: tuple[float | None, ...]
    robots: tuple[str | None, ...]
    keys: tuple[KeyComparison, ...]

    def record(self) -> dict[str, Any]:
        """The table as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Inspection:
    """Everything an inspection finds."""

    datasets: tuple[DatasetDescription, ...]
    unreadable: tuple[Unreadable, ...]
    compatibility: Compatibility | None
    """None for a single dataset."""
    suggestion: str | None
    """Text of a mixture file of all of them, with comments; None where there is nothing to train on."""

    def record(self) -> dict[str, Any]:
        """The inspection as JSON has it."""
        return asdict(self)

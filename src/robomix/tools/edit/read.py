"""The content of a dataset of any format, and the version of LeRobot's that it stays in."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from robomix.errors import ConfigError, FormatError, did_you_mean
from robomix.formats.detect import open_dataset
from robomix.formats.lerobot.info import read_info
from robomix.tools.build.content import Content
from robomix.tools.build.foreign import content_of_dataset, is_lerobot_folder
from robomix.tools.build.layout import Version
from robomix.tools.build.source import read_content


@dataclass(frozen=True)
class Opened:
    """A dataset that was read for a new one to be made of it."""

    content: Content
    version: Version
    """LeRobot's, as which the new one is written where nothing else is asked."""
    notes: tuple[str, ...] = ()
    """What of it is not taken over."""


def open_content(
    path: Path, *, fps: float | None = None, codec: str = "libsvtav1", cameras_as: str = "video"
) -> Opened:
    """The dataset at `path`: LeRobot's as it lies there, of another format what robomix reads of it.

    Args:
        path: the dataset.
        fps: the rate, of one whose files do not say it.
        codec: declared for the cameras of a format that is not LeRobot's, when they become video.
        cameras_as: `video`, or `image`.

    Raises FormatError for what is no dataset or damaged, ConfigError for a rate that is not the dataset's.
    """
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")
    if is_lerobot_folder(path):
        info = read_info(path)
        if fps is not None and abs(fps - float(info.fps)) > 1e-3:
            raise ConfigError(f"--fps={fps:g}, but {path} has {float(info.fps):g}. Leave it out.")
        return Opened(read_content(path), cast(Version, info.version))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = open_dataset(path, fps=fps)
        if dataset.unusable:
            episode, why = next(iter(dataset.unusable.items()))
            raise FormatError(f"{path}: episode {episode} cannot be used: {why}. Correct the recording first.")
        content = content_of_dataset(dataset, cameras_as=cameras_as, codec=codec)
    return Opened(content, "v3.0", tuple(str(warning.message) for warning in caught))

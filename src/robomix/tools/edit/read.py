"""The content of a dataset of any format, and the version of LeRobot's that it stays in."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from robomix.errors import ConfigError, FormatError, did_you_mean
from robomix.features import BOOKKEEPING
from robomix.files import expanded
from robomix.formats.base import Dataset
from robomix.formats.detect import open_dataset
from robomix.formats.lerobot.info import read_info
from robomix.formats.rate import NoRateError
from robomix.remote.mirror import local_path
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


def open_content(path: Path, *, fps: float | None = None, codec: str = "libsvtav1") -> Opened:
    """The dataset at `path`: LeRobot's as it lies there, of another format what robomix reads of it.

    Args:
        path: the dataset.
        fps: the rate, of one whose files do not say it.
        codec: declared for the cameras of a format that is not LeRobot's, which become video.

    Raises FormatError for what is no dataset or damaged, ConfigError for a rate that is not the dataset's.
    """
    path = local_path(expanded(path))
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")
    if is_lerobot_folder(path):
        info = read_info(path)
        if fps is not None and not abs(fps - float(info.fps)) <= 1e-3:
            raise ConfigError(f"--fps={fps:g}, but {path} has {float(info.fps):g}. Leave it out.")
        content = read_content(path)
        absent = [key for key in info.features if key not in content.features and key not in BOOKKEEPING]
        notes = [f"left out: {key}, which meta/info.json declares and no file holds" for key in absent]
        return Opened(content, cast(Version, info.version), tuple(notes))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = open_recording(path, fps)
        if dataset.unusable:
            episode, why = next(iter(dataset.unusable.items()))
            raise FormatError(f"{path}: episode {episode} cannot be used: {why}. Correct the recording first.")
        content = content_of_dataset(dataset, codec=codec)
    return Opened(content, "v3.0", tuple(str(warning.message) for warning in caught))


def open_recording(path: Path, fps: float | None) -> Dataset:
    """As `open_dataset`, with advice that fits the commands. Raises ConfigError for one that does not say its rate."""
    try:
        return open_dataset(path, fps=fps)
    except NoRateError as error:
        raise ConfigError(
            f"{path} does not say how many frames per second it was recorded with, and its format keeps no times. Give "
            "them to robomix convert, such as --fps 20; what that writes says them to all other commands."
        ) from error

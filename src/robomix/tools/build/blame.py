"""What is to blame where writing fails: the system, the disk, or a video that was damaged before."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from robomix.errors import ConfigError, FormatError
from robomix.tools.check.raw.glances import glance
from robomix.tools.check.raw.videos import read_video
from robomix.video.remux import Clip


@contextmanager
def blaming_the_system(target: Path, left: str = "What is finished is kept for the next run.") -> Iterator[None]:
    """Where the system fails the block (a full disk, no permission), raises ConfigError that says so of `target`."""
    try:
        yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise ConfigError(f"{target} is not written: {error.strerror or error}{where}. {left}") from error


@contextmanager
def blaming_sources(clips: Sequence[Clip]) -> Iterator[None]:
    """Where the block raises FormatError about the copy of `clips`, raises one that names the damaged source instead.

    A video may hold garbage behind a sound index, which only decoding shows; so nobody looks before something fails.
    """
    try:
        yield
    except FormatError as error:
        for path in dict.fromkeys(clip.path for clip in clips):
            count = read_video(path).count
            lost = count - len(glance(path, count).times)
            if lost > 0:
                raise FormatError(
                    f"{path}: {lost:,} of {count:,} frames cannot be decoded (V09), so no copy of them can be read "
                    "back. `robomix check --decode` names the episodes; `robomix repair` with --decode "
                    "--drop_episodes leaves them out. Nothing was published."
                ) from error
        raise

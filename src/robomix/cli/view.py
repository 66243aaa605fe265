"""`robomix view`: samples and episodes of a mixture or dataset as a recording for the Rerun viewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.errors import ConfigError


@dataclass(frozen=True)
class Arguments:
    """Writes samples as a policy sees them, and whole episodes, to a file for the Rerun viewer: rerun FILE.rrd.

    Needs the extra `view`: pip install 'robomix[view]'.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """Mixture file, or a dataset."""
    rrd: Path
    """The file to write; must end in .rrd and not exist yet."""
    samples: int = 50
    """How many samples, the first that a training draws; 0 for none."""
    episodes: int = 1
    """How many episodes of each dataset, the first ones; 0 for none."""
    fps: float | None = None
    """Frames per second, for a dataset whose files do not say."""
    jpeg_quality: int = 85
    """Of the pictures, 1 to 100."""


def run(argv: Sequence[str]) -> int:
    """Writes the recording that `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix view", args=list(argv), use_underscores=True)
    for name, least, most in (("samples", 0, 1_000_000), ("episodes", 0, 1_000_000), ("jpeg_quality", 1, 100)):
        if not least <= getattr(arguments, name) <= most:
            raise ConfigError(f"--{name}: found {getattr(arguments, name)}, expected {least} to {most:,}.")
    from robomix.tools.view.subject import opened
    from robomix.tools.view.view import write_recording

    mixture, schedule = opened(arguments.path, arguments.fps)
    written = write_recording(
        mixture,
        schedule,
        arguments.rrd,
        samples=arguments.samples,
        episodes=arguments.episodes,
        jpeg_quality=arguments.jpeg_quality,
    )
    text = f"{written.samples} samples and {written.episodes} episodes of {written.frames:,} frames"
    size = f"{written.bytes / 1e6:,.1f} MB in {arguments.rrd}: rerun {arguments.rrd}"
    Console().print(f"{text}, {size}", highlight=False, markup=False, soft_wrap=True)
    return 0

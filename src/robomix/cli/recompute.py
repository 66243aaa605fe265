"""`robomix recompute`: a dataset with its statistics computed anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Switch, Writing, write
from robomix.tools.edit.read import open_content


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset whose statistics follow from its data, per episode and as a whole, with exact quantiles.

    Those of numbers are computed by every command that writes a dataset. Those of cameras are measured on up to 100
    frames of each episode, and kept where they are known; --cameras measures them all.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    writing: Annotated[Writing, Shared]
    cameras: Switch = False
    """Measure the cameras too, although the dataset has their statistics."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix recompute", args=list(argv), use_underscores=True)
    opened = open_content(arguments.path)
    content = opened.content
    if arguments.cameras:
        content = replace(content, episodes=tuple(replace(e, camera_stats={}) for e in content.episodes))
    return write(content, arguments.writing, opened.version, notes=opened.notes)

"""`robomix delete`: a dataset without some of its episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.tools.edit.episodes import delete
from robomix.tools.edit.read import open_content
from robomix.tools.edit.words import numbers


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset without some of its episodes; the others are numbered anew, and their frames are copied.

    Frames are coded again only where a video cannot be cut where it would have to be; the plan says which and why.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    episodes: str
    """Which to leave out, by episode_index: 3,7:12 is 3 and 7 to 11."""
    writing: Annotated[Writing, Shared]


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix delete", args=list(argv), use_underscores=True)
    opened = open_content(arguments.path)
    content = delete(opened.content, numbers(arguments.episodes, "--episodes"))
    return write(content, arguments.writing, opened.version, notes=opened.notes)

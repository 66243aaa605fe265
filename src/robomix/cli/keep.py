"""`robomix keep`: some episodes of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.tools.edit.episodes import keep
from robomix.tools.edit.read import open_content
from robomix.tools.edit.words import numbers


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset of some episodes of another, numbered in the order in which they are named."""

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    episodes: str
    """Which to keep, by episode_index: 3,7:12 is 3 and 7 to 11."""
    writing: Annotated[Writing, Shared]


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix keep", args=list(argv), use_underscores=True)
    opened = open_content(arguments.path)
    content = keep(opened.content, numbers(arguments.episodes, "--episodes"))
    return write(content, arguments.writing, opened.version, notes=opened.notes)

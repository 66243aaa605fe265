"""`robomix shuffle`: a dataset with its episodes in another order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.tools.edit.episodes import shuffle
from robomix.tools.edit.read import open_content


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset with its episodes in a random order: for readers that take them as they come.

    Trainings of robomix draw frames in an order of their own, and need no shuffled dataset.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    writing: Annotated[Writing, Shared]
    seed: int = 0
    """The same seed gives the same order."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix shuffle", args=list(argv), use_underscores=True)
    opened = open_content(arguments.path)
    content = shuffle(opened.content, arguments.seed)
    return write(content, arguments.writing, opened.version, notes=opened.notes)

"""`robomix drop`: a dataset without some of its features."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.errors import ConfigError
from robomix.tools.edit.features import drop, mentions
from robomix.tools.edit.read import open_content


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset without some of its features, such as cameras that no policy looks through."""

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    features: tuple[str, ...]
    """Which to leave out, by their names."""
    writing: Annotated[Writing, Shared]


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix drop", args=list(argv), use_underscores=True)
    if not arguments.features:
        raise ConfigError("say what to drop: --features NAME, one or more.")
    opened = open_content(arguments.path)
    notes = (*opened.notes, *mentions(opened.content, arguments.features))
    return write(drop(opened.content, arguments.features), arguments.writing, opened.version, notes=notes)

"""`robomix rename`: a dataset with features of other names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.errors import ConfigError
from robomix.tools.edit.features import mentions, rename
from robomix.tools.edit.read import open_content
from robomix.tools.edit.words import pairs


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset whose features have other names; no frame is coded again, and two may swap theirs.

    A mixture file can rename features without a new dataset: `feature_map`.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    features: tuple[str, ...]
    """OLD=NEW for each feature: image=observation.images.top state=observation.state"""
    writing: Annotated[Writing, Shared]


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix rename", args=list(argv), use_underscores=True)
    names = pairs(arguments.features, "--features")
    if not names:
        raise ConfigError("say what to rename: --features OLD=NEW, one or more.")
    opened = open_content(arguments.path)
    notes = (*opened.notes, *mentions(opened.content, names))
    return write(rename(opened.content, names), arguments.writing, opened.version, notes=notes)

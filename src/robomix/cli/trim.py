"""`robomix trim`: a dataset with shorter episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write
from robomix.errors import ConfigError
from robomix.tools.build.content import Content
from robomix.tools.edit.episodes import trim
from robomix.tools.edit.read import open_content
from robomix.tools.edit.trimming import Bounds, without_ends, without_stillness
from robomix.tools.edit.words import pairs, spans


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset of which some episodes have lost frames at their ends; no frame is lost inside of one.

    Say which by one of --episodes, --head with --tail, and --idle. Videos whose new start is no key frame are coded
    again, of those episodes only; the plan says which and why.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    writing: Annotated[Writing, Shared]
    episodes: tuple[str, ...] = ()
    """EPISODE=START:STOP for each that is trimmed: 3=10:200 keeps frames 10 to 199 of episode 3."""
    head: int = 0
    """Frames to leave out at the start of every episode."""
    tail: int = 0
    """Frames to leave out at the end of every episode."""
    idle: str | None = None
    """A feature, such as action: leave out the frames before it first moves, and after it last does."""
    below: float | None = None
    """With --idle: an entry that changes by no more than this from frame to frame does not move."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix trim", args=list(argv), use_underscores=True)
    if sum((bool(arguments.episodes), bool(arguments.head or arguments.tail), arguments.idle is not None)) != 1:
        raise ConfigError("say what to trim: one of --episodes, --head and --tail, and --idle.")
    if (arguments.idle is None) != (arguments.below is None):
        raise ConfigError("--idle and --below go together: what must move, and what counts as not moving.")
    opened = open_content(arguments.path)
    content = trim(opened.content, _bounds(opened.content, arguments))
    cut = opened.content.num_frames - content.num_frames
    notes = (*opened.notes, f"left out: {cut:,} of {opened.content.num_frames:,} frames")
    return write(content, arguments.writing, opened.version, notes=notes)


def _bounds(content: Content, arguments: Arguments) -> Bounds:
    if arguments.idle is not None and arguments.below is not None:
        return without_stillness(content, arguments.idle, arguments.below)
    if arguments.episodes:
        return spans(pairs(arguments.episodes, "--episodes"), "--episodes")
    return without_ends(content, arguments.head, arguments.tail)

"""`robomix tasks`: a dataset with other texts for what its episodes do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Switch, Writing, write
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.tools.build.content import Content
from robomix.tools.edit.read import open_content
from robomix.tools.edit.tasks import normalized, retask, set_task
from robomix.tools.edit.words import numbers, pairs

_EXAMPLE = "{old text: new text}"


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset with other task texts. Texts that become equal become one task; numbers and frames stay."""

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    writing: Annotated[Writing, Shared]
    set: str | None = None
    """One text for every frame."""
    episodes: str | None = None
    """The episodes that --set is for: 3,7:12 is 3 and 7 to 11. Default: all."""
    map: tuple[str, ...] = ()
    """OLD=NEW for each text that changes."""
    map_file: Path | None = None
    """A YAML or JSON file of such pairs, for texts with `=` in them."""
    normalize: Switch = False
    """Make texts one that differ only in case, spaces or a dot at the end: as the first of them is written."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix tasks", args=list(argv), use_underscores=True)
    if sum((arguments.set is not None, bool(arguments.map or arguments.map_file), arguments.normalize)) != 1:
        raise ConfigError("say what becomes of the tasks: one of --set, --map (or --map_file) and --normalize.")
    if arguments.episodes is not None and arguments.set is None:
        raise ConfigError("--episodes says which episodes get the text of --set, and there is none.")
    texts = pairs(arguments.map, "--map") | _from_file(arguments.map_file)
    opened = open_content(arguments.path)
    content = _changed(opened.content, arguments, texts)
    return write(content, arguments.writing, opened.version, notes=opened.notes)


def _changed(content: Content, arguments: Arguments, texts: Mapping[str, str]) -> Content:
    if arguments.set is not None:
        chosen = None if arguments.episodes is None else numbers(arguments.episodes, "--episodes")
        return set_task(content, arguments.set, chosen)
    return normalized(content) if arguments.normalize else retask(content, texts)


def _from_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    found = dict(read_document(path, _EXAMPLE))
    if not found:
        raise ConfigError(f"--map_file: {path} changes no text. It holds, for example, {_EXAMPLE}.")
    if wrong := next((f"{old!r}: {new!r}" for old, new in found.items() if not isinstance(new, str) or not new), None):
        raise ConfigError(f"--map_file: {path} maps {wrong}, expected a text for each text.")
    return found

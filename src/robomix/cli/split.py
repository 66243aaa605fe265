"""`robomix split`: one dataset as several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robomix.cli.writing import Shared, Writing, write_all
from robomix.errors import ConfigError
from robomix.tools.build.content import Content
from robomix.tools.edit.parts import check_name
from robomix.tools.edit.read import open_content
from robomix.tools.edit.rules import by_rules
from robomix.tools.edit.split import by_fractions, by_lists
from robomix.tools.edit.words import numbers, pairs, shares


@dataclass(frozen=True)
class Arguments:
    """Writes the episodes of a dataset as several datasets, OUT/NAME each; all appear at once, or none.

    Say how by one of --fractions, --lists and --rules. Episodes that are in no part are left out, and the plan says so.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    writing: Annotated[Writing, Shared]
    fractions: tuple[str, ...] = ()
    """NAME=SHARE for each part, such as train=0.8 val=0.2: drawn at random, of every task alike."""
    seed: int | None = None
    """Of --fractions: the same seed draws the same episodes. Default: 0."""
    lists: tuple[str, ...] = ()
    """NAME=EPISODES for each part, such as train=0:8 val=8,9."""
    rules: tuple[str, ...] = ()
    """NAME=RULE for each part, such as 'pick=task:pick*' long=length:500: good=success:next.success other=rest. An
    episode goes to the first part whose rule it meets."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix split", args=list(argv), use_underscores=True)
    if sum(map(bool, (arguments.fractions, arguments.lists, arguments.rules))) != 1:
        raise ConfigError("say how to split: one of --fractions, --lists and --rules.")
    if arguments.seed is not None and not arguments.fractions:
        raise ConfigError("--seed says which episodes --fractions draws, and there is none. Leave it out.")
    opened = open_content(arguments.path)
    parts = _parts(opened.content, arguments)
    for name in parts:
        check_name(name)
    left = len(opened.content.episodes) - sum(len(part.episodes) for part in parts.values())
    notes = (*opened.notes, *((f"left out: {left} of {len(opened.content.episodes)} episodes",) if left else ()))
    return write_all(parts, arguments.writing, opened.version, notes=notes)


def _parts(content: Content, arguments: Arguments) -> Mapping[str, Content]:
    if arguments.fractions:
        fractions = shares(pairs(arguments.fractions, "--fractions"), "--fractions")
        return by_fractions(content, fractions, seed=arguments.seed or 0)
    if arguments.lists:
        lists = pairs(arguments.lists, "--lists")
        return by_lists(content, {name: numbers(text, "--lists") for name, text in lists.items()})
    return by_rules(content, pairs(arguments.rules, "--rules"))

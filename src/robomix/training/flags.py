"""Flags of the command line: `--a.b=value`, read by the type of what they set, and laid over a file's data.

`--flag=value` and `--flag value` mean the same; a flag alone is `true`. Values are YAML: `[0, 1]` is a list, `1e-5` a
number. Where a flag sets text, the value is taken as it stands, so that `--job_name=007` stays `007`. Lists are reached
by position: `--dataset.datasets.0.weight=2`; one past the end adds an entry. Of flags given twice the last counts.
"""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin

from robomix.documents import MAX_DEPTH, parse_value
from robomix.errors import ConfigError, did_you_mean
from robomix.problems import KeyPath, Problem
from robomix.validation import fields_of, fit

Schema = Mapping[str, Any]
"""Key to what it takes: a type hint, or a Schema for a block whose keys are known."""

MAP_KEYS = ("feature_map", "weights")
"""Blocks whose keys hold dots: all that follows in the flag's name is one key."""


@dataclass(frozen=True)
class Flag:
    """One flag as typed."""

    name: str
    """Without the dashes: `dataset.alpha`."""
    text: str | None
    """None for a flag without a value."""

    @property
    def parts(self) -> list[str]:
        """The keys it goes through, outermost first."""
        parts = self.name.split(".")
        for i, part in enumerate(parts):
            if part in MAP_KEYS and len(parts) > i + 2:
                return [*parts[: i + 1], ".".join(parts[i + 1 :])]
        return parts


class UnknownKeyError(Exception):
    """No such key; the text is the advice."""


def parse_flags(argv: Sequence[str]) -> list[Flag]:
    """The flags of a command line. Raises ConfigError for anything that is no flag."""
    flags: list[Flag] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, has_value, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name or name.count(".") > MAX_DEPTH:
            hint = f" Did you mean `--config_path={word}`?" if word.endswith((".yaml", ".yml", ".json")) else ""
            raise ConfigError(f"found {word!r} where a flag like --steps=1000 was expected.{hint}")
        value = text if has_value else None
        if not has_value and rest and not rest[0].startswith("--"):
            value = rest.pop(0)
        flags.append(Flag(name, value))
    return flags


def overlay(data: dict[str, Any], flags: Sequence[Flag], schema: Schema) -> tuple[dict[KeyPath, str], list[Problem]]:
    """Sets what the flags say in `data`, in place. Returns which key each flag has set, and what is wrong with them.

    Flags that are wrong set nothing. Raises ConfigError for a flag that goes through a value that holds no others.
    """
    set_by: dict[KeyPath, str] = {}
    problems = []
    for flag in flags:
        try:
            hint = _hint_at(schema, flag.parts)
        except UnknownKeyError as error:
            set_by[(flag.name,)] = flag.name
            problems.append(Problem((flag.name,), f"unknown flag.{error}"))
            continue
        if flag.text is None and fit(hint, True, ()):
            set_by[(flag.name,)] = flag.name
            problems.append(Problem((flag.name,), "needs a value: --flag=value or --flag value."))
            continue
        value = True if flag.text is None else value_of(flag.text, hint)
        set_by[_set(data, flag, value)] = flag.name
    return set_by, problems


def value_of(text: str, hint: Any) -> Any:
    """The value a flag's text stands for, where `hint` is expected. What does not fit comes back as it reads best."""
    value = parse_value(text)
    if (isinstance(value, str) and not text.startswith(("'", '"'))) or text == "~":
        value = text
    return text if fit(hint, value, ()) and not fit(hint, text, ()) else value


def copied(value: Any) -> Any:
    """A copy in which nothing is shared, so that setting one entry of a YAML alias leaves the others alone."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def _hint_at(hint: Any, parts: Sequence[str]) -> Any:
    """What the key at `parts` takes. Raises UnknownKeyError where there is none."""
    for i, part in enumerate(parts):
        if get_origin(hint) in (Union, types.UnionType):
            return _hint_in_any(get_args(hint), parts[i:])
        kind = get_origin(hint) or hint
        if isinstance(hint, Mapping):
            hint = _known(hint, part)
        elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
            hint = _known(fields_of(hint), part)
        elif isinstance(kind, type) and issubclass(kind, Mapping):
            hint = (*get_args(hint), Any, Any)[1]
        elif isinstance(kind, type) and issubclass(kind, Sequence) and not issubclass(kind, str):
            if not part.isdecimal():
                raise UnknownKeyError(f" {part!r} stands where the position in a list is expected, such as 0.")
            hint = (*get_args(hint), Any)[0]
        elif hint is not Any:
            raise UnknownKeyError(f" {'.'.join(parts[:i])!r} holds a single value, nothing lies in it.")
    return hint


def _hint_in_any(hints: Sequence[Any], parts: Sequence[str]) -> Any:
    errors = []
    for hint in hints:
        try:
            return _hint_at(hint, parts)
        except UnknownKeyError as error:
            errors.append(error)
    raise errors[0]


def _known(schema: Schema, part: str) -> Any:
    if part in schema:
        return schema[part]
    advice = did_you_mean(part, schema) or (f" Known: {', '.join(schema)}." if len(schema) < 30 else "")
    raise UnknownKeyError(f" There is no {part!r}.{advice}")


def _set(data: dict[str, Any], flag: Flag, value: Any) -> KeyPath:
    """Sets `value` where the flag says, making the blocks on the way. Returns where that was."""
    place: Any = data
    path: list[str | int] = []
    for i, part in enumerate(flag.parts):
        key: str | int = int(part) if isinstance(place, list) and part.isdecimal() else part
        path.append(key)
        is_last = i + 1 == len(flag.parts)
        if isinstance(place, list):
            if not isinstance(key, int) or key > len(place):
                raise ConfigError(f"--{flag.name}: the list has {len(place)} entries; {len(place)} would add one.")
            if key == len(place):
                place.append(None)
            inner = place[key]
        elif isinstance(place, dict):
            inner = place.get(part)
        else:
            above = ".".join(flag.parts[:i])
            raise ConfigError(f"--{flag.name}: {above!r} is {place!r}, expected a mapping there.")
        if is_last:
            inner = value
        elif inner is None:
            inner = [] if flag.parts[i + 1].isdecimal() else {}
        place[key] = inner
        place = inner
    return tuple(path)

"""Does plain data fit the dataclasses it is meant for? Strict: nothing is converted, and everything wrong is found.

The checks return problems instead of raising at the first one, so that a mixture file is corrected in one round.
"""

import dataclasses
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from robomix.errors import did_you_mean
from robomix.problems import KeyPath, Problem, show, wrong

_BIGGEST_INT = 2**63 - 1


@cache
def fields_of(cls: type) -> Mapping[str, Any]:
    """Names and type hints of the fields a dataclass is built from. A default of None or a boolean is allowed too."""
    hints = get_type_hints(cls)
    own_fields = [field for field in dataclasses.fields(cls) if field.init]
    odd = {f.name: type(f.default) for f in own_fields if f.default is None or isinstance(f.default, bool)}
    return {f.name: hints[f.name] | odd[f.name] if f.name in odd else hints[f.name] for f in own_fields}


def unknown_keys(
    block: Mapping[Any, Any], known: Iterable[str], key: KeyPath, hint: Callable[[str], str] | None = None
) -> list[Problem]:
    """A problem for every key of `block` that is not known; `hint` may know where such a key belongs."""
    known = list(known)
    problems = []
    for name in block:
        if name in known:
            continue
        if not isinstance(name, str):
            problems.append(Problem((*key, show(name)), "keys are text, this one is not. Put it in quotes."))
            continue
        advice = (hint(name) if hint else "") or did_you_mean(name, known) or f" Known: {', '.join(known)}."
        problems.append(Problem((*key, name), f"unknown key.{advice}"))
    return problems


def fit(hint: Any, value: Any, key: KeyPath) -> list[Problem]:
    """What keeps `value`, plain data, from being a `hint`: a type, generic, union, Literal, Enum or dataclass.

    Whole numbers pass for floats; nothing else passes for what it is not. Numbers must be finite.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_union(args, value, key)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _fit_dataclass(hint, value, key)
    kind = origin or hint
    if _is_list(kind):
        return _fit_list(hint, kind, args, value, key)
    if _is_mapping(kind):
        return _fit_mapping(args, value, key)
    if kind is Any:
        return _fit_plain(value, key)
    return [] if _is(hint, value) else [wrong(key, value, describe(hint), _fix(hint, value))]


def describe(hint: Any) -> str:
    """The type in words, as errors and help have it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(arg) for arg in args))
    if origin is Literal:
        return " or ".join(map(repr, args))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(repr(member.name) for member in hint)
    names = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text", Path: "a path"}
    if hint in names:
        return names[hint]
    if hint is type(None):
        return "null"
    kind = origin or hint
    if _is_list(kind):
        return "a list" + {int: " of whole numbers", float: " of numbers", str: " of texts"}.get((*args, None)[0], "")
    if dataclasses.is_dataclass(kind) or _is_mapping(kind):
        return "a mapping"
    return str(hint)


def _is_list(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Sequence) and not issubclass(kind, str | bytes)


def _is_mapping(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _is(hint: Any, value: Any) -> bool:
    if hint is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    if hint is int:
        return type(value) is int and abs(value) <= _BIGGEST_INT
    if hint is Path:
        return isinstance(value, str | Path)
    if get_origin(hint) is Literal:
        return any(type(value) is type(arg) and value == arg for arg in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return any(value == member.name or value == member.value for member in hint)
    if hint is None or hint is type(None):
        return value is None
    if hint in (str, bool):
        return type(value) is hint
    return True  # a kind of its own: left to whoever builds it


def _fix(hint: Any, value: Any) -> str:
    if hint in (int, float) and isinstance(value, str) and re.fullmatch(r"\s*[-+]?[\d.]+(e[-+]?\d+)?\s*", value):
        return "Remove the quotes."
    if hint in (str, Path) and type(value) in (int, float, bool):
        return "Put it in quotes."
    if hint is bool and str(value).lower() in ("yes", "on", "true", "1", "no", "off", "false", "0"):
        return f"Write {str(str(value).lower() in ('yes', 'on', 'true', '1')).lower()}, without quotes."
    if get_origin(hint) is Literal and isinstance(value, str):
        return did_you_mean(value, [arg for arg in get_args(hint) if isinstance(arg, str)]).strip()
    return ""


def _fit_union(args: Sequence[Any], value: Any, key: KeyPath) -> list[Problem]:
    found = {arg: fit(arg, value, key) for arg in args}
    if not all(found.values()):
        return []
    # The problem of the one member that has the value's form says more than "expected A or B".
    formed = [problems for arg, problems in found.items() if _same_form(arg, value)]
    if len(formed) == 1:
        return formed[0]
    fix = next((_fix(arg, value) for arg in args if _fix(arg, value)), "")
    return [wrong(key, value, describe(Union[tuple(args)]), fix)]  # noqa: UP007 built from a list


def _same_form(hint: Any, value: Any) -> bool:
    kind = get_origin(hint) or hint
    if isinstance(value, list):
        return _is_list(kind)
    if isinstance(value, dict):
        return dataclasses.is_dataclass(kind) or _is_mapping(kind)
    return False


def _fit_dataclass(cls: type, value: Any, key: KeyPath) -> list[Problem]:
    if not isinstance(value, Mapping):
        return [wrong(key, value, "a mapping with some of the keys " + ", ".join(fields_of(cls)))]
    if "type" in value and hasattr(cls, "get_known_choices"):
        return []  # one of several classes, known by name to whoever builds it
    missing = [f.name for f in dataclasses.fields(cls) if f.init and f.name not in value and _is_required(f)]
    problems = [Problem(key, f"lacks the key `{name}`.") for name in missing] + unknown_keys(value, fields_of(cls), key)
    return problems + [
        problem
        for name, hint in fields_of(cls).items()
        if name in value
        for problem in fit(hint, value[name], (*key, name))
    ]


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _fit_list(hint: Any, kind: type, args: Sequence[Any], value: Any, key: KeyPath) -> list[Problem]:
    if not isinstance(value, list | tuple):
        return [wrong(key, value, describe(hint), "Write it as [a, b, c]." if not isinstance(value, dict) else "")]
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            return [wrong(key, value, f"a list of {len(args)} entries")]
        hints = list(args)
    else:
        hints = [args[0] if args else Any] * len(value)
    return [p for i, (hint, item) in enumerate(zip(hints, value, strict=True)) for p in fit(hint, item, (*key, i))]


def _fit_mapping(args: Sequence[Any], value: Any, key: KeyPath) -> list[Problem]:
    if not isinstance(value, Mapping):
        return [wrong(key, value, "a mapping, {name: value}")]
    problems = []
    for name, item in value.items():
        if type(name) is not str:
            problems.append(Problem((*key, show(name)), "keys are text, this one is not. Put it in quotes."))
        else:
            problems += fit(args[1] if len(args) == 2 else Any, item, (*key, name))
    return problems


def _fit_plain(value: Any, key: KeyPath) -> list[Problem]:
    """Free values: any plain data, as JSON could hold it."""
    if isinstance(value, list | tuple):
        return [p for i, item in enumerate(value) for p in _fit_plain(item, (*key, i))]
    if isinstance(value, Mapping):
        return _fit_mapping((), value, key)
    plain = value is None or type(value) in (bool, str) or _is(float, value)
    return [] if plain else [wrong(key, value, "text, a finite number, true, false, null, or lists of them")]

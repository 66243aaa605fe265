"""What is wrong with plain data, as values: all problems of a file are collected, then reported as one error.

A problem is the path of a key and a sentence; `report` adds where the value came from, the file or a flag.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

from robomix.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where a value stands: `("dataset", "datasets", 1, "weight")`."""
MAX_LINES = 20
"""Problems shown of one file; the rest is counted."""

_brief = Repr(maxlevel=2, maxlist=4, maxdict=4, maxstring=60, maxother=60, maxlong=40)
_NOT_TEXT = re.compile(r"[-+.\d]+(e[-+]?\d+)?|true|false|null|none|yes|no|on|off|nan|inf", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one value."""

    key: KeyPath
    """Path of the key it is about."""
    text: str
    """What was found, what is expected, what to do."""


def show(value: Any) -> str:
    """The value as a file would have it, short, with its kind where the looks deceive."""
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    if isinstance(value, str):
        return _brief.repr(value) + (" (text)" if _NOT_TEXT.fullmatch(value) else "")
    kind = "a mapping " if isinstance(value, dict) else "a list " if isinstance(value, list) else ""
    return kind + _brief.repr(value)


def dotted(key: KeyPath) -> str:
    """`dataset.datasets[1].weight` for ("dataset", "datasets", 1, "weight")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def wrong(key: KeyPath, value: Any, expected: str, fix: str = "") -> Problem:
    """The common form of a problem: what was found, what is expected, and the remedy."""
    return Problem(key, f"found {show(value)}, expected {expected}." + (f" {fix}" if fix else ""))


def report(
    problems: Sequence[Problem],
    *,
    origin: str | None = None,
    flags: Mapping[KeyPath, str] | None = None,
    label: Callable[[KeyPath], str] | None = None,
) -> ConfigError:
    """One error of all `problems`: `origin` is the file they stand in, `flags` says which keys a flag has set instead.

    `label` may name what a key belongs to, such as the repo_id of the source.
    """
    lines = []
    for problem in problems:
        flag = next((name for path, name in (flags or {}).items() if problem.key[: len(path)] == path), None)
        place = f"--{flag}" if flag else dotted(problem.key)
        owner = label(problem.key) if label else ""
        file = f"{origin}: " if origin and not flag else ""
        lines.append(f"{file}{place}{f' ({owner})' if owner else ''}: {problem.text}")
    lines = list(dict.fromkeys(lines))
    if len(lines) == 1:
        return ConfigError(lines[0])
    more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return ConfigError("\n  ".join([f"{len(lines)} problems", *lines[:MAX_LINES], *more]))

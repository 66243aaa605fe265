"""Values of untrusted metadata, and how sentences name many of them."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any


def whole(value: object) -> int | None:
    """The value if it is a whole number, such as an index can be; None for anything else, booleans too."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else None


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def some(names: Iterable[object], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name)[:120] for name in islice(names, most)) + more


def number(count: int, noun: str) -> str:
    """`1 episode`, `2 episodes`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

"""A family of checks: its defects, and the functions that find them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from robomix.tools.check.finding import Defect, Depth, Finding


@dataclass(frozen=True)
class Check:
    """One function that looks for some defects."""

    ids: tuple[str, ...]
    """The defects it can find; what it cannot look at is reported as unverified under these."""
    depth: Depth
    run: Callable[[Any], Iterator[Finding]]
    """Given the dataset as it lies on disk. Raises UnverifiableError where it cannot be looked at."""


@dataclass(frozen=True)
class Family:
    """Checks that look at the same thing."""

    title: str
    defects: Mapping[str, Defect]
    """By id."""
    checks: tuple[Check, ...]


def defects(*entries: Defect) -> dict[str, Defect]:
    """The defects by id."""
    return {defect.id: defect for defect in entries}

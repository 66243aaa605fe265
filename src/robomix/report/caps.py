"""How much of many things a page shows, so that it stays small and readable whatever the datasets hold.

What is left out is always said, by `and_more` or beside it.
"""

from collections.abc import Sequence

PICTURES = 480
"""On a page, about; each is some 8 kB."""
CAMERAS = 150
"""Cameras of which there are pictures."""
HISTOGRAMS = 96
"""Of a feature, over all sources."""
LANES = 640
"""Entries drawn over time, on a page."""
ROWS = 500
"""Of a table."""
FOLDED = 40
"""Rows of a table that is not the first thing one looks for, from which on it is folded."""
LISTED = 12
"""Sources that the list of contents names."""


def share_of(total: int, among: int, least: int, most: int) -> int:
    """How many of `total` each of `among` gets, between `least` and `most`."""
    return max(least, min(most, total // max(among, 1)))


def and_more(names: Sequence[str], shown: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def count(number: int, noun: str) -> str:
    """`1 dataset`, `1,200 datasets`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

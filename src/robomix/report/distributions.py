"""Histograms of all sources on shared axes, one for each entry of a feature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robomix.report import charts
from robomix.report.blocks import Block, Chart, Charts, Heading, Text
from robomix.report.caps import HISTOGRAMS, and_more, share_of

BINS = 40


@dataclass(frozen=True)
class Numbers:
    """Numbers of one feature in one source."""

    source: str
    place: int
    """Of the source on the page, for its colour."""
    entries: tuple[str, ...]
    """(D,): what they are called."""
    rows: np.ndarray
    """(R, D)"""


def histograms(title: str, numbers: Sequence[Numbers], note: str = "", *, is_numbered: bool = True) -> list[Block]:
    """Entry by entry, all sources on one axis; of many sources `charts.COLOURS` at a time, on the same axis.

    Entries that are constant, and the same in all sources, are named and not drawn. `is_numbered`: titles begin with
    the place of the entry.
    """
    numbers = [one for one in numbers if one.rows.size]
    if not numbers:
        return []
    width = max(one.rows.shape[1] for one in numbers)
    groups = [numbers[at : at + charts.COLOURS] for at in range(0, len(numbers), charts.COLOURS)]
    ranges = [_range(numbers, entry) for entry in range(width)]
    moving = [entry for entry, (low, high) in enumerate(ranges) if high > low]
    shown = moving[: share_of(HISTOGRAMS, len(groups), 8, width)]
    blocks: list[Block] = [Heading(title), *([Text(note, "note")] if note else [])]
    for group in groups if shown else ():
        drawn = [_chart(group, entry, ranges[entry], is_numbered) for entry in shown]
        legend = [(charts.colour_of(one.place), one.source) for one in group]
        blocks.append(Charts([chart for chart in drawn if chart is not None], legend))
    still = [f"{entry} ({charts.number(ranges[entry][0])})" for entry in range(width) if entry not in moving]
    if still and is_numbered:
        blocks.append(Text(f"Always the same, and not drawn: entries {and_more(still, 60)}.", "note"))
    elif still:
        blocks.append(Text(f"All are {charts.number(ranges[0][0])}.", "note"))
    if len(shown) < len(moving):
        blocks.append(
            Text(f"{len(moving) - len(shown)} more entries are not drawn, from {moving[len(shown)]} on.", "note")
        )
    return blocks


def _chart(group: Sequence[Numbers], entry: int, ends: tuple[float, float], is_numbered: bool) -> Chart | None:
    having = [one for one in group if entry < one.rows.shape[1]]
    if not having:
        return None
    series, said = [], []
    for one in having:
        column = one.rows[:, entry].astype(np.float64)
        finite = column[np.isfinite(column)]
        series.append(charts.Series(one.source, charts.colour_of(one.place), _counts(finite, *ends)))
        if len(finite) < len(column):
            said.append(f"{one.source}: {len(column) - len(finite):,} not finite")
        elif (column == column[0]).all():
            said.append(f"{one.source}: always {charts.number(column[0])}")
    names = and_more(list(dict.fromkeys(one.entries[entry] for one in having)), 3)
    return Chart(charts.histogram(series, *ends), f"{entry}: {names}" if is_numbered else names, and_more(said, 3))


def _counts(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(BINS,) int64: how many of the finite `values` are in each part from `low` to `high`, however far or near."""
    if not np.isfinite(high - low):
        values, low, high = values / 2, low / 2, high / 2
    bins = ((values - low) / (high - low) * BINS).astype(np.int64)
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)


def _range(numbers: Sequence[Numbers], entry: int) -> tuple[float, float]:
    """The axis of an entry: from the lowest to the highest number of any source."""
    columns = [one.rows[:, entry] for one in numbers if entry < one.rows.shape[1]]
    finite = [column[np.isfinite(column)] for column in columns]
    low = min((float(column.min()) for column in finite if len(column)), default=0.0)
    high = max((float(column.max()) for column in finite if len(column)), default=0.0)
    return low, high

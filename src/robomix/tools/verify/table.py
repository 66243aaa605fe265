"""A verification for people."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from robomix.mixture.laps import PHASES
from robomix.tools.verify.result import Timing, Verification

_STYLES = {"ok": "green", "off": "bold red", "not checked": "yellow"}
_SHOWN_TASKS = 10
_SHOWN_ENTRIES = 8


def tables(found: Verification) -> Iterator[Table]:
    """The tables of a verification, in their order; last the verdicts."""
    yield _shares(found)
    yield _features(found)
    yield _values(found)
    yield _coverage(found)
    yield _tasks(found)
    yield _orders(found)
    yield _timing(found.timing)
    yield _checks(found)


def summary(found: Verification) -> str:
    """One sentence: how much was drawn, and how."""
    early = " (stopped by max_seconds)" if found.samples < found.asked else ""
    rounded = f", {found.asked:,} rounded up to whole batches" if found.samples > found.asked else ""
    ranks = f"{found.ranks} rank{'s' if found.ranks > 1 else ''}"
    workers = f"{found.timing.workers} worker{'' if found.timing.workers == 1 else 's'}"
    return (
        f"{found.origin}: {found.samples:,} samples{rounded}{early}, {found.batches:,} batches of {found.batch_size:,} "
        f"on {ranks} with {workers} each, seed {found.seed}"
    )


def _titled(title: str, *columns: str, words: int = 1) -> Table:
    """A table whose first `words` columns are text, the others numbers."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if i < words else "right")
    return table


def _shares(found: Verification) -> Table:
    columns = ("source", "resolved share", "measured share", "drawn", "expected", "largest deviation")
    table = _titled("Shares of the samples", *columns)
    for s in found.sources:
        numbers = (f"{s.resolved:.3%}", f"{s.measured:.3%}", f"{s.drawn:,}", f"{s.expected:,.1f}")
        table.add_row(s.name, *numbers, f"{s.largest_deviation:+.2f}")
    return table


def _coverage(found: Verification) -> Table:
    columns = ("source", "epochs", "frames drawn", "drawn again", "episodes drawn", "tasks drawn", "padding")
    table = _titled("What was drawn", *columns)
    for s in found.sources:
        steps = [f"{key} {share:.1%} of steps" for key, share in s.padded_steps.items() if 0 < share < 1]
        dims = [f"{key} {share:.0%} of entries" for key, share in s.padded_dims.items() if 0 < share < 1]
        lacks = [f"no {key}" for key in s.lacks]
        table.add_row(
            s.name,
            f"{s.epochs:,.2f}",
            f"{s.frames_seen:,} of {s.frames:,}",
            f"{s.frames_seen_again:,}",
            f"{s.episodes_seen:,} of {s.episodes:,}",
            f"{s.tasks_seen:,} of {s.tasks_total:,}",
            "\n".join([*steps, *dims, *lacks]),
        )
    return table


def _features(found: Verification) -> Table:
    table = _titled("A sample", "entry", "dtype", "shape", words=3)
    for feature in found.features:
        table.add_row(feature.key, feature.dtype, " x ".join(map(str, feature.shape)) or "-")
    return table


def _values(found: Verification) -> Table:
    table = _titled("Numbers drawn, padding left out", "source", "entry", "mean", "std", "min", "max", words=2)
    for seen in found.values:
        if not seen.count:
            continue
        table.add_section()
        for d, label in enumerate(seen.labels[:_SHOWN_ENTRIES]):
            numbers = (column[d] for column in (seen.mean, seen.std, seen.minimum, seen.maximum))
            table.add_row(seen.source, label, *(f"{number + 0.0:.4g}" for number in numbers))
        if (rest := len(seen.labels) - _SHOWN_ENTRIES) > 0:
            table.add_row(seen.source, f"{seen.key}, {rest} more (all with --json)", *[""] * 4)
    return table


def _tasks(found: Verification) -> Table:
    table = _titled("Tasks", "source", "task", "samples", words=2)
    for s in found.sources:
        listed = sorted(s.tasks.items(), key=lambda item: -item[1])
        for task, count in listed[:_SHOWN_TASKS]:
            table.add_row(s.name, Text(task), f"{count:,}")
        if s.tasks_seen > _SHOWN_TASKS:
            table.add_row(s.name, f"and {s.tasks_seen - _SHOWN_TASKS:,} more", "")
    return table


def _orders(found: Verification) -> Table:
    columns = ("shuffled", "decoded per frame", "files per batch", "episodes per batch", "autocorrelation of batches")
    table = _titled("What the order costs, and how well it mixes", *columns)
    for seen in found.orders:
        costs = ["-" if cost is None else f"{cost:,.1f}" for cost in (seen.decoded_per_frame, seen.files_per_batch)]
        again = "-" if seen.autocorrelation is None else f"{seen.autocorrelation:.3f}"
        table.add_row(seen.order, *costs, f"{seen.episodes_per_batch:,.1f}", again)
    return table


def _timing(timing: Timing) -> Table:
    speed = "" if math.isnan(timing.samples_per_s) else f": {timing.samples_per_s:,.0f} samples/s"
    table = _titled(f"Loading{speed}", "where the time goes", "seconds", "share")
    total = sum(timing.phases_s.values())
    for phase, text in PHASES.items():
        if phase in timing.phases_s:
            seconds = timing.phases_s[phase]
            table.add_row(f"{phase}: {text}", f"{seconds:.2f}", f"{seconds / total:.0%}")
    table.add_section()
    table.add_row("until the first batch", f"{timing.start_s:.2f}", "")
    table.add_row("from the first batch to the last", f"{timing.draw_s:.2f}", "")
    if timing.draw_s > 0:
        table.add_row(
            "of these, waiting for batches", f"{timing.waiting_s:.2f}", f"{timing.waiting_s / timing.draw_s:.0%}"
        )
    return table


def _checks(found: Verification) -> Table:
    table = _titled("Checks", "check", "verdict", "what was found", words=3)
    for check in found.checks:
        table.add_row(check.name, Text(check.verdict, _STYLES[check.verdict]), Text(check.text))
    return table

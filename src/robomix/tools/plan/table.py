"""A plan for people."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from robomix.tools.plan.run import Plan


def tables(made: Plan) -> Iterator[Table]:
    """The tables of a plan: what is seen, and what it needs."""
    yield _seen(made)
    yield _needs(made)


def _seen(made: Plan) -> Table:
    title = f"{made.steps:,} steps of {made.batch_size:,} samples: {made.steps * made.batch_size:,} samples"
    table = Table(title=title, title_justify="left")
    table.add_column("source", overflow="fold")
    for header in ("frames", "hours recorded"):
        table.add_column(header, justify="right")
    for alpha in made.sweep:
        for header in ("share", "samples", "epochs", "hours seen"):
            table.add_column(f"alpha {alpha:g}\n{header}", justify="right")
    for of_alphas in zip(*made.sweep.values(), strict=True):
        first = of_alphas[0]
        cells = [first.name, f"{first.frames:,}", f"{first.recorded_hours:,.2f}"]
        for s in of_alphas:
            cells += [f"{s.share:.2%}", f"{s.samples:,}", f"{s.epochs:,.2f}", f"{s.seen_hours:,.1f}"]
        table.add_row(*cells)
    return table


def _needs(made: Plan) -> Table:
    table = Table(title="What it needs", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("how it is known", overflow="fold")
    loading, trial = made.loading, made.trial
    table.add_row("datasets", size(made.dataset_bytes), "their files")
    table.add_row("column cache", size(made.cache_bytes), "its files")
    if trial is not None:
        total = size(made.checkpoints * trial.checkpoint_bytes)
        how = f"computed of {trial.parameters:,} parameters and the optimizer's state; at most"
        table.add_row("a checkpoint", size(trial.checkpoint_bytes), how)
        table.add_row("all checkpoints", total, f"{made.checkpoints:,} of them")
    table.add_section()
    if loading.worker_peak_bytes is not None:
        how = f"measured: peak of the largest of {made.ranks * loading.workers}, pages they share included"
        table.add_row("memory of a loader worker", size(loading.worker_peak_bytes), how)
    if trial is not None and trial.device_peak_bytes is not None:
        table.add_row(f"memory on {trial.device}", size(trial.device_peak_bytes), f"measured in {trial.steps} steps")
    table.add_section()
    how = f"measured for {loading.draw_s:.0f} s: {loading.samples_per_s:,.0f} samples/s"
    table.add_row(
        "reading all batches", duration(made.loading_s), f"{how} from {made.ranks} x {loading.workers} workers"
    )
    if trial is not None and made.training_s is not None:
        how = f"measured in {trial.steps} steps on {trial.device}: {trial.step_s:.3f} s each"
        table.add_row("all steps", duration(made.training_s), how)
        slower = "reading" if made.loading_s > made.training_s else "the policy"
        table.add_row("expected time", duration(made.expected_s), f"{slower} limits; checkpoints and evaluations aside")
    else:
        table.add_row("expected time", duration(made.expected_s), Text(f"reading alone: {made.no_trial}"))
    return table


def size(number: int) -> str:
    """Bytes for people, in powers of 1024."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min((max(number, 1).bit_length() - 1) // 10, len(units) - 1)
    return f"{number / 1024**power:,.1f} {units[power]}" if power else f"{number} B"


def duration(seconds: float) -> str:
    """Seconds for people: `2 d 3 h`, `3 h 20 min`, `5 min`, `12 s`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"

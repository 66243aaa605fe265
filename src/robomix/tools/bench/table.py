"""A loader profile for people."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from robomix.mixture.laps import PHASES
from robomix.tools.bench.advice import Advice
from robomix.tools.bench.result import Bench


def tables(found: Bench, advice: Sequence[Advice]) -> Iterator[Table]:
    """The tables of a profile: where the time goes, how fast workers are, what to do."""
    yield _phases(found)
    yield _workers(found)
    if advice:
        yield _advice(advice)


def summary(found: Bench) -> str:
    """What limits, and how many workers to take."""
    chosen = found.recommended
    use = f"--num_workers={chosen.workers} (it decodes with {chosen.threads} thread{'s'[: chosen.threads != 1]} each)"
    if found.needed is None or found.trial is None:
        return f"Take {use}. Whether that is enough is not known: {found.no_trial}."
    takes = f"the policy takes {found.needed:,.0f} samples/s on {found.trial.device}"
    gives = f"reading gives {chosen.samples_per_s:,.0f}"
    if found.limit == "policy":
        return f"The policy limits: {takes}, {gives}. Take {use}; faster reading would not make the training faster."
    share = 1 - found.trained(chosen) / found.needed
    return f"Reading limits: {takes}, {gives}, so it waits {share:.0%} of the time. Take {use}, and see below."


def _phases(found: Bench) -> Table:
    alone = found.alone
    title = f"Where one process with one thread takes its time: {_number(alone.samples_per_s)} samples/s"
    table = _titled(title, "phase", "ms per sample", "share")
    shares = alone.shares()
    for phase, text in PHASES.items():
        if phase in shares:
            each = 1000 * alone.phases_s[phase] / alone.samples
            table.add_row(f"{phase}: {text}", f"{each:.3f}", f"{shares[phase]:.0%}")
    table.add_section()
    if found.decode_limit is not None:
        frames = f"{_number(found.decode_limit * found.frames_per_sample)} frames/s"
        limit = f"{_number(found.decode_limit)} samples/s ({frames})"
        table.add_row(f"decode limit, if {found.cores} cores did nothing but decode: {limit}", "", "")
    if found.decoded_per_frame is not None:
        table.add_row(f"frames decoded for each that is wanted: {found.decoded_per_frame:.2f}", "", "")
    return table


def _workers(found: Bench) -> Table:
    title = f"Batches of {found.batch_size:,} on {found.cores} cores"
    columns = ["workers", "threads each", "samples/s", "of the decode limit", "handing over", "training, samples/s"]
    table = _titled(title, *columns, words=0)
    for pace in found.paces:
        speed = pace.samples_per_s
        table.add_row(
            f"{pace.workers}{' *' if pace is found.recommended else ''}",
            str(pace.threads),
            _number(speed),
            "" if found.decode_limit is None else f"{speed / found.decode_limit:.0%}",
            f"{pace.handing_over:.0%}" if pace.workers else "",
            "" if found.needed is None else _number(found.trained(pace)),
        )
    return table


def _advice(advice: Sequence[Advice]) -> Table:
    table = _titled("What would help", "what", "why", "reading, times as fast", words=2)
    for item in advice:
        bound = "at most " if item.at_most else "about "
        table.add_row(item.what, item.why, "" if item.gain is None else f"{bound}{item.gain:.1f}")
    return table


def _titled(title: str, *columns: str, words: int = 1) -> Table:
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if i < words else "right")
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"

"""Drawing batches from the loaders of all ranks, and how fast they come."""

import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from tqdm import tqdm

from robomix.mixture.dataset import Batch
from robomix.tools.verify.result import Timing
from robomix.tools.verify.subject import Subject
from robomix.training.signals import signals_held


def draw(
    subject: Subject, batches: int, take: Callable[[Batch, int, int], None], max_seconds: float | None = None
) -> tuple[int, Timing]:
    """Draws up to `batches` global batches of `subject`, each rank's slice in turn, and gives them to `take`.

    `take` gets a slice, the number of its global batch, and its rank. Ends early once `max_seconds` have gone by since
    the first batch. Returns how many global batches were drawn, and how fast. Raises RobomixError for what cannot be
    read.
    """
    phases: Counter[str] = Counter()
    started = time.perf_counter()
    first = waiting = 0.0
    drawn = 0
    before = set(multiprocessing.active_children())
    with ExitStack() as stack:
        loaders = [stack.enter_context(closing(subject.loader(rank, batches))) for rank in range(subject.ranks)]
        with signals_held():
            running = [iter(loader) for loader in loaders]  # starts the workers
        total = batches if max_seconds is None else None
        bar = stack.enter_context(tqdm(total=total, desc="drawing", unit="batch", delay=2, leave=False, disable=None))
        while drawn < batches:
            for rank, of_rank in enumerate(running):
                asked = time.perf_counter()
                batch = next(of_rank)
                waiting += time.perf_counter() - asked if drawn else 0.0
                phases.update(batch.seconds)
                take(batch, drawn, rank)
            drawn += 1
            bar.update()
            first = first or time.perf_counter()
            if max_seconds is not None and time.perf_counter() - first > max_seconds:
                break
        took = time.perf_counter() - first
        peak = max((_peak_bytes(w.pid) for w in set(multiprocessing.active_children()) - before), default=0)
    loading = took if subject.workers else waiting  # workers read on while batches are looked at
    return drawn, Timing(
        samples_per_s=(drawn - 1) * subject.batch_size / loading if drawn > 1 else float("nan"),
        start_s=first - started,
        draw_s=took,
        waiting_s=waiting,
        phases_s=dict(phases),
        workers=subject.workers,
        worker_peak_bytes=peak or None,
    )


def _peak_bytes(process: int | None) -> int:
    """Peak resident memory of a running process, as Linux tells it; 0 where it cannot be known."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0

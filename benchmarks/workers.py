"""Two loader workers against one, each with one thread, on a real recording whose frames must be decoded (`g1_v30`).

    python -m benchmarks.workers [--batches 12] [--rounds 3]

Target: 1.8 times the samples per second. Samples per second need an idle machine of two free cores or more; so the
processor time of workers and of the training's own process is printed beside them. It says what two cores can do at
best: where a sample costs no more processor time with two workers than with one, they are twice as fast.
"""

import argparse
import os
import time
from contextlib import closing
from pathlib import Path

import psutil

from robomix import MixtureConfig
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.mixture.loader import make_loader
from robomix.mixture.resolve import make_schedule

REAL_DATA = Path(os.environ.get("ROBOMIX_REAL_DATA", "../shared/data"))
BATCH = 16


def processor_seconds(processes: list[psutil.Process]) -> float:
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


def measured(mixture: Mixture, config: MixtureConfig, workers: int, batches: int) -> tuple[float, float, float]:
    """Seconds per sample: by the clock, of the workers' processors, and of this process's."""
    schedule = make_schedule(mixture.sources, config, seed=0, batch_size=BATCH)
    own = psutil.Process()
    with closing(make_loader(mixture, schedule, stop=1_000_000, num_workers=workers, prefetch_factor=2)) as loader:
        running = iter(loader)
        for _ in range(3 * workers):  # until all files are open
            next(running)
        others = [child for child in own.children() if child.memory_info().rss > 100 * 2**20]  # no resource tracker
        assert len(others) == workers
        started, before, mine = time.perf_counter(), processor_seconds(others), processor_seconds([own])
        for _ in range(batches):
            next(running)
        took = time.perf_counter() - started, processor_seconds(others) - before, processor_seconds([own]) - mine
    return tuple(seconds / (batches * BATCH) for seconds in took)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    config = MixtureConfig.from_dict({"datasets": [{"root": str(REAL_DATA / "g1_v30")}]})
    mixture = make_mixture(config)
    mixture.threads = 1
    best = {}
    for _ in range(arguments.rounds):
        for workers in (1, 2):
            found = measured(mixture, config, workers, arguments.batches)
            best[workers] = tuple(map(min, best.get(workers, found), found))
    for workers, (wall, of_workers, of_own) in best.items():
        print(
            f"{workers} worker{'s' * (workers > 1)}: {1 / wall:6.1f} samples/s; processor time per sample: workers "
            f"{1000 * of_workers:.2f} ms, training process {1000 * of_own:.2f} ms"
        )
    alone, both = best[1], best[2]
    print(f"two workers: {alone[0] / both[0]:.2f} times one by the clock (load {os.getloadavg()[0]:.1f})")
    print(f"             {2 * alone[1] / both[1]:.2f} times by processor time, were two cores free for them")


if __name__ == "__main__":
    main()

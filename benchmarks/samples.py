"""State-only samples with a 50-step action chunk: robomix against LeRobot's own reader, one process, the same data.

    python -m benchmarks.samples [--frames 60000]

Both sides are first checked to return the same arrays. Prints samples per second of both and their ratio, of batches of
256 random frames. The memory of a loader worker over 10,000 batches is printed last.
"""

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import torch
from lerobot.datasets import LeRobotDataset

from robomix import Mixture, MixtureConfig, Schedule, make_loader, make_mixture
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.mixture.resolve import streams

CHUNK, WIDTH, FPS, BATCH = 50, 14, 50, 256


def write(path: Path, frames: int) -> None:
    rng = np.random.default_rng(0)
    features = {key: Feature("numeric", "float32", (WIDTH,)) for key in ("observation.state", "action")}
    with DatasetWriter(path, fps=FPS, features=features) as writer:
        for _ in range(frames // 200):
            columns = {key: rng.normal(size=(200, WIDTH)).astype(np.float32) for key in features}
            writer.add_episode(columns, "task")


def check_equal(ours: Mixture, theirs: LeRobotDataset, indices: np.ndarray) -> None:
    batch = ours.__getitems__(indices.tolist())
    for place, i in enumerate(indices):
        sample = theirs[int(i)]
        for key in ("observation.state", "action", "action_is_pad"):
            assert torch.equal(batch[key][place], sample[key]), (key, int(i))


def samples_per_second(read_batch, batches: list[list[int]], seconds: float = 5.0) -> float:
    read_batch(batches[0])
    started, count = time.perf_counter(), 0
    for indices in batches:
        read_batch(indices)
        count += len(indices)
        if time.perf_counter() - started > seconds:
            break
    return count / (time.perf_counter() - started)


def worker_memory(mixture: Mixture, batches: int) -> list[tuple[int, float]]:
    """Resident MiB of a loader worker after some numbers of batches."""
    schedule = Schedule(streams(mixture.sources, 0.0), seed=0, batch_size=32)
    seen = []
    for t, _ in enumerate(make_loader(mixture, schedule, stop=batches, num_workers=1)):
        if t % (batches // 5) == batches // 5 - 1:
            worker = psutil.Process().children(recursive=True)[-1]
            seen.append((t + 1, worker.memory_info().rss / 2**20))
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60_000)
    frames = parser.parse_args().frames
    warnings.filterwarnings("ignore")
    logging.getLogger("datasets").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set"
        write(path, frames)
        config = MixtureConfig.from_dict({"datasets": [{"root": str(path)}]})
        ours = make_mixture(config, delta_indices={"action": range(CHUNK)})
        theirs = LeRobotDataset("local/set", root=path, delta_timestamps={"action": [i / FPS for i in range(CHUNK)]})
        random = np.random.default_rng(1).integers(0, len(ours), (10_000, BATCH))
        check_equal(ours, theirs, random[0])
        print(f"{frames:,} frames of {WIDTH} + {WIDTH} numbers; equal samples on both sides")
        fast = samples_per_second(ours.__getitems__, random.tolist())
        slow = samples_per_second(lambda indices: [theirs[i] for i in indices], random.tolist())
        print(f"robomix {fast:12,.0f} samples/s")
        print(f"LeRobot {slow:12,.0f} samples/s   ratio {fast / slow:.0f}")
        for batches, size in worker_memory(ours, 10_000):
            print(f"loader worker after {batches:6,} batches: {size:,.0f} MiB resident")


if __name__ == "__main__":
    main()

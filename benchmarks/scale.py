"""What a mixture of hundreds of datasets and a billion frames costs each rank: start-up, memory, batches, checkpoints.

    python -m benchmarks.scale [--sources 500] [--episodes 2000000] [--frames 1000000000] [--batch 4096] [--ranks 1024]

The datasets of this size are metadata alone (episodes and features, without a file); sources, mixture, schedule and
batch sampler are those of a training. How long datasets take to open is measured with as many small ones on the disk,
once with an empty cache and once more. Start-up is the sum of both: opening with a warm cache, and making sources,
mixture and order. Batches are in processor time, all else in that of the clock. Memory is what this process holds,
libraries included, before the small datasets are opened.
"""

import argparse
import json
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from robomix import MixtureConfig
from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats import open_dataset
from robomix.formats.base import Dataset, Episodes, FrameGroup, bounds_of
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.mixture.alignment import align
from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import ScheduledBatches
from robomix.mixture.resolve import make_schedule
from robomix.mixture.source import Source

FEATURES = {
    "observation.state": Feature("numeric", "float32", (14,)),
    "action": Feature("numeric", "float32", (14,)),
    "observation.images.top": Feature("camera", "uint8", (3, 480, 640), storage="video"),
}
WRIST = {"observation.images.wrist": Feature("camera", "uint8", (3, 480, 640), storage="video")}


class Metadata(Dataset):
    """A dataset of which there is nothing but what opening tells."""

    format = "metadata"

    def __init__(self, number: int, lengths: np.ndarray) -> None:
        self.path = Path(f"/data/lab-{number % 20}/set-{number}")
        self.fps, self.robot_type, self.tasks = Fraction(30), f"robot {number % 20}", (f"task {number}",)
        self.features = FEATURES | (WRIST if number % 3 else {})
        self.episodes = Episodes(np.arange(len(lengths)), bounds_of(lengths))
        self.fingerprint = f"{number:032x}"

    def column(self, key: str) -> np.ndarray:
        raise FormatError(f"{self.path}: {key!r} is not there: this is metadata alone.")

    def task_indices(self) -> np.ndarray:
        raise FormatError(f"{self.path}: tasks of rows are not there: this is metadata alone.")

    def frame_groups(self, key: str, rows: np.ndarray) -> list[FrameGroup]:
        raise FormatError(f"{self.path}: {key!r} is not there: this is metadata alone.")


@dataclass(frozen=True)
class Size:
    """What is simulated."""

    sources: int = 500
    episodes: int = 2_000_000
    frames: int = 1_000_000_000


def metadata(size: Size) -> list[Metadata]:
    """Datasets of sizes that spread over two orders of magnitude, as those on the Hub do; episodes over one."""
    rng = np.random.default_rng(0)
    shares = rng.lognormal(0, 1, size.sources)
    episodes = np.maximum(1, shares / shares.sum() * size.episodes).astype(np.int64)
    frames = size.frames // size.episodes
    return [Metadata(i, rng.integers(frames // 5, frames * 9 // 5 + 1, n)) for i, n in enumerate(episodes)]


def config_of(datasets: Sequence[Metadata], **block: Any) -> MixtureConfig:
    """The mixture file of `datasets`, their shares by size."""
    names = [f"lab-{i % 20}/a_dataset_with_a_long_name_{i}" for i in range(len(datasets))]
    entries = [{"repo_id": name, "root": str(one.path)} for name, one in zip(names, datasets, strict=True)]
    return MixtureConfig.from_dict({"alpha": 1.0, "datasets": entries} | block)


def mixture_of(datasets: Sequence[Metadata], config: MixtureConfig) -> Mixture:
    """The mixture that a training of `config` has."""
    sources = [
        Source(dataset, entry, name=str(entry.name), normalize_by="embodiment")
        for dataset, entry in zip(datasets, config.datasets, strict=True)
    ]
    return Mixture(sources, align(sources, "union"), horizons={"action": range(50)})


def moving(config: MixtureConfig) -> list[dict[str, Any]]:
    """Three stages: half of the sources by turns, linearly and by cosine."""
    names = [str(source.name) for source in config.datasets]
    halves = [dict.fromkeys(names[start::2], 3.0) for start in (0, 1)]
    return [
        {"step": 1_000, "weights": halves[0], "interpolate": "linear"},
        {"step": 50_000, "weights": halves[1], "interpolate": "cosine"},
        {"step": 100_000, "weights": halves[0]},
    ]


ORDERS: dict[str, dict[str, Any]] = {
    "mixed": {},
    "shuffle_window 50": {"shuffle_window": 50},
    "per_source": {"batching": "per_source"},
    "per_camera_set": {"batching": "per_camera_set"},
    "weights that move": {"weight_schedule": True},
    "weights that move, shuffle_window 50": {"weight_schedule": True, "shuffle_window": 50},
}
"""What is asked of the mixture file, by name."""


def order_config(datasets: Sequence[Metadata], name: str) -> MixtureConfig:
    """The mixture file of one of `ORDERS`."""
    plain = config_of(datasets)
    block = dict(ORDERS[name])
    if block.pop("weight_schedule", False):
        block["weight_schedule"] = moving(plain)
    return config_of(datasets, **block)


def batch_times(mixture: Mixture, config: MixtureConfig, batch: int, ranks: int, count: int) -> dict[str, Any]:
    """Seconds until the order is made, of the first batch, of a batch, and what a checkpoint holds of it."""
    started = time.perf_counter()
    schedule = make_schedule(mixture.sources, config, seed=0, batch_size=batch)
    made = time.perf_counter()
    schedule.batch(0)
    first = time.perf_counter()
    seconds = []
    for start in (500, 30_000, 70_000, 1_000_000):
        stop = start + count + 1
        sampler = iter(ScheduledBatches(mixture, schedule, start=start, stop=stop, rank=7, world_size=ranks))
        next(sampler)  # of another place than the batch before
        for _ in range(count):
            begun = time.process_time()
            next(sampler)
            seconds.append(time.process_time() - begun)
    state = len(json.dumps(schedule.state(10**6)))
    return {"made": made - started, "first": first - made, "median": float(np.median(seconds)), "state": state}


def small_datasets(folder: Path, count: int) -> tuple[float, float]:
    """Seconds to open `count` small datasets with an empty cache, and once more."""
    features = {key: replace(feature, names=None) for key, feature in FEATURES.items() if not feature.is_camera}
    rng = np.random.default_rng(0)
    with DatasetWriter(folder / "set-0", fps=30, features=features) as writer:
        for _ in range(20):
            writer.add_episode({key: rng.normal(size=(100, 14)).astype(np.float32) for key in features}, "task")
    for i in range(1, count):
        shutil.copytree(folder / "set-0", folder / f"set-{i}")
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        opened = [open_dataset(folder / f"set-{i}") for i in range(count)]
        seconds.append(time.perf_counter() - started)
        del opened
    return seconds[0], seconds[1]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("sources", 500), ("episodes", 2_000_000), ("frames", 1_000_000_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, value in (("batch", 4096), ("ranks", 1024), ("count", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args(argv)
    process = psutil.Process()
    libraries = process.memory_info().rss
    datasets = metadata(Size(asked.sources, asked.episodes, asked.frames))
    started = time.perf_counter()
    mixture = mixture_of(datasets, config_of(datasets))
    made = time.perf_counter() - started
    print(
        f"{len(datasets)} sources, {mixture.num_episodes:,} episodes, {mixture.num_frames:,} frames; "
        f"global batches of {asked.batch:,} for {asked.ranks:,} ranks"
    )
    slowest = 0.0
    for name in ORDERS:
        seen = batch_times(mixture, order_config(datasets, name), asked.batch, asked.ranks, asked.count)
        slowest = max(slowest, seen["made"])
        print(
            f"{name:38} order made in {seen['made']:5.2f} s, first batch {seen['first']:5.2f} s, "
            f"then {1e3 * seen['median']:5.2f} ms each; state {seen['state'] / 1024:5.1f} KiB"
        )
    print(f"a mixture as it is sent to a loader worker: {len(pickle.dumps(mixture)) / 2**20:,.0f} MiB")
    memory = process.memory_info().rss
    print(f"memory of a rank: {memory / 2**20:,.0f} MiB, of which libraries {libraries / 2**20:,.0f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROBOMIX_CACHE"] = str(Path(folder) / "cache")
        cold, warm = small_datasets(Path(folder), asked.sources)
    print(f"opening {asked.sources} small datasets: {cold:.2f} s, with a warm cache {warm:.2f} s")
    print(f"start-up with a warm cache: {warm + made + slowest:.2f} s, of which the mixture {made:.2f} s")


if __name__ == "__main__":
    main()

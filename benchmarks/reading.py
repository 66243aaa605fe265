"""Reading, side by side: robomix, LeRobot's own reader, and the least one can do with PyAV. One command:

    python benchmarks/reading.py [--data DIR]

First all sides must return equal arrays. Then each is timed in turn on the same random frames, several rounds, and the
median is printed with the ratio. `--data` holds the recording `g1_v30` (480 x 640, AV1, key frame every second frame);
the second opening is timed on a dataset made on the spot: LeRobot v2.1, 1,000 episodes of 1,000 frames.
"""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import av
import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.utils.import_utils import get_safe_default_video_backend

from robomix.formats import Dataset, open_dataset

CAMERA = "observation.images.cam_high"
BATCH, BATCHES, ROUNDS = 32, 6, 5
EPISODES, LENGTH = 1000, 1000
Reader = Callable[[np.ndarray], np.ndarray]
"""From rows (n,) to frames (n, 3, H, W) uint8."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=os.environ.get("ROBOMIX_REAL_DATA", default))
    data = parser.parse_args().data
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # LeRobot explains at length why it falls back to PyAV where torchcodec fails
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBOMIX_CACHE"] = f"{scratch}/cache"
        time_random_frames(data / "g1_v30")
        time_second_opening(Path(scratch))


def time_random_frames(path: Path) -> None:
    dataset = open_dataset(path)
    backend = get_safe_default_video_backend()
    sides: dict[str, Reader] = {
        f"LeRobot 0.6 ({backend})": lerobot_reader(path),
        "bare PyAV, one thread": BarePyAV(path / "videos" / CAMERA / "chunk-000/file-000.mp4").read,
        "robomix, one thread": lambda rows: dataset.read_frames(CAMERA, rows),
        f"robomix, {cpus()} threads": threaded_reader(dataset),
    }
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, dataset.num_frames, BATCH) for _ in range(BATCHES)]
    check_equal(sides, batches[0])
    times = {name: statistics.median(rounds) for name, rounds in in_turn(sides, batches).items()}
    lerobot, bare, single, threads = times.values()
    print(f"\nRandom frames of {path.name}, batches of {BATCH}, one process, {cpus()} processors; all sides equal")
    for name, seconds in times.items():
        print(f"  {name:32} {1e3 * seconds:7.2f} ms per frame")
    report("LeRobot / robomix, one thread", lerobot / single, at_least=2.5)
    report("LeRobot / robomix, threads", lerobot / threads, at_least=2.5)
    report("robomix, one thread / bare PyAV", single / bare, at_most=1.15)
    report("robomix, threads / bare PyAV", threads / bare, at_most=1.15)


def lerobot_reader(path: Path) -> Reader:
    """Samples one by one, as a DataLoader asks for them, with LeRobot's default settings, in a worker's one thread."""
    torch.set_num_threads(1)
    dataset = LeRobotDataset("local/set", root=path)

    def read(rows: np.ndarray) -> np.ndarray:
        frames = np.stack([dataset[int(row)][CAMERA].numpy() for row in rows])
        return frames if frames.dtype == np.uint8 else (frames * 255).round().astype(np.uint8)

    return read


class BarePyAV:
    """One container kept open, frames in rising order, a jump only where a key frame lies between: no checks at all."""

    def __init__(self, path: Path) -> None:
        self.container = av.open(str(path))
        self.stream = self.container.streams.video[0]
        self.stream.codec_context.thread_count = 1
        packets = [(p.pts, p.is_keyframe) for p in self.container.demux(self.stream) if p.size]
        self.times = np.array(sorted(time for time, _ in packets))
        self.keys = np.searchsorted(self.times, sorted(time for time, key in packets if key))

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), 3, self.stream.height, self.stream.width), np.uint8)
        upcoming = None
        for place in np.argsort(rows):
            wanted = int(rows[place])
            key = self.keys[np.searchsorted(self.keys, wanted, side="right") - 1]
            if upcoming is None or wanted < upcoming or key > upcoming:
                self.container.seek(int(self.times[key]), stream=self.stream)
                frames = self.container.decode(self.stream)
            for frame in frames:
                if frame.pts >= self.times[wanted]:
                    break
            upcoming = wanted + 1
            out[place] = frame.to_ndarray(format="rgb24").transpose(2, 0, 1)
        return out


def threaded_reader(dataset: Dataset) -> Reader:
    threads = ThreadPoolExecutor(cpus())

    def read(rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *dataset.features[CAMERA].shape), np.uint8)
        for _ in threads.map(lambda group: group.read_into(out), dataset.frame_groups(CAMERA, rows)):
            pass
        return out

    return read


def time_second_opening(scratch: Path) -> None:
    write_large_v21(scratch / "large")
    started = time.perf_counter()
    dataset = open_dataset(scratch / "large")
    first = time.perf_counter() - started
    code = (
        "import sys, time; from robomix.formats import open_dataset; t = time.perf_counter();"
        "d = open_dataset(sys.argv[1]); d.column('action')[-1]; print(time.perf_counter() - t, d.num_frames)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code, scratch / "large"], text=True) for _ in range(5)]
    seconds = [float(run.split()[0]) for run in runs]
    assert all(int(run.split()[1]) == dataset.num_frames == EPISODES * LENGTH for run in runs)
    print(f"\nOpening {dataset.num_episodes} episodes, {dataset.num_frames} frames, as many parquet and mp4 files")
    print(f"  first                            {first:7.2f} s (reads everything into the cache)")
    print(f"  second, in a new process         {statistics.median(seconds):7.3f} s (median of 5)")
    report("second opening, seconds", statistics.median(seconds), at_most=0.2)


def write_large_v21(path: Path) -> None:
    """One episode is written with the fixtures of the tests; all others are links to its files."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.fixtures import edit_info, write_v21

    write_v21(path, lengths=(LENGTH,), state_dim=14, action_dim=14, fps=30, cameras={CAMERA: (32, 48)})
    data, video = path / "data/chunk-000", path / "videos/chunk-000" / CAMERA
    for episode in range(1, EPISODES):
        os.link(data / "episode_000000.parquet", data / f"episode_{episode:06d}.parquet")
        os.link(video / "episode_000000.mp4", video / f"episode_{episode:06d}.mp4")
    lines = path / "meta/episodes.jsonl"
    first = lines.read_text()
    lines.write_text("".join(first.replace('"episode_index": 0', f'"episode_index": {i}') for i in range(EPISODES)))
    edit_info(path, total_episodes=EPISODES, total_frames=EPISODES * LENGTH)


def check_equal(sides: dict[str, Reader], rows: np.ndarray) -> None:
    arrays = {name: read(rows) for name, read in sides.items()}
    first = next(iter(arrays))
    for name, array in arrays.items():
        if not np.array_equal(array, arrays[first]):
            raise SystemExit(f"{name} and {first} return different frames")


def in_turn(sides: dict[str, Reader], batches: list[np.ndarray]) -> dict[str, list[float]]:
    """Seconds per frame of each side, one value a round; sides alternate, so that all see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, read in sides.items():
            started = time.perf_counter()
            for rows in batches:
                read(rows)
            seconds[name].append((time.perf_counter() - started) / (BATCHES * BATCH))
    return seconds


def report(what: str, value: float, *, at_least: float = 0.0, at_most: float = float("inf")) -> None:
    target = f"at least {at_least}" if at_least else f"at most {at_most}"
    print(f"  {what:32} {value:7.2f}    target {target}: {'met' if at_least <= value <= at_most else 'MISSED'}")


def cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()

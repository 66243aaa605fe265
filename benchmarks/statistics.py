"""Statistics of a mixture's frames: time and memory, and against LeRobot's on the same frames.

    python -m benchmarks.statistics [--frames 1000000]

First one million frames of 32 numbers, as a training computes them, on one core, in a process of their own. Then all
camera frames and vectors of a real recording (`g1_v30`): the same arrays to robomix and to LeRobot's compute_stats,
both first checked against numpy. LeRobot sums pixels in float32: how far off that leaves its means is printed.
"""

import argparse
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one core

import numpy as np

from robomix import MixtureConfig, make_mixture
from robomix.features import Feature
from robomix.formats import open_dataset
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.statistics.cameras import camera_stats, histogram, summarize_histogram
from robomix.statistics.compute import mixture_stats
from robomix.summaries import QUANTILES, stats_of_entries, summarize_entries

WIDTH, EPISODE = 32, 1000
REAL_DATA = Path(os.environ.get("ROBOMIX_REAL_DATA", "../shared/data"))

Stats = dict[str, dict[str, np.ndarray]]


def one_million(folder: Path, frames: int) -> None:
    rng = np.random.default_rng(0)
    with DatasetWriter(folder / "set", fps=50, features={"action": Feature("numeric", "float32", (WIDTH,))}) as writer:
        for _ in range(frames // EPISODE):
            writer.add_episode({"action": rng.normal(size=(EPISODE, WIDTH)).astype(np.float32)}, "task")
    make_mixture(MixtureConfig.from_dict({"datasets": [{"root": str(folder / "set")}]}))  # its columns, into the cache
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        seconds, before, peak = pool.submit(measured, str(folder / "set")).result()
    print(
        f"{frames:,} frames of {WIDTH} numbers: {seconds:.2f} s, peak {peak:,.0f} MiB resident ({before:,.0f} before)"
    )


def measured(root: str) -> tuple[float, float, float]:
    """Seconds that the statistics of a dataset take, and peak resident MiB of this process before and after."""
    mixture = make_mixture(MixtureConfig.from_dict({"datasets": [{"root": root}]}))
    before = peak_resident()
    seconds, stats = timed(lambda: mixture_stats(mixture))
    assert np.abs(stats["global"]["action"]["q99"] - 2.326).max() < 0.02
    return seconds, before, peak_resident()


def peak_resident() -> float:
    """MiB; the kernel's own mark, which unlike getrusage knows nothing of the process that started this one."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def recording(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All vectors (N, D) of a dataset, and its camera frames (N, 3, H, W), thinned as LeRobot thins them."""
    dataset = open_dataset(path)
    from lerobot.datasets.compute_stats import auto_downsample_height_width  # not in the measured process

    vectors = {key: np.array(dataset.column(key)) for key, f in dataset.features.items() if f.is_vector}
    cameras = {}
    for key, feature in dataset.features.items():
        if feature.is_camera:
            pictures = []
            for start in range(0, dataset.num_frames, 100):
                block = np.empty((min(100, dataset.num_frames - start), *feature.shape), np.uint8)
                for group in dataset.frame_groups(key, np.arange(start, start + len(block))):
                    group.read_into(block)
                pictures += [auto_downsample_height_width(image) for image in block]
            cameras[key] = np.stack(pictures)
    return vectors, cameras


def by_robomix(vectors: dict[str, np.ndarray], cameras: dict[str, np.ndarray]) -> Stats:
    stats = {key: stats_of_entries(summarize_entries(values)) for key, values in vectors.items()}
    return stats | {key: camera_stats(summarize_histogram(histogram(images))) for key, images in cameras.items()}


def by_lerobot(vectors: dict[str, np.ndarray], cameras: dict[str, np.ndarray]) -> Stats:
    from lerobot.datasets.compute_stats import get_feature_stats

    stats = {key: get_feature_stats(values, 0, keepdims=False) for key, values in vectors.items()}
    for key, images in cameras.items():
        of_camera = get_feature_stats(images, (0, 2, 3), keepdims=True)
        stats[key] = {name: v if name == "count" else np.squeeze(v / 255.0, axis=0) for name, v in of_camera.items()}
    return stats


def check(ours: Stats, theirs: Stats, vectors: dict[str, np.ndarray], cameras: dict[str, np.ndarray]) -> None:
    """Against numpy on all values: moments equal, LeRobot's as far as float32 goes; quantiles off in rank by 0.002."""
    for key, values in vectors.items():
        exact = values.astype(np.float64)
        for name, expected in (
            ("mean", exact.mean(0)),
            ("std", exact.std(0)),
            ("min", exact.min(0)),
            ("max", exact.max(0)),
        ):
            assert np.allclose(ours[key][name], expected, rtol=1e-9, atol=1e-9), (key, name)
            assert np.allclose(theirs[key][name], expected, rtol=1e-3, atol=2e-3), (key, name)
        bins = 2 * np.ptp(exact, axis=0) / 5000
        for name, q in QUANTILES.items():
            low, high = (np.quantile(exact, np.clip(q + off, 0, 1), axis=0) for off in (-0.002, 0.002))
            assert ((low <= ours[key][name]) & (ours[key][name] <= high)).all(), (key, name)
            assert ((low - bins <= theirs[key][name]) & (theirs[key][name] <= high + bins)).all(), (key, name)
    for key, images in cameras.items():
        exact = images.mean(axis=(0, 2, 3), dtype=np.float64) / 255
        assert np.allclose(ours[key]["mean"].ravel(), exact, rtol=1e-9), key
        for name in ("q01", "q10", "q50", "q90", "q99"):
            assert np.abs(ours[key][name] - theirs[key][name]).max() <= 1 / 255, (key, name)
        print(f"{key}: LeRobot's mean is off by {np.abs(theirs[key]['mean'].ravel() - exact).max():.3f}")


def timed[T](work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    frames = parser.parse_args(argv).frames
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROBOMIX_CACHE"] = f"{folder}/cache"
        one_million(Path(folder), frames)
        if not (REAL_DATA / "g1_v30").is_dir():
            print(f"no recordings in {REAL_DATA}; ROBOMIX_REAL_DATA names their folder")
            return
        vectors, cameras = recording(REAL_DATA / "g1_v30")
    ours_took, ours = timed(lambda: by_robomix(vectors, cameras))
    theirs_took, theirs = timed(lambda: by_lerobot(vectors, cameras))
    check(ours, theirs, vectors, cameras)
    count = len(next(iter(cameras.values())))
    print(f"g1_v30, {count:,} camera frames and {sum(v.shape[1] for v in vectors.values())} numbers per frame")
    print(f"robomix {ours_took:8.2f} s")
    print(f"LeRobot {theirs_took:8.2f} s   ratio {theirs_took / ours_took:.1f}")


if __name__ == "__main__":
    main()

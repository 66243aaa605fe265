"""Samples a second of a training: materialized 224-pixel frames against LeRobot's reader on the original, one process.

    python -m benchmarks.materialize [--data DIR] [--workers 2]

`--data` holds the recording `g1_v30` (480 x 640, AV1, a key frame every second frame). It is materialized both ways, at
224 x 224, in a temporary folder. First, indices, states, action chunks and frames must be equal on all sides: LeRobot's
frames resized, those of video as far as its codec's loss is said to go. Then each side reads batches of 32 random
samples with a chunk of 50 actions, in turns, and the median is printed with the ratio.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import numpy as np
import torch
from lerobot.datasets import LeRobotDataset

from robomix import Mixture, MixtureConfig, make_mixture
from robomix.mixture.transforms.pictures import resized
from robomix.tools.build.engines.processes import Processes
from robomix.tools.materialize.plan import make_plan
from robomix.tools.materialize.run import carry_out

CAMERA = "observation.images.cam_high"
SIZE, CHUNK, BATCH, ROUNDS = 224, 50, 32, 5
TARGET = 20
Read = Callable[[list[int]], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=os.environ.get("ROBOMIX_REAL_DATA", default))
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    root = arguments.data / "g1_v30"
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBOMIX_CACHE"] = f"{scratch}/cache"
        original = MixtureConfig.from_dict({"datasets": [{"root": str(root)}]})
        sides = {
            "robomix, raw frames": materialized(original, Path(scratch) / "frames", "frames", arguments.workers),
            "robomix, video": materialized(original, Path(scratch) / "video", "video", arguments.workers),
            "robomix, decoding and resizing": on_the_fly(root),
        }
        theirs = LeRobotDataset("local/set", root=root, delta_timestamps={"action": [i / 30 for i in range(CHUNK)]})
        check_equal(sides, theirs)
        compare({name: mixture.__getitems__ for name, mixture in sides.items()}, theirs)


def materialized(config: MixtureConfig, out: Path, storage: Any, workers: int) -> Mixture:
    """The mixture as a training of the file that was written opens it."""
    started = time.perf_counter()
    result = carry_out(make_plan(config, out, height=SIZE, width=SIZE, storage=storage), {}, engine=Processes(workers))
    frames = sum(one.frames for one in result.likeness)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    psnr = min(one.psnr_db for one in result.likeness)
    print(
        f"materialized as {storage} in {time.perf_counter() - started:.0f} s: {size / 1e6:.0f} MB, "
        f"PSNR {psnr:.1f} dB over {frames} frames"
    )
    return make_mixture(
        MixtureConfig.from_dict({"datasets": [{"root": str(config.datasets[0].root)}], "materialized": str(out)}),
        delta_indices={"action": range(CHUNK)},
    )


def on_the_fly(root: Path) -> Mixture:
    resize = {"type": "resize_images", "kwargs": {"height": SIZE, "width": SIZE}}
    config = MixtureConfig.from_dict({"datasets": [{"root": str(root), "transforms": [resize]}]})
    return make_mixture(config, delta_indices={"action": range(CHUNK)})


def check_equal(sides: dict[str, Mixture], theirs: LeRobotDataset) -> None:
    """The same indices, numbers and frames; of the video's, the same but for what is coded away."""
    rows = np.random.default_rng(1).integers(0, len(theirs), BATCH).tolist()
    expected = [theirs[row] for row in rows]
    frames = [resized((sample[CAMERA] * 255).round().byte(), SIZE, SIZE) for sample in expected]
    for name, mixture in sides.items():
        batch = mixture.__getitems__(rows)
        for place, sample in enumerate(expected):
            for key in ("index", "episode_index", "frame_index", "observation.state", "action", "action_is_pad"):
                if not torch.equal(batch[key][place], sample[key]):
                    raise SystemExit(f"{name} and LeRobot return different {key!r} for sample {rows[place]}")
            off = (batch[CAMERA][place].float() - frames[place].float()).abs().mean().item()
            if off > (4 if name.endswith("video") else 0):
                raise SystemExit(f"{name} and LeRobot return different frames for sample {rows[place]}: off by {off}")


def compare(sides: dict[str, Read], theirs: LeRobotDataset) -> None:
    readers = sides | {"LeRobot 0.6, original": lambda rows: [theirs[row] for row in rows]}
    rng = np.random.default_rng(0)
    speeds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS):
        for name, read in readers.items():
            speeds[name].append(samples_per_second(read, rng, len(theirs)))
    median = {name: statistics.median(values) for name, values in speeds.items()}
    slow = median["LeRobot 0.6, original"]
    print(f"\nBatches of {BATCH} random samples with {CHUNK} actions, one process; equal samples on all sides")
    for name, speed in median.items():
        print(f"  {name:32} {speed:10,.1f} samples/s   {speed / slow:7.1f} x LeRobot")
    ratio = median["robomix, raw frames"] / slow
    print(f"raw frames / LeRobot {ratio:.0f}, target at least {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}")


def samples_per_second(read: Read, rng: np.random.Generator, frames: int, seconds: float = 2.0) -> float:
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        read(rng.integers(0, frames, BATCH).tolist())
        count += BATCH
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()

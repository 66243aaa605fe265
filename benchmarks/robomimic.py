"""robomimic files, side by side: robomix, robomimic's own SequenceDataset, and a bare h5py loop. One command:

    python -m benchmarks.robomimic [--demos 200]

State-only samples with chunks of 10 actions: robomimic caches the file in memory (`hdf5_cache_mode="low_dim"`, its
fastest that is not one of finished samples) and collates with torch's DataLoader in the same process; robomix reads
through a mixture. Both are first checked to return the same arrays. Pictures: random frames of a gzip file of 84 x 84,
against a loop that opens the file once and reads frame by frame. The package robomimic is installed into a folder that
is thrown away; where that fails its side is left out, and said so.
"""

import argparse
import contextlib
import importlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from robomix import Mixture, MixtureConfig, make_mixture
from robomix.formats import open_dataset
from tests.hdf5_files import write_robomimic

BATCH, CHUNK, ROUNDS = 256, 10, 5
KEYS = ("robot0_eef_pos", "object")
CAMERA = "observation.images.agentview"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demos", type=int, default=200)
    demos = parser.parse_args().demos
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBOMIX_CACHE"] = f"{scratch}/cache"
        path = write_robomimic(Path(scratch) / "low_dim.hdf5", ids=range(demos), lengths=[100] * demos).path
        if install_robomimic(Path(scratch) / "packages"):
            time_states(path, demos)
        else:
            print("State-only samples: left out, the package robomimic could not be installed here.")
        pictures = write_robomimic(
            Path(scratch) / "image.hdf5", ids=range(20), lengths=[100] * 20, cameras=["agentview"], size=(84, 84),
            compression="gzip", chunks=(1, 84, 84, 3),
        ).path  # fmt: skip
        time_pictures(pictures)


def install_robomimic(folder: Path) -> bool:
    """Whether the package robomimic can be imported, alone and without what it needs for simulation."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), "robomimic"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module("robomimic.utils.dataset")
    except ImportError:
        return False
    return True


def their_dataset(path: Path) -> Any:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        specs = {"obs": {"low_dim": list(KEYS), "rgb": []}}
        importlib.import_module("robomimic.utils.obs_utils").initialize_obs_utils_with_obs_specs(specs)
        return importlib.import_module("robomimic.utils.dataset").SequenceDataset(
            str(path), obs_keys=KEYS, dataset_keys=("actions",), frame_stack=1, seq_length=CHUNK,
            hdf5_cache_mode="low_dim", load_next_obs=False,
        )  # fmt: skip


def our_mixture(path: Path) -> Mixture:
    kept = {"action", *(f"observation.{key}" for key in KEYS)}
    dropped = {key: None for key in open_dataset(path).features if key not in kept}
    config = MixtureConfig.from_dict({"datasets": [{"root": str(path), "feature_map": dropped}]})
    return make_mixture(config, delta_indices={"action": range(CHUNK)})


def time_states(path: Path, demos: int) -> None:
    theirs, ours = their_dataset(path), our_mixture(path)
    assert len(theirs) == len(ours) == demos * 100
    rng = np.random.default_rng(0)

    def read_theirs(order: list[int]) -> Any:
        yield from DataLoader(Subset(theirs, order), batch_size=BATCH)

    def read_ours(order: list[int]) -> Any:
        for begin in range(0, len(order), BATCH):
            yield ours.__getitems__(order[begin : begin + BATCH])

    order = rng.integers(0, len(ours), 4 * BATCH).tolist()
    for one, other in zip(read_theirs(order), read_ours(order), strict=True):
        torch.testing.assert_close(one["actions"].float(), other["action"], rtol=0, atol=0)
        for key in KEYS:
            torch.testing.assert_close(one["obs"][key][:, 0].float(), other[f"observation.{key}"], rtol=0, atol=0)
    order = rng.integers(0, len(ours), 16 * BATCH).tolist()
    sides = {"robomimic, low_dim cache": read_theirs, "robomix": read_ours}
    times = timed({name: lambda read=read: sum(1 for _ in read(order)) for name, read in sides.items()})
    print(f"\nState-only samples with {CHUNK} actions, batches of {BATCH} random frames, one process; both sides equal")
    report(times, len(order), "samples", at_least=10.0)


def time_pictures(path: Path) -> None:
    dataset = open_dataset(path)
    rows = np.random.default_rng(1).integers(0, dataset.num_frames, 1000)
    file = h5py.File(path, "r")

    def bare() -> np.ndarray:
        frames = [file[f"data/demo_{row // 100}/obs/agentview_image"][row % 100] for row in rows]
        return np.stack(frames).transpose(0, 3, 1, 2)

    def ours() -> np.ndarray:
        return dataset.read_frames(CAMERA, rows)

    np.testing.assert_array_equal(bare(), ours())
    print("\nRandom frames of 84 x 84, gzip, a chunk for each frame, one thread; both sides equal")
    report(timed({"bare h5py loop": bare, "robomix": ours}), len(rows), "frames", at_least=0.9)


def timed(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each side, measured in turn."""
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            rounds[name].append(time.perf_counter() - started)
    return {name: median(seconds) for name, seconds in rounds.items()}


def report(times: dict[str, float], count: int, what: str, *, at_least: float) -> None:
    for name, seconds in times.items():
        print(f"  {name:32} {count / seconds:10,.0f} {what} per second")
    other, ours = times.values()
    ratio = other / ours
    print(f"  {'ratio':32} {ratio:10.2f}    target at least {at_least}: {'met' if ratio >= at_least else 'MISSED'}")


if __name__ == "__main__":
    main()

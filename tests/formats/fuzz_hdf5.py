"""Damaged HDF5 files: whatever is in them, they are read or refused with a FormatError. Longer than the tests:

    python -m tests.formats.fuzz_hdf5 2000 [FIRST_SEED]

Each attempt is a process of its own, so that a crash inside the HDF5 library, which no test could catch, is counted.
"""

import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.hdf5_files import write_aloha, write_robomimic

SECONDS, BYTES = 90, 2 << 30
"""What an attempt may take."""
NUMBERS = (0, 1, 7, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def write_bases(folder: Path) -> list[Path]:
    """Sound datasets of several inner structures; small, so that damage hits what matters."""
    cameras = {"cameras": ["agentview"], "masks": {"train": [0, 10]}, "lengths": (3, 4, 2), "size": (8, 8)}
    plain = write_robomimic(folder / "plain.hdf5", **cameras).path
    with h5py.File(plain, "a") as file:  # a text of fixed length is read without a process of its own
        file["data"].attrs["env_args"] = np.bytes_(file["data"].attrs["env_args"])
    return [
        plain,
        write_robomimic(folder / "gzip.hdf5", compression="gzip", chunks=(2, 8, 8, 3), **cameras).path,
        write_aloha(folder / "padded", storage="padded", lengths=(3, 2), ids=(0, 1), size=(8, 8)).path,
        write_aloha(folder / "vlen", storage="vlen", lengths=(3, 2), ids=(0, 1), size=(8, 8)).path,
    ]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to a few changes: bytes, whole numbers, zeroed or copied ranges, a shorter file."""
    data = bytearray(content)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))  # much of a small file is empty
    for _ in range(int(rng.integers(1, 6))):
        place = min(int(rng.choice(used)), len(data) - 1)
        kind = rng.integers(0, 6)
        if kind <= 1:
            data[place] = int(rng.integers(0, 256))
        elif kind == 2:
            data[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 3:
            size = int(rng.choice([1, 2, 4, 8]))
            number = int(NUMBERS[rng.integers(0, len(NUMBERS))]) % (1 << 8 * size)
            data[place : place + size] = number.to_bytes(size, "little")[: len(data) - place]
        elif kind == 4:
            size, origin = int(rng.integers(1, 64)), int(rng.choice(used))
            data[place : place + size] = data[origin : origin + size]
        elif rng.random() < 0.2:
            del data[place + 1 :]
    return bytes(data)


def attempt(path: Path) -> str:
    """Opens and reads everything; what came of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = open_dataset(path, fps=None if path.is_file() else 50)
        for key, feature in dataset.features.items():
            if feature.is_camera:
                dataset.read_frames(key, np.arange(min(dataset.num_frames, 20)))
            else:
                dataset.column(key).sum()
    except FormatError:
        return "refused"
    return "read"


def in_child(base: Path, seed: int, folder: Path) -> str:
    """What came of damaging a copy of `base`, in a process with limits."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.environ["ROBOMIX_CACHE"] = str(folder / "cache")
        rng = np.random.default_rng(seed)
        copy = folder / base.name
        code = 2
        try:
            (shutil.copytree if base.is_dir() else shutil.copy)(base, copy)
            file = sorted(copy.iterdir())[int(rng.integers(0, 2))] if base.is_dir() else copy
            file.write_bytes(damaged(file.read_bytes(), rng))
            code = ["read", "refused"].index(attempt(copy))
        finally:
            if code == 2:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    if usage.ru_maxrss * 1024 > BYTES:
        return f"took {usage.ru_maxrss >> 10} MiB"
    if os.WIFSIGNALED(status):
        return f"died of {signal.Signals(os.WTERMSIG(status)).name}"
    return ("read", "refused", "raised something else")[os.WEXITSTATUS(status)]


def main(count: int, first: int = 0) -> int:
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        bases = write_bases(Path(scratch) / "bases")
        for seed in range(first, first + count):
            folder = Path(scratch) / "attempt"
            folder.mkdir()
            result = in_child(bases[seed % len(bases)], seed, folder)
            results[result] += 1
            if result not in ("read", "refused"):
                print(f"seed {seed}, {bases[seed % len(bases)].name}: {result}", flush=True)
            shutil.rmtree(folder)
    print(dict(results))
    return int(set(results) > {"read", "refused"} or not {"read", "refused"} >= set(results))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

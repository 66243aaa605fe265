"""Damaged zarr stores, RLDS datasets and modality.json: read or refused with a FormatError. Longer than the tests:

python -m tests.formats.fuzz_stores zarr|rlds|gr00t [COUNT] [FIRST_SEED]
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.fixtures import write_v21
from tests.rlds_files import framed, write_rlds
from tests.zarr_files import write_zarr

SECONDS, BYTES = 30, 2 << 30
"""What an attempt may take."""
ODD = (None, True, -1, 0, 1, 3, 1 << 20, 1 << 40, 1 << 62, 1 << 70, 1.5, "", "x", "|O", "<f8", "uint8", "-1", "../x")
ODDER: tuple[Any, ...] = ([], {}, [1], [1 << 40, 1 << 40], {"id": "pickle"}, {"name": "zstd"}, [None], "9" * 12, "a/b")


def write_zarr_bases(folder: Path) -> list[Path]:
    small = {"size": (8, 8), "lengths": (3, 4)}
    return [
        write_zarr(folder / "v2.zarr", **small).path,
        write_zarr(folder / "v3.zarr", version=3, chunk_rows=2, shard_rows=4, pictures_as="float32", **small).path,
        write_zarr(folder / "zip.zarr.zip", **small).path,
    ]


def write_rlds_bases(folder: Path) -> list[Path]:
    return [write_rlds(folder / "toy" / "1.0.0", size=(8, 8), lengths=(3, 2, 4)).path]


def write_gr00t_bases(folder: Path) -> list[Path]:
    path = write_v21(folder / "gr00t", cameras={"observation.images.top": (16, 16)}, storage="image").path
    modality = {
        "state": {"arm": {"start": 0, "end": 2}, "hand": {"start": 2, "end": 3, "original_key": "observation.state"}},
        "action": {"arm": {"start": 0, "end": 2}},
        "video": {"front": {"original_key": "observation.images.top"}},
        "annotation": {"human.task_description": {"original_key": "task_index"}},
    }
    (path / "meta/modality.json").write_text(json.dumps(modality))
    return [path]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One to a few changes: bytes, bits, whole numbers, copied ranges, a shorter file."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        place, kind = int(rng.integers(0, max(1, len(data)))), rng.integers(0, 5)
        if kind == 0:
            data[place : place + 1] = bytes([int(rng.integers(0, 256))])
        elif kind == 1 and place < len(data):
            data[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            size = int(rng.choice([2, 4, 8]))
            data[place : place + size] = int(rng.choice([0, 0xFF, 0x7FFFFFFF, 1 << 40])).to_bytes(8, "little")[:size]
        elif kind == 3:
            origin, size = int(rng.integers(0, max(1, len(data)))), int(rng.integers(1, 40))
            data[place : place + size] = data[origin : origin + size]
        elif rng.random() < 0.2:
            del data[place:]
    return bytes(data)


def damaged_json(content: bytes, rng: np.random.Generator) -> bytes:
    """The document with one value replaced or removed."""
    document = json.loads(content)
    places: list[tuple[Any, Any]] = []
    todo: list[Any] = [document]
    while todo:
        node = todo.pop()
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                todo.append(node[key])
    node, key = places[int(rng.integers(0, len(places)))]
    choices = [*ODD, *ODDER]
    if rng.random() < 0.15:
        del node[key]
    else:
        node[key] = choices[int(rng.integers(0, len(choices)))]
    return json.dumps(document).encode()


def damage_file(file: Path, rng: np.random.Generator) -> None:
    content = file.read_bytes()
    is_json = file.suffix == ".json" or file.name.startswith(".z")
    if is_json and content.strip() not in (b"", b"{}") and rng.random() < 0.8:
        file.write_bytes(damaged_json(content, rng))
    elif ".tfrecord-" in file.name and rng.random() < 0.8:
        # With the right checksums, or nothing behind them would ever be reached.
        file.write_bytes(framed(damaged(content[12:-4], rng)))
    else:
        file.write_bytes(damaged(content, rng))


def attempt(base: Path, seed: int, folder: Path, fps: float | None, files: Callable[[Path], Sequence[Path]]) -> str:
    """What came of opening and reading a damaged copy of `base`. Other errors than FormatError pass through."""
    rng = np.random.default_rng(seed)
    copy = folder / str(seed) / base.name
    copy.parent.mkdir(parents=True)
    (shutil.copytree if base.is_dir() else shutil.copy)(base, copy)
    chosen = files(copy)
    damage_file(chosen[int(rng.integers(0, len(chosen)))], rng)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = open_dataset(copy, fps=fps)
        for key, feature in dataset.features.items():
            if feature.is_camera:
                dataset.read_frames(key, np.arange(min(dataset.num_frames, 8)))
            elif feature.kind == "numeric":
                dataset.column(key)[:8].sum()
        dataset.task_indices()[:8].sum()
    except FormatError:
        return "refused"
    finally:
        shutil.rmtree(copy.parent)
    return "read"


def attempt_zarr(base: Path, seed: int, folder: Path) -> str:
    return attempt(base, seed, folder, 10, _zarr_files)


def _zarr_files(root: Path) -> list[Path]:
    """Metadata more often than chunks: it says more."""
    if root.is_file():
        return [root]
    found = sorted(file for file in root.rglob("*") if file.is_file())
    described = [file for file in found if file.name in (".zarray", "zarr.json")]
    return found + described * 3


def attempt_rlds(base: Path, seed: int, folder: Path) -> str:
    return attempt(base, seed, folder, 5, lambda root: sorted(root.iterdir()))


def attempt_gr00t(base: Path, seed: int, folder: Path) -> str:
    return attempt(base, seed, folder, None, lambda root: [root / "meta" / "modality.json"])


KINDS = {
    "zarr": (write_zarr_bases, attempt_zarr),
    "rlds": (write_rlds_bases, attempt_rlds),
    "gr00t": (write_gr00t_bases, attempt_gr00t),
}


def main(kind: str, count: int = 2000, first: int = 0) -> int:
    write, once = KINDS[kind]
    results: Counter[str] = Counter()
    slowest = 0.0
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBOMIX_CACHE"] = str(Path(scratch) / "cache")
        bases = write(Path(scratch) / "bases")
        for seed in range(first, first + count):
            signal.alarm(SECONDS)  # a hang ends the run
            start = time.monotonic()
            try:
                results[once(bases[seed % len(bases)], seed, Path(scratch) / "copy")] += 1
            except Exception as error:
                results[type(error).__name__] += 1
                print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
            slowest = max(slowest, time.monotonic() - start)
            shutil.rmtree(Path(scratch) / "cache", ignore_errors=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{dict(results)}, slowest {slowest:.1f} s, most memory {memory >> 20} MiB")
    return int(not set(results) <= {"read", "refused"} or memory > BYTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))

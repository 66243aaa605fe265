"""How busy a training from object storage is, over a line of 200 Mbit/s: cold, warm, and from a copy on this machine.

    python -m benchmarks.remote [--data DIR] [--copies 6] [--steps 60] [--megabits 200]

`--data` holds the recording `g1_v30` (22 MB, 480 x 640, AV1). It is put into an S3 server on this machine, several
times over as if these were sources of their own, behind a proxy that lets so many bits a second through. A small ACT
(images at 96 x 96, ResNet-18) is trained on the CPU three times: from a copy, from S3 with an empty cache, and once
more from S3. Printed are the share of the time in which the training did not wait for data, of all steps and of the
last half, and what came over the line. In the last half, both runs from S3 should be busy for 90 % of the time.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
import warnings
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other core decodes

from rich.console import Console
from rich.table import Table

from robomix.cli.main import main as robomix

TARGET, EVERY, SIZE = 0.9, 5, 96
POLICY = {
    "type": "act",
    "device": "cpu",
    "pretrained_backbone_weights": None,
    "dim_model": 64,
    "n_heads": 4,
    "dim_feedforward": 128,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 8,
    "chunk_size": 20,
    "n_action_steps": 20,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=os.environ.get("ROBOMIX_REAL_DATA", default))
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--megabits", type=float, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=8)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    spawn = multiprocessing.get_context("spawn")
    ready, sent, stop = spawn.Queue(), spawn.Value("q", 0), spawn.Event()
    folder = arguments.data / "g1_v30"
    server = spawn.Process(target=serve, args=(folder, arguments.copies, arguments.megabits, ready, sent, stop))
    server.start()
    try:
        variables, urls = ready.get(timeout=120)
        os.environ.update(variables)
        with tempfile.TemporaryDirectory() as scratch:
            rows = measure(arguments, Path(scratch), urls, sent)
    finally:
        stop.set()
        server.join()
    show(rows, arguments)


def serve(folder: Path, copies: int, megabits: float, ready: Any, sent: Any, stop: Any) -> None:
    """In a process of its own: the storage. Tells how to reach it, and goes on telling how many bytes it has sent."""
    from tests.remote.storage import environment, s3_storage

    with s3_storage() as storage:
        urls = [storage.put(folder, "bucket", f"copy-{i}/g1_v30") for i in range(copies)]
        storage.line.rate = megabits * 1e6
        ready.put((environment(storage), urls))
        while not stop.wait(0.1):
            sent.value = storage.line.sent


def measure(arguments: argparse.Namespace, scratch: Path, urls: list[str], sent: Any) -> list[tuple[Any, ...]]:
    """(side, busy shares of the reports, seconds of all, bytes over the line) of each training."""
    local = [str(arguments.data / "g1_v30")] * len(urls)
    sides = {"from a copy": (local, "here"), "from S3, cold": (urls, "far"), "from S3, warm": (urls, "far")}
    rows = []
    for number, (side, (roots, cache)) in enumerate(sides.items()):
        os.environ["ROBOMIX_CACHE"] = str(scratch / cache)
        before, begun = sent.value, time.perf_counter()
        busy = train(roots, scratch / str(number), arguments)
        took = time.perf_counter() - begun
        time.sleep(0.3)  # for the server to tell
        rows.append((side, busy, took, sent.value - before))
    return rows


def train(roots: list[str], folder: Path, arguments: argparse.Namespace) -> list[float]:
    """The share of the time in which the training did not wait for data, of each report."""
    folder.mkdir()
    resize = {"type": "resize_images", "kwargs": {"height": SIZE, "width": SIZE}}
    training = {
        "dataset": {"datasets": [{"root": root, "transforms": [resize]} for root in roots]},
        "policy": POLICY,
        "batch_size": arguments.batch_size,
        "steps": arguments.steps,
        "log_freq": EVERY,
        "save_checkpoint": False,
        "num_workers": arguments.workers,
        "output_dir": str(folder / "out"),
    }
    (folder / "mix.json").write_text(json.dumps(training))
    if robomix(["train", f"--config_path={folder / 'mix.json'}"]) != 0:
        raise SystemExit("the training failed")
    reports = (folder / "out" / "metrics.jsonl").read_text().splitlines()
    return [1 - json.loads(report)["data_wait_share"] for report in reports]


def show(rows: list[tuple[Any, ...]], arguments: argparse.Namespace) -> None:
    table = Table(title=f"ACT on {arguments.copies} sources over {arguments.megabits:g} Mbit/s", title_justify="left")
    table.add_column("training")
    for header in ("all steps busy", "last half busy", "seconds", "MB over the line"):
        table.add_column(header, justify="right")
    for side, busy, took, sent in rows:
        late = busy[len(busy) // 2 :]
        table.add_row(side, f"{mean(busy):.1%}", f"{mean(late):.1%}", f"{took:.0f}", f"{sent / 1e6:,.1f}")
    Console().print(table)
    reached = all(mean(busy[len(busy) // 2 :]) >= TARGET for side, busy, *_ in rows if "S3" in side)
    print(f"busy for {TARGET:.0%} of the time once warm: {'yes' if reached else 'NO'}")


if __name__ == "__main__":
    main()

"""Merging datasets, beside LeRobot 0.6's own merge:

    python -m benchmarks.merge [--data DIR] [--sources 10] [--many 20 50 100]

`--data` holds the recordings `g1_v30` and `cr5_v21` (480 x 640, AV1), of each of which as many v3.0 datasets are made
as are to be merged, with other actions, so that no episode is a copy of another. Each merge runs in a process of its
own, which has merged two others before, so that importing is not counted, and reports its seconds and its peak of
resident memory; on a machine with other work, its processor seconds are the better measure. robomix finds none of the
sources in its cache; it plans, merges, reads back and checks what it wrote, and flushes it to the disk; LeRobot is
`aggregate_datasets`, which `lerobot-edit-dataset` calls, and after which the files are flushed. First the results are
compared: rows, tasks, and all frames of some episodes. Then robomix merges with a transform of the actions, and then
as many sources as `--many` says, beside copying their files and flushing the copies: the time per source is to grow
no more than that of copying them, which a machine with little free memory does the slower the more there are.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import numpy as np
import pyarrow as pa

from robomix.files import sync_below
from robomix.tools.build.content import Rows
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content

ROUNDS = 3


@dataclass(frozen=True)
class Moved:
    """Rows whose actions are moved by a number."""

    rows: Rows
    by: float

    def table(self) -> pa.Table:
        table = self.rows.table()
        actions = np.stack(table["action"].to_numpy()) + np.float32(self.by)
        moved = pa.FixedSizeListArray.from_arrays(pa.array(actions.reshape(-1)), actions.shape[1])
        return table.set_column(table.column_names.index("action"), "action", moved)

    @property
    def size(self) -> int:
        return self.rows.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=os.environ.get("ROBOMIX_REAL_DATA", default))
    parser.add_argument("--sources", type=int, default=10)
    parser.add_argument("--many", type=int, nargs="*", default=[20, 50, 100])
    parser.add_argument("--side", choices=SIDES, help="for the processes that this program starts")
    parser.add_argument("paths", nargs="*", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(merged(arguments.side, arguments.paths)))
        return
    for name in ("cr5_v21", "g1_v30"):
        compare(arguments.data / name, arguments.sources, arguments.many)


def compare(recording: Path, sources: int, many: list[int]) -> None:
    """Prints both sides of merging so many datasets like `recording`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["ROBOMIX_CACHE"] = f"{scratch}/cache"
        paths = [made(recording, folder / f"source_{i:03d}", i / 1000) for i in range(max([sources, *many]))]
        start = [made(recording, folder / f"start_{i}", -i) for i in (1, 2)]
        ours = [run("robomix", start + paths[:sources], folder / f"ours_{i}", fresh=True) for i in range(ROUNDS)]
        theirs = [run("lerobot", start + paths[:sources], folder / f"theirs_{i}") for i in range(ROUNDS)]
        check_equal(folder / "ours_0", folder / "theirs_0")
        mine, other = best(ours), best(theirs)
        print(f"{recording.name}, {sources} sources: the same rows, tasks and frames; least of {ROUNDS} rounds")
        print(f"  LeRobot  {other}")
        print(f"  robomix  {mine}: {other.seconds / mine.seconds:.1f} times as fast, ", end="")
        print(f"{other.processor / mine.processor:.1f} times by processor")
        print(f"  robomix with a transform  {run('transforms', start + paths[:sources], folder / 'made', fresh=True)}")
        for count in many:
            print(f"  {count} sources")
            for side in ("copy", "robomix"):
                out = folder / f"{side}_{count}"
                cost = run(side, start + paths[:count], out, fresh=True)
                each, busy = 1000 * cost.seconds / count, 1000 * cost.processor / count
                print(f"    {side:8} {cost}; {each:.0f} ms each, {busy:.0f} ms of processor")
                shutil.rmtree(out)


def made(recording: Path, target: Path, by: float) -> Path:
    """`recording` as v3.0, with its actions moved."""
    content = read_content(recording)
    episodes = tuple(replace(episode, rows=Moved(episode.rows, by)) for episode in content.episodes)
    carry_out(make_plan(replace(content, episodes=episodes), target))
    return target


@dataclass(frozen=True)
class Cost:
    """What a merge takes."""

    seconds: float
    processor: float
    """Seconds of processor, of all threads."""
    peak: float
    """MiB of memory, with what importing takes."""

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} s ({self.processor:.2f} s of processor), {self.peak:.0f} MiB"


def best(rounds: list[Cost]) -> Cost:
    """The least time of several rounds, and the most memory."""
    return Cost(min(r.seconds for r in rounds), min(r.processor for r in rounds), max(r.peak for r in rounds))


def run(side: str, paths: list[Path], out: Path, *, fresh: bool = False) -> Cost:
    """Merges `paths` in a process of its own; `fresh`: with nothing in robomix's cache."""
    cache = {"ROBOMIX_CACHE": str(out.with_name(f"{out.name}_cache"))} if fresh else {}
    command = [sys.executable, "-m", "benchmarks.merge", "--side", side, *map(str, [*paths, out])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | cache)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def merged(side: str, paths: list[Path]) -> tuple[float, float, float]:
    """Merges in this process: all but the last of `paths` are sources, the first two of them only for a start."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    *sources, out = paths
    merge = SIDES[side]
    merge(sources[:2], out.with_name(f"{out.name}_start"))
    begin, busy = time.perf_counter(), time.process_time()
    merge(sources[2:], out)
    seconds, processor = time.perf_counter() - begin, time.process_time() - busy
    status = Path("/proc/self/status").read_text()  # getrusage would have the peak of the process that started this one
    return seconds, processor, int(status.split("VmHWM:")[1].split()[0]) / 1024


def merged_by_robomix(sources: list[Path], out: Path) -> None:
    from robomix.cli.merge import run as merge  # not in the other's process

    assert merge([*map(str, sources), "--out", str(out)]) == 0


def merged_with_transforms(sources: list[Path], out: Path) -> None:
    from robomix.cli.merge import run as merge  # not in the other's process

    wider = [{"type": "pad_action", "kwargs": {"target_dim": 32}}]
    mixture = out.with_name(f"{out.name}.json")
    entries = [{"root": str(path), "transforms": wider} for path in sources]
    mixture.write_text(json.dumps({"dataset": {"type": "multi", "datasets": entries}}))
    assert merge(["--config", str(mixture), "--out", str(out)]) == 0


def merged_by_lerobot(sources: list[Path], out: Path) -> None:
    from lerobot.datasets.aggregate import aggregate_datasets  # not in the other's process

    aggregate_datasets([path.name for path in sources], out.name, sources, out)
    sync_below(out)


def copied(sources: list[Path], out: Path) -> None:
    for source in sources:
        shutil.copytree(source, out / source.name)
    sync_below(out)


SIDES = {
    "robomix": merged_by_robomix,
    "transforms": merged_with_transforms,
    "lerobot": merged_by_lerobot,
    "copy": copied,
}


def check_equal(ours: Path, theirs: Path) -> None:
    """Raises AssertionError unless both hold the same rows and tasks, and the same frames at the ends of episodes."""
    from robomix.formats import open_dataset

    first, second = open_dataset(ours), open_dataset(theirs)
    assert np.array_equal(first.episodes.starts, second.episodes.starts)
    assert [first.tasks[i] for i in first.task_indices()] == [second.tasks[i] for i in second.task_indices()]
    starts = first.episodes.starts
    rows = np.unique(np.concatenate([starts[:-1], starts[1:] - 1, np.arange(0, first.num_frames, 997)]))
    for key, feature in first.features.items():
        if feature.is_camera:
            assert np.array_equal(first.read_frames(key, rows), second.read_frames(key, rows)), key
        elif feature.kind == "numeric":
            assert np.array_equal(first.column(key), second.column(key)), key


if __name__ == "__main__":
    main()

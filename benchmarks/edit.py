"""Editing datasets, beside LeRobot 0.6's own tools and beside plain copies of the files:

    python -m benchmarks.edit [--data DIR] [--copies N]

`--data` holds the recording `g1_v30` (480 x 640, AV1, a key frame every second frame), which is put together N times.
Episodes are deleted, and the dataset is split in two, by robomix and by what `lerobot-edit-dataset` calls; first both
must have written the same rows, and robomix the very frames of the source. LeRobot runs once, since it encodes each
frame again; robomix is the median of several rounds. Then frames are remuxed by one process, and the dataset is
converted from v2.1 to v3.0, beside copying its files twice; every side flushes its files to the disk.
"""

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("SVT_LOG", "1")

import numpy as np
import pyarrow.parquet as pq
from lerobot.datasets.dataset_tools import delete_episodes, split_dataset
from lerobot.datasets.lerobot_dataset import LeRobotDataset as TheirDataset

from robomix.files import sync_below
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.content import Content
from robomix.tools.build.layout import Version
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content
from robomix.tools.edit.episodes import delete
from robomix.tools.edit.join import join
from robomix.tools.edit.split import by_lists
from robomix.video.remux import Clip, remux

CAMERA = "observation.images.cam_high"
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=os.environ.get("ROBOMIX_REAL_DATA", default))
    parser.add_argument("--copies", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ROBOMIX_CACHE"] = f"{scratch}/cache"
        source = Path(scratch) / "source"
        folders = [Path(scratch) / f"copy_{i}" for i in range(arguments.copies)]
        for folder in folders:
            shutil.copytree(arguments.data / "g1_v30", folder)
        whole = join([read_content(folder) for folder in folders], [folder.name for folder in folders]).content
        carry_out(make_plan(whole, source))
        frames = read_content(source).num_frames
        print(f"\n{arguments.copies} times g1_v30: {len(whole.episodes)} episodes, {frames:,} frames, AV1")
        time_delete(source, Path(scratch))
        time_split(source, Path(scratch))
        time_remux(source, Path(scratch))
        time_conversion(whole, Path(scratch))


def time_delete(source: Path, scratch: Path) -> None:
    count = len(read_content(source).episodes)
    gone = list(range(1, count, 3))
    left = [episode for episode in range(count) if episode not in gone]

    def ours() -> None:
        carry_out(make_plan(delete(read_content(source), gone), scratch / "ours"))

    def theirs() -> None:
        delete_episodes(TheirDataset("local/set", root=source), gone, scratch / "theirs", "local/theirs")

    compare(f"delete {len(gone)} of {count} episodes", ours, theirs, scratch, [("ours", "theirs", left)], source)


def time_split(source: Path, scratch: Path) -> None:
    count = len(read_content(source).episodes)
    border = round(0.8 * count)
    lists = {"train": list(range(border)), "val": list(range(border, count))}

    def ours() -> None:
        for name, part in by_lists(read_content(source), lists).items():
            carry_out(make_plan(part, scratch / "ours" / name))

    def theirs() -> None:
        split_dataset(TheirDataset("local/set", root=source), lists, scratch / "theirs")

    parts = [(f"ours/{name}", their_folder(name), episodes) for name, episodes in lists.items()]
    compare(f"split into {border} and {count - border} episodes", ours, theirs, scratch, parts, source)


def their_folder(name: str) -> str:
    return f"theirs/{name}"


def compare(
    what: str,
    ours: Callable[[], None],
    theirs: Callable[[], None],
    scratch: Path,
    parts: list[tuple[str, str, list[int]]],
    source: Path,
) -> None:
    slow, _ = seconds(theirs)
    fast, _ = median(ours, scratch / "ours")
    for own, other, episodes in parts:
        check_equal(scratch / own, scratch / other, source, episodes)
    print(f"\n{what}: the same rows on both sides, robomix with the very frames of the source")
    print(f"  {'LeRobot 0.6':32} {slow:8.2f} s")
    print(f"  {'robomix, read back and checked':32} {fast:8.2f} s")
    report("LeRobot / robomix", slow / fast, at_least=50)
    shutil.rmtree(scratch / "theirs")
    shutil.rmtree(scratch / "ours")


def check_equal(own: Path, other: Path, source: Path, episodes: list[int]) -> None:
    """The same numbers in both, and in robomix's the frames of the source, some of each episode."""
    ours, theirs = (table(path) for path in (own, other))
    for key in ("observation.state", "action", "episode_index", "frame_index", "index"):
        assert ours[key].to_pylist() == theirs[key].to_pylist(), key
    new, old = LeRobotDataset.opened(own), LeRobotDataset.opened(source)
    for place, episode in enumerate(episodes):
        steps = np.unique([0, 1, old.episodes.lengths[episode] // 2, old.episodes.lengths[episode] - 1])
        found = new.read_frames(CAMERA, new.episodes.starts[place] + steps)
        np.testing.assert_array_equal(found, old.read_frames(CAMERA, old.episodes.starts[episode] + steps))


def table(path: Path):  # type: ignore[no-untyped-def]
    return pq.read_table(sorted((path / "data").rglob("*.parquet")))


def time_remux(source: Path, scratch: Path) -> None:
    video = next(source.rglob("*.mp4"))
    count = read_content(source).num_frames
    clips = [Clip(video, 0, count)] * 3

    def run() -> None:
        assert remux(clips, scratch / "out.mp4", read_content(source).fps) == 3 * count

    rate = 3 * count / median(run, scratch / "out.mp4")[0]
    print(f"\nremux of {3 * count:,} frames of 480 x 640, one process")
    report("frames per second", rate, at_least=40_000)


def time_conversion(whole: Content, scratch: Path) -> None:
    older, newer = scratch / "older", scratch / "newer"
    carry_out(make_plan(whole, older, version="v2.1"))

    def convert(version: Version = "v3.0") -> None:
        carry_out(make_plan(read_content(older), newer, version=version))

    def copy_twice() -> None:
        for name in ("one", "two"):
            shutil.copytree(older, scratch / "copies" / name)
        sync_below(scratch / "copies")

    copied, copying = median(copy_twice, scratch / "copies")
    converted, converting = median(convert, newer)
    new, old = LeRobotDataset.opened(newer), LeRobotDataset.opened(older)
    rows = np.arange(0, old.num_frames, 101)
    np.testing.assert_array_equal(new.column("action"), old.column("action"))
    np.testing.assert_array_equal(new.read_frames(CAMERA, rows), old.read_frames(CAMERA, rows))
    print("\nv2.1 to v3.0, equal rows and frames")
    print(f"  {'copying the files twice':32} {copied:8.2f} s ({copying:.2f} s of processor)")
    print(f"  {'robomix, read back and checked':32} {converted:8.2f} s ({converting:.2f} s of processor)")
    report("copying / robomix", copied / converted, at_least=1)


def median(work: Callable[[], None], output: Path) -> tuple[float, float]:
    """Seconds, and seconds of processor, of several rounds; what one has written is there in the end."""
    made = []
    for _ in range(ROUNDS):
        if output.is_dir():
            shutil.rmtree(output)
        output.unlink(missing_ok=True)
        made.append(seconds(work))
    return statistics.median(wall for wall, _ in made), statistics.median(busy for _, busy in made)


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """How long `work` takes, and how many seconds of processor, of all threads."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def report(what: str, value: float, *, at_least: float) -> None:
    print(f"  {what:32} {value:10,.1f}    target at least {at_least:,}: {'met' if value >= at_least else 'MISSED'}")


if __name__ == "__main__":
    main()

"""There and back by the commands: through parts, merges of merges, HDF5 and pictures, for datasets of every oddity."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.formats.lerobot.dataset import LeRobotDataset
from tests.fixtures import write_v20, write_v21, write_v30
from tests.tools.edited import TOP, assert_equal, digests
from tests.tools.test_round_trips import FILES, SMALL, SPECS

ONE_TASK = {name: spec for name, spec in SPECS.items() if "tasks" not in spec}


def run(*argv: object) -> None:
    assert main([*map(str, argv)]) == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Jürgen's «set» 物"


@pytest.mark.parametrize("spec", SPECS)
def test_many_files_through_the_older_versions(spec: str, folder: Path) -> None:
    write_v30(folder / "source", **FILES | SPECS[spec])
    before = digests(folder / "source")
    run("convert", folder / "source", "--to=v2.1", "--out", folder / "v21")
    run("convert", folder / "v21", "--to=v2.0", "--out", folder / "v20")
    run("convert", folder / "v20", "--to=v3.0", "--out", folder / "back")
    for name in ("v21", "v20", "back"):
        assert_equal(folder / name, folder / "source")
    assert digests(folder / "source") == before


@pytest.mark.parametrize("spec", SPECS)
def test_split_merged_and_merged_again(spec: str, folder: Path) -> None:
    """The merge of two parts, one of them a merge itself, is the whole; so is what that is merged to with both."""
    write_v30(folder / "source", **FILES | SPECS[spec])
    run(
        "split",
        folder / "source",
        "--lists",
        "a=0",
        "b=1",
        "rest=2:" + str(episodes(folder / "source")),
        "--out",
        folder / "parts",
    )
    a, b, rest = (folder / "parts" / name for name in ("a", "b", "rest"))
    run("merge", a, b, "--out", folder / "ab")
    run("merge", folder / "ab", rest, "--out", folder / "whole")
    assert_equal(folder / "whole", folder / "source")
    run("merge", folder / "whole", folder / "ab", folder / "source", "--drop_duplicates", "--out", folder / "again")
    assert_equal(folder / "again", folder / "source")


def episodes(path: Path) -> int:
    return LeRobotDataset.opened(path).num_episodes


def test_versions_merge_into_one_and_part_again(folder: Path) -> None:
    """v2.0, v2.1 and v3.0 in one; what is kept of it is each of them."""
    for seed, write in enumerate((write_v20, write_v21, write_v30)):
        write(folder / str(seed), seed=seed, fps=29.97, lengths=(1, 4), tasks=["größer", "it's"][:: 1 - 2 * (seed % 2)])
    run("merge", *(folder / str(seed) for seed in range(3)), "--out", folder / "m")
    for seed in range(3):
        chosen = f"{2 * seed}:{2 * seed + 2}"
        run("keep", folder / "m", "--episodes", chosen, "--out", folder / f"kept {seed}")
        assert_equal(folder / f"kept {seed}", folder / str(seed))


@pytest.mark.parametrize("storage", ["image", "video"])
@pytest.mark.parametrize("spec", ONE_TASK)
def test_through_hdf5(spec: str, storage: str, folder: Path) -> None:
    write_v30(folder / "source", **FILES | ONE_TASK[spec] | {"tasks": None})
    run("tasks", folder / "source", "--set", 'it\'s "größer" → 物', "--out", folder / "one task")
    run("convert", folder / "one task", "--to=robomimic", "--out", folder / "demo.hdf5")
    flags = ("--codec=h264_lossless", f"--storage={storage}", "--robot_type=testbot")
    run("convert", folder / "demo.hdf5", "--to=v3.0", *flags, "--out", folder / "back")
    new, old = LeRobotDataset.opened(folder / "back"), LeRobotDataset.opened(folder / "one task")
    assert (new.fps, new.tasks, set(new.features)) == (old.fps, old.tasks, set(old.features))
    np.testing.assert_array_equal(new.episodes.starts, old.episodes.starts)
    rows = np.arange(old.num_frames)
    np.testing.assert_array_equal(new.read_frames(TOP, rows), old.read_frames(TOP, rows))
    for key in ("observation.state", "action"):
        assert new.column(key).dtype == old.column(key).dtype
        np.testing.assert_array_equal(new.column(key), old.column(key))


@pytest.mark.parametrize("spec", SPECS)
def test_through_pictures_and_lossless_video(spec: str, folder: Path) -> None:
    write_v30(folder / "source", **FILES | SPECS[spec])
    run("convert", folder / "source", "--to=v2.1", "--storage=image", "--out", folder / "pictures")
    lossless = ("--storage=video", "--codec=h264_lossless")
    run("convert", folder / "pictures", "--to=v3.0", *lossless, "--out", folder / "videos")
    run("convert", folder / "videos", "--to=v3.0", "--storage=image", "--out", folder / "back")
    for name in ("pictures", "videos", "back"):
        assert_equal(folder / name, folder / "source")


def test_longer_than_a_thousand_seconds(folder: Path) -> None:
    """Frame 3,300 of 3 per second lies at 1,100 s; in parts, in a merge of them, and as lossless video."""
    spec: dict[str, Any] = {"lengths": (1500, 1899, 1, 400), "fps": 3, "cameras": SMALL, "gop": 1, "stats": False}
    write_v30(folder / "source", **spec)
    run("split", folder / "source", "--lists", "a=0,1", "b=2,3", "--out", folder / "parts")
    run("merge", folder / "parts/a", folder / "parts/b", "--out", folder / "whole")
    assert_equal(folder / "whole", folder / "source")
    run("convert", folder / "whole", "--to=v3.0", "--storage=image", "--out", folder / "pictures")
    run(
        "convert",
        folder / "pictures",
        "--to=v3.0",
        "--storage=video",
        "--codec=h264_lossless",
        "--out",
        folder / "videos",
    )
    assert_equal(folder / "videos", folder / "source")

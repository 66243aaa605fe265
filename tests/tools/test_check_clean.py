"""What is sound is left alone: `check` reports nothing on datasets of clean fixtures, of our writer and of LeRobot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.tools.check.run import check, check_all
from tests.defects.corpus import edit_lines
from tests.fixtures import write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset, write

SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pictures": {"storage": "image", "extra": {"gripper": (1,), "pose": (2, 3)}},
    "no camera": {"cameras": {}},
    "tasks that change within an episode": {"cameras": {}, "tasks": ["x", ["x", "y"] * 3 + ["z"], "y"]},
    "AV1": {"codec": "libsvtav1"},
    "without names": {"cameras": {}, "names": "null"},
    "vectors in lists of any length": {"lists": "variable"},
}
MOMENTS = ("mean", "std", "min", "max")
MANY_FILES = {"episodes_per_data_file": 2, "episodes_per_video_file": 1, "episodes_per_meta_file": 1}
MANY_CHUNKS = {"episodes_per_data_file": 1, "files_per_chunk": 2}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("write_set", [write_v20, write_v21, write_v30])
def test_nothing_is_found_in_clean_fixtures(
    write_set: Callable[..., Any], spec: dict[str, Any], tmp_path: Path
) -> None:
    write_set(tmp_path / "set", **spec)
    assert check(tmp_path / "set").findings == ()


@pytest.mark.parametrize("spec", [MANY_FILES, MANY_CHUNKS], ids=["files", "chunks"])
def test_nothing_is_found_in_many_files(spec: dict[str, Any], tmp_path: Path) -> None:
    write_v30(tmp_path / "set", **spec)
    assert check(tmp_path / "set").findings == ()


def test_nothing_is_found_in_what_our_writer_writes(tmp_path: Path) -> None:
    write(tmp_path / "set", [5, 7, 3])
    assert check(tmp_path / "set").findings == ()


@pytest.mark.parametrize("use_videos", [True, False])
def test_nothing_is_found_in_what_lerobot_records(use_videos: bool, tmp_path: Path) -> None:
    record_with_lerobot(tmp_path / "set", use_videos)
    assert check(tmp_path / "set").findings == ()


def record_with_lerobot(root: Path, use_videos: bool) -> None:
    """Three episodes, recorded as LeRobot's own scripts do."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
        "action": {"dtype": "float32", "shape": (1,), "names": ["x"]},
        "pose": {"dtype": "float32", "shape": (3, 4), "names": None},
        "observation.images.top": {
            "dtype": "video" if use_videos else "image",
            "shape": (64, 96, 3),
            "names": ["height", "width", "channels"],
        },
    }
    dataset = LeRobotDataset.create(
        "local/set", fps=10, features=features, root=root, robot_type="bot", use_videos=use_videos
    )
    rng = np.random.default_rng(0)
    for episode, length in enumerate([5, 7, 3]):
        for _ in range(length):
            frame = {
                "observation.state": rng.normal(size=3).astype(np.float32),
                "action": rng.normal(size=1).astype(np.float32),
                "pose": rng.normal(size=(3, 4)).astype(np.float32),
                "observation.images.top": rng.integers(0, 255, (64, 96, 3), np.uint8),
            }
            dataset.add_frame(frame | {"task": f"task {episode % 2}"})
        dataset.save_episode()
    dataset.finalize()
    assert len(lerobot_dataset(root)) == 15


@pytest.mark.parametrize(("numbers", "is_found"), [(4, False), (12, False), (3, True), (1, True)])
def test_statistics_of_a_matrix_are_of_its_entries_or_of_its_last_dimension(
    numbers: int, is_found: bool, tmp_path: Path
) -> None:
    write_v21(tmp_path / "set", cameras={}, extra={"pose": (3, 4)})
    edit_lines(
        tmp_path / "set/meta/episodes_stats.jsonl",
        lambda lines: (
            [line["stats"]["pose"].update(dict.fromkeys(MOMENTS, [0.0] * numbers)) for line in lines] and None
        ),
    )
    found = [finding for finding in check(tmp_path / "set").findings if finding.defect.id == "A01"]
    assert [finding.expected for finding in found] == (["12 or 4"] if is_found else [])


def test_links_of_the_hubs_cache_are_followed_and_others_are_not(tmp_path: Path) -> None:
    """The Hub's cache keeps the files in blobs/, and snapshots/<revision>/ holds links to them."""
    snapshot = tmp_path / "datasets--me--set/snapshots/1234"
    write_v21(snapshot, cameras={})
    blobs = snapshot.parent.parent / "blobs"
    blobs.mkdir()
    for i, file in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        file.rename(blobs / str(i))
        file.symlink_to(blobs / str(i))
    assert check(snapshot).findings == ()
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    assert "S01" in {finding.defect.id for finding in check(snapshot).findings}


def test_several_datasets_are_reported_in_the_order_asked(tmp_path: Path) -> None:
    for name, seed in (("b", 1), ("a", 2)):
        write_v21(tmp_path / name, cameras={}, seed=seed)
    reports = check_all([tmp_path / "b", tmp_path / "a"])
    assert [Path(report.dataset).name for report in reports.each] == ["b", "a"]
    assert all(report.verdict is None and "E04" in report.checked for report in reports.each)

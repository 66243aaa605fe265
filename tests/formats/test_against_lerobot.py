"""On v3.0, what robomix reads equals what LeRobot's own reader gives, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.formats import Dataset
from tests.fixtures import write_v30
from tests.formats.reading import open_quietly
from tests.formats.test_real_data import open_real

AV1 = {"codec": "libsvtav1", "cameras": {"observation.images.top": (64, 96), "wrist": (80, 64)}, "gop": 4}
SPREAD = {"lengths": (7, 4, 9, 3, 6), "fps": 30, "episodes_per_data_file": 2, "episodes_per_video_file": 3}
EXTRA = {"extra": {"gripper": (1,), "pose": (2, 3)}}
FIXTURES: dict[str, dict[str, Any]] = {
    "AV1, several episodes in several files": AV1 | SPREAD | EXTRA,
    "H.264 with B-frames": {"codec": "h264", "gop": 12, "b_frames": 2} | SPREAD,
    "pictures in parquet": {"storage": "image", "cameras": {"observation.images.top": (30, 47)}} | SPREAD,
}


def lerobot_items(path: Path, rows: list[int]) -> list[dict[str, Any]]:
    lerobot = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="LeRobot is not installed")
    dataset = lerobot.LeRobotDataset("local/set", root=path, video_backend="pyav", return_uint8=True)
    return [dataset[row] for row in rows]


def assert_equals_lerobot(dataset: Dataset, rows: list[int]) -> None:
    items = lerobot_items(dataset.path, rows)
    assert [dataset.tasks[i] for i in dataset.task_indices()[rows]] == [item["task"] for item in items]
    for key, feature in dataset.features.items():
        theirs = np.stack([item[key].numpy() for item in items])
        ours = dataset.read_frames(key, np.array(rows)) if feature.is_camera else dataset.column(key)[rows]
        if feature.storage == "image":  # LeRobot gives pictures as float32 in [0, 1]
            ours = ours.astype(np.float32) / 255
        assert ours.shape == theirs.shape, key
        assert ours.dtype == theirs.dtype, key
        np.testing.assert_array_equal(ours, theirs, err_msg=key)


@pytest.mark.parametrize("spec", FIXTURES.values(), ids=list(FIXTURES))
def test_written_datasets_read_as_in_lerobot(tmp_path: Path, spec: dict[str, Any]) -> None:
    dataset = open_quietly(write_v30(tmp_path / "set", **spec))
    assert_equals_lerobot(dataset, [*range(dataset.num_frames)][::-1])


def test_a_real_recording_reads_as_in_lerobot(real_data: Path) -> None:
    dataset = open_real(real_data / "g1_v30")
    edges = [row for start in dataset.episodes.starts[1:-1].tolist() for row in (start - 1, start)]
    rows = np.random.default_rng(0).integers(0, dataset.num_frames, 12).tolist()
    assert_equals_lerobot(dataset, [0, *edges, *rows, dataset.num_frames - 1])

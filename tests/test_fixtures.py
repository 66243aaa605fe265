"""The fixtures hold what they say: LeRobot reads the v3.0 ones equal, plain decoding finds the frames of the others."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.fixtures import Truth, decode_video, row_and_camera, write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset

SPECS: dict[str, dict[str, Any]] = {
    "plain": {},
    "many files": {"episodes_per_data_file": 2, "episodes_per_video_file": 1, "episodes_per_meta_file": 1},
    "many chunks": {"episodes_per_data_file": 1, "files_per_chunk": 2},
    "images": {"storage": "image", "extra": {"gripper": (1,), "pose": (2, 3)}},
    "rewritten by pandas": {"lists": "variable", "row_group_per_episode": False, "tasks_column": "__index_level_0__"},
    "long groups": {"fps": 29.97, "b_frames": 2, "gop": 12, "cameras": {"left": (32, 48), "right": (64, 64)}},
    "tasks per row": {"cameras": {}, "tasks": ["x", ["x", "y"] * 3 + ["z"], "y"]},
}


@pytest.mark.parametrize("name", SPECS)
def test_lerobot_reads_the_v30_fixtures(tmp_path: Path, name: str) -> None:
    truth = write_v30(tmp_path / "set", **SPECS[name])
    dataset = lerobot_dataset(truth.path)
    assert len(dataset) == truth.num_frames == 15
    for r in range(15):
        item = dataset[r]
        assert item["task"] == truth.row_tasks[r]
        assert item["timestamp"] == truth.timestamps[r]
        for key, values in truth.columns.items():
            assert np.array_equal(item[key].numpy().reshape(values[r].shape), values[r])
        for camera, key in enumerate(truth.frames):
            image = item[key].numpy()
            if image.dtype != np.uint8:
                image = np.round(image * 255).astype(np.uint8)
                assert np.array_equal(image, truth.frames[key][r])
            assert row_and_camera(image) == (r, camera)


@pytest.mark.parametrize("write", [write_v20, write_v21])
def test_v2_fixtures_have_one_file_per_episode(tmp_path: Path, write: Any) -> None:
    truth: Truth = write(tmp_path / "set", episode_ids=[0, 2, 5], codec="libsvtav1")
    for e, i in enumerate([0, 2, 5]):
        table = pq.read_table(truth.path / f"data/chunk-000/episode_{i:06d}.parquet")
        assert np.array_equal(np.stack(table["action"].to_pylist()), truth.columns["action"][truth.rows(e)])
        frames = decode_video(truth.path / f"videos/chunk-000/observation.images.top/episode_{i:06d}.mp4")
        assert [row_and_camera(image)[0] for image in frames] == list(range(15))[truth.rows(e)]

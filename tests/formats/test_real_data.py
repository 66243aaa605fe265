"""Recordings of real robots read as they lie on disk: every number and every sampled frame, oddities included."""

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from robomix.errors import FormatError
from robomix.formats import Dataset, open_dataset
from robomix.formats.lerobot.dataset import LeRobotDataset

SETS = ["cr5_v21", "g1_v21", "g1_v30", "gr1_v20", "franka_v21"]


@pytest.fixture(scope="module", params=SETS)
def dataset(request: pytest.FixtureRequest, real_data: Path) -> Dataset:
    return open_real(real_data / request.param)


def open_real(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*egoview")
        return LeRobotDataset.opened(path)


def rows_in_pandas(path: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(file) for file in sorted(path.glob("data/**/*.parquet"))], ignore_index=True)


def test_every_number_equals_pandas(dataset: Dataset) -> None:
    table = rows_in_pandas(dataset.path)
    assert dataset.num_frames == len(table)
    numeric = {key: feature for key, feature in dataset.features.items() if feature.kind == "numeric"}
    assert set(numeric) == {key for key in table if is_number(table[key]) and key not in BOOKKEEPING}
    for key, feature in numeric.items():
        values = np.stack(table[key].to_numpy()) if table[key].dtype == object else table[key].to_numpy()
        column = dataset.column(key)
        assert column.dtype == values.dtype
        assert column.shape == (len(table), *feature.shape)
        np.testing.assert_array_equal(column, values.reshape(column.shape), err_msg=key)
    lengths = table.groupby("episode_index").size()
    assert dataset.episodes.ids.tolist() == lengths.index.tolist()
    assert dataset.episodes.lengths.tolist() == lengths.tolist()


BOOKKEEPING = {"timestamp", "frame_index", "episode_index", "index", "task_index"}


def is_number(column: pd.Series) -> bool:
    first = np.asarray(column.iloc[0])
    return first.dtype.kind in "biuf"


def test_sampled_frames_equal_decoding_from_the_start(dataset: Dataset) -> None:
    for key in [key for key, feature in dataset.features.items() if feature.is_camera][:2]:
        episode = min(2, dataset.num_episodes - 1)
        start, length = int(dataset.episodes.starts[episode]), int(dataset.episodes.lengths[episode])
        file, first = video_of(dataset, key, episode)
        local = np.unique([0, 1, length // 3, length // 2, length - 2, length - 1])
        read = dataset.read_frames(key, start + local[::-1])[::-1]
        np.testing.assert_array_equal(read, decode(file, first + local))


def video_of(dataset: Dataset, key: str, episode: int) -> tuple[Path, int]:
    """A file and the first frame in it of an episode, found without robomix."""
    if dataset.format == "LeRobot v3.0":
        return dataset.path / "videos" / key / "chunk-000/file-000.mp4", int(dataset.episodes.starts[episode])
    return next(dataset.path.glob(f"videos/*/{key}/episode_{dataset.episodes.ids[episode]:06d}.mp4")), 0


def decode(file: Path, wanted: np.ndarray) -> np.ndarray:
    """Frames of a file, counted from its start while everything is decoded."""
    with av.open(str(file)) as container:
        frames = zip(range(wanted.max() + 1), container.decode(video=0), strict=False)
        images = {i: frame.to_ndarray(format="rgb24") for i, frame in frames if i in wanted}
    return np.stack([images[i] for i in wanted]).transpose(0, 3, 1, 2)


def test_the_same_episodes_in_v21_and_v30_read_alike(real_data: Path) -> None:
    old, new = open_real(real_data / "g1_v21"), open_real(real_data / "g1_v30")
    assert old.features == new.features
    assert old.tasks == new.tasks
    for key in ("observation.state", "action"):
        np.testing.assert_array_equal(old.column(key), new.column(key))
    rows = np.random.default_rng(0).integers(0, old.num_frames, 24)
    camera = "observation.images.cam_high"
    np.testing.assert_array_equal(old.read_frames(camera, rows), new.read_frames(camera, rows))


def test_the_metadata_of_gr1_is_understood(real_data: Path) -> None:
    with pytest.warns(UserWarning, match="left out 'observation.images.egoview'"):
        open_dataset(real_data / "gr1_v20")
    dataset = LeRobotDataset.opened(real_data / "gr1_v20")
    assert dataset.format == "LeRobot v2.0"
    assert dataset.fps == Fraction(20)
    assert dataset.robot_type == "GR1ArmsOnly"
    assert dataset.episodes.lengths.tolist() == [416, 470, 470, 412, 328]
    assert len(dataset.tasks) == 6
    assert dataset.tasks[dataset.task_indices()[-1]] == "pick the cupcake from the counter and place it in the plate"
    assert dataset.features["observation.state"].dtype == "float64"
    assert dataset.features["observation.images.ego_view"].shape == (3, 256, 256)
    assert dataset.features["next.reward"].shape == ()


def test_split_keys_and_unused_tasks_of_franka_are_understood(real_data: Path) -> None:
    dataset = open_real(real_data / "franka_v21")
    assert dataset.features["action.gripper_close"].shape == (1,)
    assert dataset.features["annotation.bbox3d"].kind == "binary"
    assert set(dataset.task_indices()) == {2}
    assert len(dataset.tasks) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken_lfs_pointers_v21", r"episodes.jsonl is a Git LFS pointer.*`git lfs pull`"),
        ("broken_panda_v30_nodata", r"has no data files: no \*.parquet.*Download the whole dataset"),
        ("broken_trace_lookalike", r"is not a LeRobot dataset: meta/info.json has no 'codebase_version'.*'lerobot_v2'"),
        ("pusht_zarr", r"is not a dataset robomix knows: the folder holds pusht_cchi_v7_replay.zarr/"),
    ],
)
def test_what_is_broken_or_unknown_says_why(real_data: Path, name: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        open_dataset(real_data / name)

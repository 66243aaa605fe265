"""LeRobot datasets with GR00T's modality.json: parts of vectors, camera names and annotations, as the file declares."""

import json
import multiprocessing
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.errors import FormatError
from robomix.formats import Dataset, open_dataset
from robomix.formats.gr00t import Gr00tDataset
from robomix.formats.lerobot.dataset import LeRobotDataset
from tests.fixtures import Truth, edit_info, row_and_camera, write_v21, write_v30
from tests.formats.fuzz_stores import attempt_gr00t, write_gr00t_bases

TOP = "observation.images.top"
MODALITY: dict[str, Any] = {
    "state": {"arm": {"start": 0, "end": 2}, "hand": {"start": 2, "end": 3, "rotation_type": None}},
    "action": {"arm": {"start": 1, "end": 2, "original_key": "action"}},
    "video": {"front": {"original_key": TOP}},
}


def with_modality(path: Path, **sections: Any) -> Path:
    """`MODALITY`, with these sections replaced, in a dataset's folder."""
    (path / "meta/modality.json").write_text(json.dumps(MODALITY | sections))
    return path


def opened(path: Path) -> Dataset:
    """The dataset, opened without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_dataset(path)


def add_column(truth: Truth, name: str, values: np.ndarray) -> None:
    """A column of whole numbers, one file after the other, declared in info.json."""
    start = 0
    for file in sorted(truth.path.glob("data/**/*.parquet")):
        table = pq.read_table(file)
        pq.write_table(table.append_column(name, pa.array(values[start : start + len(table)])), file)
        start += len(table)
    features = json.loads((truth.path / "meta/info.json").read_text())["features"]
    edit_info(truth.path, features=features | {name: {"dtype": "int64", "shape": [1], "names": None}})


@pytest.mark.parametrize("write", [write_v21, write_v30])
def test_parts_of_vectors_are_features_beside_the_whole(tmp_path: Path, write: Any) -> None:
    truth = write(tmp_path / "set")
    dataset = opened(with_modality(truth.path))
    state, action = truth.columns["observation.state"], truth.columns["action"]
    parts = {"observation.state.arm": state[:, :2], "observation.state.hand": state[:, 2:], "action.arm": action[:, 1:]}
    for key, expected in (parts | {"observation.state": state, "action": action}).items():
        np.testing.assert_array_equal(dataset.column(key), expected)
        assert dataset.features[key].shape == expected.shape[1:]
    assert np.shares_memory(dataset.column("observation.state.arm"), dataset.column("observation.state"))
    names = dataset.features["observation.state"].names
    assert names is not None
    assert dataset.features["observation.state.hand"].names == names[2:]
    assert dataset.format == f"LeRobot {'v2.1' if write is write_v21 else 'v3.0'} with GR00T modalities"


def test_cameras_have_the_names_that_the_file_gives(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set")
    dataset = opened(with_modality(truth.path))
    assert TOP not in dataset.features
    rows = np.array([9, 2, 2])
    frames = dataset.read_frames("observation.images.front", rows)
    np.testing.assert_array_equal(frames, LeRobotDataset.opened(truth.path).read_frames(TOP, rows))
    assert [row_and_camera(frame) for frame in frames] == [(row, 0) for row in rows]


def test_annotations_are_texts_and_the_one_of_the_task_gives_it(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={}, lengths=(2, 3), tasks=["pick", "place"])
    described = np.array([1, 1, 0, 0, 1])
    add_column(truth, "annotation.human.task_description", described)
    add_column(truth, "annotation.human.validity", np.array([0, 0, 0, 0, 7]))
    names = {"human.validity": {}, "human.task_description": {}, "human.again": {"original_key": "task_index"}}
    dataset = opened(with_modality(truth.path, video={}, annotation=names))
    assert dataset.features["annotation.human.validity"].kind == "text"
    assert [dataset.tasks[i] for i in dataset.task_indices()] == ["place", "place", "pick", "pick", "place"]
    assert isinstance(dataset, Gr00tDataset)
    assert [dataset.tasks[i] for i in dataset.annotation("human.again")] == ["pick"] * 2 + ["place"] * 3
    with pytest.raises(
        FormatError, match=r"'annotation.human.validity'.*its value 7 in row 4 is the number of no task"
    ):
        dataset.annotation("human.validity")
    with pytest.raises(FormatError, match=r"declares no annotation 'human.other'.*human.validity, human.task_desc"):
        dataset.annotation("human.other")


def test_an_annotation_without_a_column_is_told(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    with pytest.warns(
        UserWarning, match="left out annotation 'human.task': the dataset has no column 'annotation.human"
    ):
        dataset = open_dataset(with_modality(truth.path, video={}, annotation={"human.task": {}}))
    assert [dataset.tasks[i] for i in dataset.task_indices()] == list(truth.row_tasks)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"state": {"arm": {"start": 0, "end": 4}}}, r"'arm' is entries 0 to 4 of 'observation.state', which has 3"),
        ({"state": {"arm": {"start": 2, "end": 2}}}, r"entries 2 to 2 .* expected 0 <= start < end <= 3"),
        ({"state": {"arm": {"start": 0}}}, r"entries 0 to None"),
        ({"state": {"arm": {"start": 0, "end": 1, "original_key": "observation.stat"}}},
         r"'observation.stat', which does not exist; expected a vector. Did you mean 'observation.state'"),
        ({"action": {"arm": {"start": 0, "end": 1, "original_key": 3}}}, r"original_key of action 'arm' is 3"),
        ({"state": []}, r"'state' is no object of objects: \[\]"),
        ({"video": {"front": {"original_key": "observation.images.tip"}}},
         r"video 'front' is 'observation.images.tip', which is no camera .* It has observation.images.top"),
        ({"video": {"a": {"original_key": TOP}, "b": {"original_key": TOP}}}, r"several videos have one original_key"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_the_dataset_is_refused(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    truth = write_v21(tmp_path / "set", storage="image")
    with pytest.raises(FormatError, match=f"modality.json: .*{message}"):
        opened(with_modality(truth.path, **sections))


def test_a_part_that_is_a_column_of_its_own_stays_that_column(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={}, extra={"action.grip": (2,)})
    grip = {"grip": {"start": 0, "end": 2, "original_key": "action.grip"}}
    dataset = opened(with_modality(truth.path, video={}, action=grip))
    np.testing.assert_array_equal(dataset.column("action.grip"), truth.columns["action.grip"])
    with pytest.raises(FormatError, match=r"'grip' would be called 'action.grip', but another feature is already"):
        opened(with_modality(truth.path, video={}, action={"grip": {"start": 0, "end": 1}}))


def column_of(dataset: Dataset, key: str) -> np.ndarray:
    return np.array(dataset.column(key))


def test_a_spawned_worker_reads_the_same_from_a_small_pickle(tmp_path: Path) -> None:
    dataset = opened(with_modality(write_v21(tmp_path / "set").path))
    assert len(pickle.dumps(dataset)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        read = pool.apply(column_of, (dataset, "observation.state.arm"))
    np.testing.assert_array_equal(read, dataset.column("observation.state.arm"))


def test_without_the_file_a_dataset_reads_as_before(tmp_path: Path) -> None:
    path = write_v21(tmp_path / "set", cameras={}).path
    plain = opened(path)
    assert type(plain) is LeRobotDataset
    assert opened(with_modality(path, video={})).fingerprint != plain.fingerprint
    assert LeRobotDataset.opened(path).fingerprint == plain.fingerprint


def test_recorded_gr1_has_its_parts_and_its_task(real_data: Path) -> None:
    with pytest.warns(UserWarning, match="left out 'observation.images.egoview'"):
        dataset = open_dataset(real_data / "gr1_v20")
    state = dataset.column("observation.state")
    np.testing.assert_array_equal(dataset.column("observation.state.right_arm"), state[:, 22:29])
    assert dataset.features["action.waist"].names == ("motor_41", "motor_42", "motor_43")
    assert dataset.features["annotation.human.validity"].kind == "text"
    assert dataset.tasks[dataset.task_indices()[-1]] == "pick the cupcake from the counter and place it in the plate"
    assert dataset.features["observation.images.ego_view"].shape == (3, 256, 256)


def test_recorded_franka_has_its_cameras_and_its_task(real_data: Path) -> None:
    dataset = opened(real_data / "franka_v21")
    np.testing.assert_array_equal(dataset.column("observation.state.joints"), dataset.column("state.joints"))
    assert dataset.features["observation.images.base_view"].shape == (3, 480, 640)
    assert set(dataset.task_indices()) == {2}
    rows = np.array([5])
    frame = LeRobotDataset.opened(real_data / "franka_v21").read_frames("video.ego_view", rows)
    np.testing.assert_array_equal(dataset.read_frames("observation.images.ego_view", rows), frame)


def test_damage_of_any_kind_is_read_or_refused(tmp_path: Path) -> None:
    bases = write_gr00t_bases(tmp_path / "bases")
    results = [attempt_gr00t(bases[0], seed, tmp_path / "copy") for seed in range(100)]
    assert 5 < results.count("read") < 95
    assert set(results) == {"read", "refused"}

"""Reading Diffusion Policy's zarr buffers: what was written comes back, and what cannot be read says why."""

import json
import multiprocessing
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from robomix.errors import FormatError
from robomix.formats import Dataset, open_dataset
from robomix.formats.zarr_store import blocks
from tests.damage import truncate
from tests.formats.fuzz_stores import attempt_zarr, write_zarr_bases
from tests.zarr_files import Written, write_zarr

IMG = "observation.images.img"


def opened(path: Path, fps: float | None = 10) -> Dataset:
    """The dataset, opened without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_dataset(path, fps=fps)


def assert_reads(dataset: Dataset, truth: Written) -> None:
    """Everything comes back: numbers bit for bit, pictures value for value, tasks."""
    assert dataset.episodes.ids.tolist() == list(range(len(truth.lengths)))
    assert dataset.episodes.lengths.tolist() == list(truth.lengths)
    kept = {key for key, feature in dataset.features.items() if feature.kind != "text"}
    assert kept == set(truth.columns) | set(truth.frames)
    assert tuple(dataset.tasks[i] for i in dataset.task_indices()) == truth.row_tasks
    for key, values in truth.columns.items():
        column = dataset.column(key)
        assert (column.dtype, dataset.features[key].dtype) == (values.dtype, values.dtype.name)
        assert dataset.features[key].shape == values.shape[1:]
        np.testing.assert_array_equal(column, values)
    for key, frames in truth.frames.items():
        assert dataset.features[key].shape == frames.shape[1:]
        rows = np.random.default_rng(0).permutation(np.arange(truth.num_frames).repeat(2))
        np.testing.assert_array_equal(dataset.read_frames(key, rows), frames[rows])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": 3},
        {"version": 3, "chunk_rows": 2, "shard_rows": 8},
        {"pictures_as": "float32", "chunk_rows": 100},
        {"pictures_as": "float64", "unit": True, "chunk_rows": 1},
        {"channels_first": True, "pictures_as": "float32", "unit": True},
        {"channels_first": True, "version": 3},
    ],
    ids=["v2", "v3", "shards", "floats to 255", "floats to 1", "channels first, floats to 1", "channels first, v3"],
)
def test_what_was_written_comes_back(tmp_path: Path, options: dict[str, Any]) -> None:
    truth = write_zarr(tmp_path / "push.zarr", **options)
    dataset = opened(truth.path)
    assert_reads(dataset, truth)
    assert dataset.format == f"zarr v{options.get('version', 2)} replay buffer"
    assert (dataset.fps, dataset.robot_type, dataset.tasks) == (10, None, ("push",))


@pytest.mark.parametrize("version", [2, 3])
def test_a_zip_file_reads_as_the_folder_does(tmp_path: Path, version: Any) -> None:
    folder = write_zarr(tmp_path / "push.zarr", version=version)
    packed = write_zarr(tmp_path / "push.zarr.zip", version=version)
    assert_reads(opened(packed.path), packed)
    assert opened(packed.path).fingerprint == opened(folder.path).fingerprint


def test_a_black_beginning_does_not_hide_that_pictures_go_to_255(tmp_path: Path) -> None:
    frames = np.zeros((16, 8, 8, 3), np.float32)
    frames[10:] = 200
    truth = write_zarr(tmp_path / "push.zarr", chunk_rows=2, extra={"dark": frames})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robomix.formats.zarr_store._BLOCK", 1)
        read = opened(truth.path).read_frames("observation.images.dark", np.arange(16))
    np.testing.assert_array_equal(read, frames.transpose(0, 3, 1, 2).astype(np.uint8))


def test_the_rate_is_asked_for_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_zarr(tmp_path / "push.zarr")
    monkeypatch.setattr("robomix.formats.zarr_buffer.blocks", None)
    with pytest.raises(FormatError, match=r"push.zarr does not say how many frames per second.*`fps: 20`"):
        open_dataset(truth.path)


def test_the_second_opening_reads_no_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_zarr(tmp_path / "push.zarr")
    opened(truth.path)
    monkeypatch.setattr("robomix.formats.zarr_buffer.blocks", None)
    assert_reads(opened(truth.path, fps=20), truth)
    monkeypatch.setattr("robomix.formats.zarr_buffer.blocks", blocks)
    zarr.open_group(truth.path, mode="a")["data/action"][0] = 7
    assert opened(truth.path).column("action")[0].tolist() == [7, 7]


def frames_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    return dataset.read_frames(IMG, rows)


def test_a_spawned_worker_reads_the_same_from_a_small_pickle(tmp_path: Path) -> None:
    truth = write_zarr(tmp_path / "push.zarr")
    dataset = opened(truth.path)
    assert len(pickle.dumps(dataset)) < 1000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        read = pool.apply(frames_of, (dataset, np.array([3, 1])))
    np.testing.assert_array_equal(read, truth.frames[IMG][[3, 1]])


def test_chunks_that_are_not_stored_are_told(tmp_path: Path) -> None:
    truth = write_zarr(tmp_path / "push.zarr")
    (truth.path / "data/state/1.0").unlink()
    with pytest.warns(UserWarning, match=r"1 of 6 chunks of 'data/state' are not stored and read as its fill value"):
        dataset = open_dataset(truth.path, fps=10)
    assert not dataset.column("observation.state")[3:6].any()


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        file = root / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def ends(*values: int) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        zarr.open_group(root, mode="a")["meta"].create_array(
            "episode_ends", data=np.array(values), chunks=(4,), overwrite=True
        )

    return change


def put(name: str, values: np.ndarray) -> Callable[[Path], None]:
    return lambda root: zarr.open_group(root, mode="a").create_array(name, data=values, overwrite=True) and None


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (ends(5, 5, 16), r"episode 1 ends at row 5, and the one before at 5, expected rising numbers"),
        (ends(-1, 16), r"episode 0 ends at row -1"),
        (ends(5, 12, 15), r"'data/action' has 16 rows, but meta/episode_ends ends at 15"),
        (put("data/state", np.zeros((9, 2))), r"'data/state' has 9 rows, but meta/episode_ends ends at 16"),
        (put("meta/episode_ends", np.array([[16]])), r"has shape \[1, 1\] and type int64, expected one whole number"),
        (put("data/actions", np.zeros((16, 2))), r"'data/actions' and another array both mean 'action'"),
        (put("data/heat", np.full((16, 8, 8, 3), -3.0)), r"'data/heat' has the shape of pictures, but values from -3"),
        (put("data/heat", np.full((16, 8, 8, 3), np.nan)), r"the shape of pictures, but values from nan to nan"),
        (lambda root: shutil.rmtree(root / "meta/episode_ends"), r"no array 'meta/episode_ends'.*data/action"),
        (lambda root: shutil.rmtree(root / "data"), r"no replay buffer: it has no arrays below 'data'"),
        (lambda root: truncate(root / "data/img/0.0.0.0"), r"'data/img', rows 0 to 15, cannot be read.*Copy or"),
        (lambda root: (root / "data/action/.zarray").write_text("{"), r"action/.zarray is not valid JSON"),
        (lambda root: (root / "data/action/.zarray").write_text(""), r"action/.zarray is empty \(0 bytes\)"),
        (edit("data/action/.zarray", dtype="|O"), r"action/.zarray declares Python objects, expected numbers"),
        (edit("data/action/.zarray", dtype="<U8"), r"declares values of type '<U8'"),
        (edit("data/action/.zarray", shape=[1 << 40, 2]), r"declares 366,503,875,926 chunks, but the store has 6"),
        (edit("data/action/.zarray", shape=[1 << 36, 2], chunks=[1 << 26, 2]), r"549,755,813,888 bytes, but its chunk"),
        (edit("data/action/.zarray", chunks=[1 << 40, 2]), r"chunks or rows of 8,796,093,022,208 bytes"),
        (edit("data/action/.zarray", chunks=[0, 2]), r"shape \[16, 2\] in chunks of \[0, 2\]"),
        (edit("data/action/.zarray", shape=[16]), r"shape \[16\] in chunks of \[3, 2\]"),
        (edit("data/action/.zarray", shape="16"), r"has shape 16, expected a list of whole numbers"),
        (edit("data/action/.zarray", zarr_format=7), r"does not describe an array of zarr version 2"),
        (edit("data/action/.zarray", filters=[{"id": "pickle"}]), r"uses the codec 'pickle', expected one of blosc"),
        (edit("data/action/.zarray", compressor={"id": "imagecodecs_jpegxl"}), r"the codec 'imagecodecs_jpegxl'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    truth = write_zarr(tmp_path / "push.zarr")
    harm(truth.path)
    with pytest.raises(FormatError, match=f"push.zarr.*{message}"):
        opened(truth.path)


def test_a_cut_zip_file_says_so(tmp_path: Path) -> None:
    truth = write_zarr(tmp_path / "push.zarr.zip")
    truncate(truth.path)
    with pytest.raises(FormatError, match=r"push.zarr.zip cannot be read: BadZipFile.*Copy or download it again"):
        opened(truth.path)


def test_codecs_of_version_3_are_checked_inside_shards_too(tmp_path: Path) -> None:
    truth = write_zarr(tmp_path / "push.zarr", version=3, chunk_rows=2, shard_rows=8)
    file = truth.path / "data/action/zarr.json"
    described = json.loads(file.read_text())
    described["codecs"][0]["configuration"]["codecs"].append({"name": "numcodecs.pickle"})
    file.write_text(json.dumps(described))
    with pytest.raises(FormatError, match="uses the codec 'pickle'"):
        opened(truth.path)


def test_real_demonstrations_equal_plain_zarr(real_data: Path) -> None:
    path = real_data / "pusht_zarr" / "pusht_cchi_v7_replay.zarr"
    dataset, plain = opened(path), zarr.open_group(path, mode="r")
    assert (dataset.num_episodes, dataset.num_frames) == (40, 5077)
    assert dataset.episodes.starts[1:].tolist() == plain["meta/episode_ends"][:].tolist()
    keys = {"action": "action", "state": "observation.state", "keypoint": "observation.keypoint"}
    for name, key in keys.items():
        np.testing.assert_array_equal(dataset.column(key), plain[f"data/{name}"][:])
    rows = np.array([0, 160, 161, 2500, 5076])
    expected = np.stack([plain["data/img"][int(row)] for row in rows]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(dataset.read_frames(IMG, rows), expected)


def test_a_folder_above_points_to_the_store(real_data: Path) -> None:
    with pytest.raises(FormatError, match=r"pusht_zarr is not a dataset.*but .*pusht_cchi_v7_replay.zarr is one"):
        open_dataset(real_data / "pusht_zarr")


def test_damage_of_any_kind_is_read_or_refused(tmp_path: Path) -> None:
    bases = write_zarr_bases(tmp_path / "bases")
    results = [attempt_zarr(bases[seed % len(bases)], seed, tmp_path / "copy") for seed in range(100)]
    assert 5 < results.count("read") < 95
    assert set(results) == {"read", "refused"}

"""Reading robomimic's HDF5: what was written comes back, from several processes, and from the cache the second time."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.formats import Dataset, open_dataset
from robomix.formats.hdf5_handles import Handles, handles
from tests.hdf5_files import ENV_ARGS, Truth5, write_aloha, write_robomimic
from tests.pictures import row_and_camera

CAMERAS = ("agentview", "robot0_eye_in_hand")


def opened(truth: Truth5, **options: Any) -> Dataset:
    """The dataset, opened without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return open_dataset(truth.path, **options)


def assert_reads(dataset: Dataset, truth: Truth5) -> None:
    """Everything comes back: episodes in numeric order, numbers bit for bit, pictures value for value."""
    assert dataset.episodes.ids.tolist() == list(truth.ids)
    assert dataset.episodes.lengths.tolist() == list(truth.lengths)
    assert set(dataset.features) == set(truth.columns) | set(truth.frames)
    for key, values in truth.columns.items():
        column = dataset.column(key)
        assert (column.dtype, dataset.features[key].dtype) == (values.dtype, values.dtype.name)
        assert dataset.features[key].shape == values.shape[1:]
        np.testing.assert_array_equal(column, values)
    for camera, (key, frames) in enumerate(truth.frames.items()):
        assert dataset.features[key].shape == frames.shape[1:]
        rows = np.random.default_rng(0).permutation(np.arange(truth.num_frames).repeat(2))
        read = dataset.read_frames(key, rows)
        np.testing.assert_array_equal(read, frames[rows])
        assert row_and_camera(read[0]) == (rows[0], camera)


@pytest.mark.parametrize(
    "storage",
    [{}, {"chunks": (1, 16, 24, 3)}, {"chunks": (3, 8, 24, 1), "compression": "gzip"}, {"compression": "lzf"}],
    ids=["contiguous", "a chunk for each frame", "odd chunks, gzip", "lzf"],
)
def test_numbers_and_pictures_come_back_however_they_are_stored(tmp_path: Path, storage: dict[str, Any]) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS, **storage)
    dataset = opened(truth)
    assert_reads(dataset, truth)
    assert dataset.format == "robomimic HDF5"
    assert (dataset.fps, dataset.robot_type, dataset.tasks) == (20, "Panda", ("Lift",))
    assert not dataset.task_indices().any()
    assert dataset.env_args == ENV_ARGS


def test_a_folder_with_the_one_file_is_the_dataset_too(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "lift" / "low_dim.hdf5")
    assert open_dataset(tmp_path / "lift").fingerprint == opened(truth).fingerprint


def test_a_file_without_the_usual_ending_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.data")
    assert_reads(opened(truth), truth)


def test_the_rate_is_asked_for_where_the_file_does_not_say_it_and_not_contradicted(tmp_path: Path) -> None:
    silent = write_robomimic(tmp_path / "silent.hdf5", env_args={"env_name": "Real", "env_kwargs": {}})
    bare = write_robomimic(tmp_path / "bare.hdf5", env_args=None)
    for truth, task in ((silent, "Real"), (bare, "bare")):
        with pytest.raises(FormatError, match=r"does not say how many frames per second .* `fps: 20` in its entry"):
            open_dataset(truth.path)
        dataset = opened(truth, fps=12.5)
        assert (dataset.fps, dataset.robot_type, dataset.tasks) == (12.5, None, (task,))
        assert pickle.loads(pickle.dumps(dataset)).fps == 12.5
    stated = write_robomimic(tmp_path / "stated.hdf5")
    assert opened(stated, fps=20).fps == 20
    with pytest.raises(FormatError, match="says that it has 20 frames per second, but 30 are given"):
        open_dataset(stated.path, fps=30)
    wild = write_robomimic(tmp_path / "wild.hdf5", env_args={"env_kwargs": {"control_freq": -1}})
    with pytest.raises(FormatError, match="control_freq in env_args is -1"):
        open_dataset(wild.path)


def test_the_lists_of_mask_are_selections_of_episodes(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", masks={"train": [10, 0], "valid": [2], "none": []})
    with h5py.File(truth.path, "a") as file:
        file["mask/text"] = ["demo_2", "demo_0"]  # of varying length
        file["mask/numbers"] = [1, 2]
    with pytest.warns(UserWarning, match="left out mask/numbers: it is not a list of names"):
        dataset = open_dataset(truth.path)
    subsets = {name: ids.tolist() for name, ids in dataset.subsets.items()}
    assert subsets == {"train": [0, 10], "valid": [2], "none": [], "text": [0, 2]}


def test_what_not_every_demonstration_has_is_left_out_with_a_warning(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5")
    with h5py.File(truth.path, "a") as file:
        del file["data/demo_2/obs/object"]
        del file["data/demo_2/states"]
        file["data/demo_2/states"] = np.zeros((7, 5))
        for i, n in zip(truth.ids, truth.lengths, strict=True):
            file[f"data/demo_{i}/obs/depth"] = np.zeros((n, 80, 80, 1), np.float32)
            file[f"data/demo_{i}/timestamp"] = np.zeros(n)
            file[f"data/demo_{i}/notes"] = ["a"] * n
        file["data/other"] = 1.0
    with pytest.warns(UserWarning, match="left out") as caught:
        dataset = open_dataset(truth.path)
    said = "\n".join(str(warning.message) for warning in caught)
    for text in (
        r"left out 'observation.object': not every episode has it",
        "left out 'states': it is (12,) before and (5,) in",
        "left out 'observation.depth': ",
        "left out 'timestamp': ",
        "left out 'notes': ",
        "left out data/other",
    ):
        assert text in said
    kept = {key: value for key, value in truth.columns.items() if key not in ("observation.object", "states")}
    assert_reads(dataset, Truth5(truth.path, truth.ids, truth.lengths, kept, {}))


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS)
    with h5py.File(truth.path, "a") as file:
        for i in truth.ids:
            file[f"kept/{i}"] = file[f"data/demo_{i}/obs/agentview_image"]
            del file[f"data/demo_{i}/obs/agentview_image"]
            file[f"data/demo_{i}/obs/agentview_image"] = h5py.SoftLink(f"/kept/{i}")
        file.move("data", "elsewhere")
        file["data"] = h5py.SoftLink("elsewhere")
    assert_reads(opened(truth), truth)


def test_the_second_opening_reads_nothing_of_the_file(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5")
    first = opened(truth)
    handles.close()
    stat = truth.path.stat()
    truth.path.write_bytes(bytes(stat.st_size))
    os.utime(truth.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = opened(truth)
    assert_reads(again, truth)
    assert (again.fingerprint, len(handles)) == (first.fingerprint, 0)


def test_a_changed_file_is_read_anew_and_old_handles_are_not_used(tmp_path: Path) -> None:
    old = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS)
    before = opened(old)
    assert_reads(before, old)
    old.path.unlink()
    new = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS, lengths=(6, 6, 6), seed=1)
    after = opened(new)
    assert_reads(after, new)
    assert after.fingerprint != before.fingerprint
    with pytest.raises(FormatError, match="has changed since it was opened"):
        before.read_frames("observation.images.agentview", np.arange(3))
    new.path.unlink()
    with pytest.raises(FormatError, match=r"demo.hdf5 cannot be read: No such file"):
        after.read_frames("observation.images.agentview", np.arange(3))


def test_content_that_differs_has_another_fingerprint(tmp_path: Path) -> None:
    kinds = [{}, {"seed": 1}, {"ids": (0, 2, 3)}, {"env_args": ENV_ARGS | {"env_name": "Can"}}, {"cameras": CAMERAS}]
    made = [opened(write_robomimic(tmp_path / str(i) / "a.hdf5", **kind)) for i, kind in enumerate(kinds)]
    assert len({dataset.fingerprint for dataset in made}) == len(kinds)
    copy = opened(write_robomimic(tmp_path / "copy" / "b.hdf5"))
    assert copy.fingerprint == made[0].fingerprint


def read_some(dataset: Dataset, key: str, rows: np.ndarray) -> np.ndarray:
    return dataset.read_frames(key, rows)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_open_the_file_for_themselves(tmp_path: Path, method: str) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS, compression="gzip")
    dataset, key = opened(truth), "observation.images.robot0_eye_in_hand"
    rows = np.array([9, 0, 15, 3])
    dataset.read_frames(key, rows)  # the parent has the file open
    assert len(pickle.dumps(dataset)) < 1000
    with multiprocessing.get_context(method).Pool(2) as pool:
        for read in pool.starmap(read_some, [(dataset, key, rows)] * 4):
            np.testing.assert_array_equal(read, truth.frames[key][rows])
    np.testing.assert_array_equal(dataset.read_frames(key, rows), truth.frames[key][rows])


def test_many_threads_read_at_the_same_time(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS, compression="gzip")
    dataset = opened(truth)
    jobs = [
        (key, np.random.default_rng(i).integers(0, truth.num_frames, 20)) for i in range(20) for key in truth.frames
    ]
    with ThreadPoolExecutor(8) as threads:
        for (key, rows), read in zip(jobs, threads.map(lambda job: dataset.read_frames(*job), jobs), strict=True):
            np.testing.assert_array_equal(read, truth.frames[key][rows])


def test_few_files_stay_open_and_all_are_read(tmp_path: Path) -> None:
    paths = [write_robomimic(tmp_path / f"{i}.hdf5", lengths=(i + 1,), ids=(0,)).path for i in range(5)]
    few = Handles(max_open=2)
    for path in [*paths, *paths]:
        with few.lend(path) as handle:
            assert handle.file["data"].attrs["total"] == paths.index(path) + 1
        assert len(few) <= 2
    few.close()
    assert not len(few)


def test_an_episode_of_aloha_alone_is_pointed_to_its_folder(tmp_path: Path) -> None:
    folder = write_aloha(tmp_path / "task").path
    with pytest.raises(
        FormatError, match=r"no group 'data' .* looks like one episode of ALOHA or ACT: .* give the folder"
    ):
        open_dataset(folder / "episode_2.hdf5")


def test_a_file_that_others_have_open_is_read_unless_they_write_it(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=CAMERAS)
    for locking in (True, False, None, "best-effort"):
        handles.close()
        with h5py.File(truth.path, locking=locking):
            assert_reads(opened(truth), truth)
    handles.close()
    write = (
        "import h5py, sys; f = h5py.File(sys.argv[1], 'a', locking=True); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", write, truth.path], stdin=-1, stdout=-1, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(FormatError, match="is open for writing elsewhere"):
            opened(truth).read_frames("observation.images.agentview", np.array([0]))
        writer.communicate("\n")

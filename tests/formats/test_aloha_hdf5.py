"""Reading folders of ALOHA episodes, with pictures in every form recorders write."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.formats.test_robomimic import assert_reads, opened
from tests.hdf5_files import encoded, write_aloha


@pytest.mark.parametrize("storage", ["raw", "padded", "vlen", "bytes"])
def test_numbers_and_pictures_come_back_however_they_are_stored(tmp_path: Path, storage: str) -> None:
    truth = write_aloha(tmp_path / "pour_water", storage=storage)
    dataset = opened(truth, fps=50)
    assert_reads(dataset, truth)
    assert (dataset.format, dataset.fps, dataset.tasks) == ("ALOHA HDF5", 50, ("pour_water",))
    assert_reads(pickle.loads(pickle.dumps(dataset)), truth)


def test_the_rate_must_be_given(tmp_path: Path) -> None:
    truth = write_aloha(tmp_path / "task")
    with pytest.raises(FormatError, match="does not say how many frames per second"):
        open_dataset(truth.path)


def test_red_is_red_in_a_jpeg_file_as_it_says(tmp_path: Path) -> None:
    truth = write_aloha(tmp_path / "task", cameras=(), lengths=(2,), ids=(0,))
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 255
    with h5py.File(truth.path / "episode_0.hdf5", "a") as file:
        file["observations/images/cam"] = np.stack([np.frombuffer(encoded(red, "JPEG"), np.uint8)] * 2)
    frame = opened(truth, fps=50).read_frames("observation.images.cam", np.array([1]))[0]
    assert frame[0].min() > 240
    assert frame[1:].max() < 15


def test_neighbours_that_are_no_episodes_do_not_matter(tmp_path: Path) -> None:
    truth = write_aloha(tmp_path / "task")
    (truth.path / "dataset_stats.pkl").write_bytes(b"never read")
    (truth.path / "episode_3.txt").touch()
    assert_reads(opened(truth, fps=50), truth)


def test_an_episode_more_is_noticed(tmp_path: Path) -> None:
    truth = write_aloha(tmp_path / "task")
    before = opened(truth, fps=50)
    (truth.path / "episode_11.hdf5").write_bytes((truth.path / "episode_0.hdf5").read_bytes())
    after = opened(truth, fps=50)
    assert after.episodes.ids.tolist() == [0, 2, 10, 11]
    assert after.fingerprint != before.fingerprint


def edit(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        with h5py.File(path / "episode_2.hdf5", "a") as file:
            change(file)

    return harm


def replaced(name: str, value: object) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return edit(change)


HARMS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no action", edit(lambda file: file.pop("action")), "episode_2.hdf5 has no 'action'"),
    ("no state", edit(lambda file: file.pop("observations/qpos")), "episode_2.hdf5 has no 'observations/qpos'"),
    ("a short array", replaced("observations/qvel", np.zeros((6, 14))), "'observations/qvel' has 6 rows"),
    ("another robot", replaced("action", np.zeros((7, 7))), "episode_2.hdf5: 'action' does not fit the other episodes"),
    ("odd pictures", replaced("observations/images/cam_low", np.zeros((7, 4, 4))), "is neither pictures"),
    ("no pictures", replaced("observations/images/cam_low", np.ones((7, 9), np.uint8)), "is no picture in PNG, JPEG"),
    (
        "an episode twice",
        lambda path: (path / "episode_002.hdf5").write_bytes((path / "episode_2.hdf5").read_bytes()),
        "episode_002.hdf5 and episode_2.hdf5 are both episode 2",
    ),
    ("not HDF5", lambda path: (path / "episode_2.hdf5").write_text("?"), "episode_2.hdf5 is not an HDF5 file"),
]


@pytest.mark.parametrize(("harm", "text"), [row[1:] for row in HARMS], ids=[row[0] for row in HARMS])
def test_what_is_wrong_is_named(tmp_path: Path, harm: Callable[[Path], object], text: str) -> None:
    path = write_aloha(tmp_path / "task", storage="padded").path
    harm(path)
    with pytest.raises(FormatError, match=re.escape(text)):
        open_dataset(path, fps=50)


def test_a_damaged_picture_is_named_when_it_is_read(tmp_path: Path) -> None:
    truth = write_aloha(tmp_path / "task", storage="padded")
    with h5py.File(truth.path / "episode_2.hdf5", "a") as file:
        file["observations/images/cam_low"][3] = 1
    dataset, key = opened(truth, fps=50), "observation.images.cam_low"
    np.testing.assert_array_equal(dataset.read_frames(key, np.array([7])), truth.frames[key][[7]])
    with pytest.raises(
        FormatError, match=r"episode_2.hdf5: frame 3 of camera 'observation.images.cam_low' is no picture"
    ):
        dataset.read_frames(key, np.array([8]))

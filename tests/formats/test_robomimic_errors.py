"""What robomimic files are refused for: the text says what was found, where, and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.damage import replace_by_lfs_pointer, truncate
from tests.hdf5_files import write_robomimic

Harm = Callable[[h5py.File], object]
OBJECT = "data/demo_2/obs/object"


def put(name: str, value: object) -> Harm:
    """Replace what is called `name`."""

    def harm(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = value

    return harm


def said(thing: str, name: str, value: object) -> Harm:
    return lambda file: file[thing].attrs.__setitem__(name, value)


def remove(*names: str) -> Harm:
    def harm(file: h5py.File) -> None:
        for name in names:
            del file[name]

    return harm


def only_first_chunk(file: h5py.File) -> None:
    del file[OBJECT]
    array = file.create_dataset(OBJECT, (7, 10), "f8", chunks=(1, 10))
    array[0] = 1


def huge(**options: object) -> Harm:
    """An array of 8 EB that takes no room in the file."""

    def harm(file: h5py.File) -> None:
        for name in ("actions", "obs/object"):
            del file[f"data/demo_2/{name}"]
            file["data/demo_2"].create_dataset(name, (10**15, 10), "f8", **options)

    return harm


def circle(file: h5py.File) -> None:
    del file[OBJECT]
    file[OBJECT] = h5py.SoftLink("/data/demo_2/obs/loop")
    file["data/demo_2/obs/loop"] = h5py.SoftLink(f"/{OBJECT}")


def group_in_itself(file: h5py.File) -> None:
    file["data/demo_2/obs/self"] = file["data/demo_2/obs"]


def virtual(file: h5py.File) -> None:
    del file[OBJECT]
    layout = h5py.VirtualLayout((7, 10), "f8")
    layout[:] = h5py.VirtualSource("/etc/other.hdf5", "x", (7, 10))
    file.create_virtual_dataset(OBJECT, layout)


def external_storage(file: h5py.File) -> None:
    del file[OBJECT]
    file.create_dataset(OBJECT, (7, 10), "f8", external=[("/etc/passwd", 0, 560)])


def unknown_filter(file: h5py.File) -> None:
    del file[OBJECT]
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((7, 10))
    settings.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 8))
    h5py.h5d.create(file.id, OBJECT.encode(), h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((7, 10)), settings)


HARMS: list[tuple[str, Harm, str]] = [
    ("no data", remove("data"), "has no group 'data' with demonstrations, as robomimic writes it; it has nothing."),
    ("data is an array", put("data", [1]), "has no group 'data'"),
    ("no demonstrations", remove("data/demo_0", "data/demo_2", "data/demo_10"), "has no demonstrations"),
    ("wrong total", said("data", "total", 17), "data says total 17, but the demonstrations have 16 samples together"),
    ("wrong num_samples", said("data/demo_2", "num_samples", 6), "demo_2 says num_samples 6, but its actions have 7"),
    ("no actions", remove("data/demo_2/actions"), "demo_2 has no 'actions'. Exclude the episode"),
    ("no observations", remove("data/demo_2/obs"), "demo_2 has no observations 'obs', as the others have"),
    ("a short array", put(OBJECT, np.zeros((6, 10))), "demo_2: 'obs/object' has 6 rows, but the actions have 7"),
    ("short rewards", put("data/demo_2/rewards", np.zeros(3)), "demo_2: 'rewards' has 3 rows, but the actions"),
    ("other actions", put("data/demo_2/actions", np.zeros((7, 6))), "demo_2: 'actions' does not fit the other"),
    ("no frames", put("data/demo_2/actions", np.zeros((0, 7))), "demo_2 has no frames"),
    ("texts", put(OBJECT, ["a"] * 7), "object holds text or objects of varying length, expected plain numbers"),
    ("complex numbers", put(OBJECT, np.zeros((7, 2), complex)), "holds values of type complex128"),
    ("a single value", put(OBJECT, 3.0), "is a single value, expected an array with a row for each frame"),
    ("an external link", put(OBJECT, h5py.ExternalLink("/etc/x.hdf5", "/y")), "link to another file '/etc/x.hdf5'"),
    ("a link to nowhere", put(OBJECT, h5py.SoftLink("/not/there")), "is a link to '/not/there', which is not in"),
    ("a circle of links", circle, "is a link that leads in a circle"),
    ("a group in itself", group_in_itself, "groups more than 8 deep"),
    ("a virtual array", virtual, "keeps its values in other files, which robomix does not open"),
    ("external storage", external_storage, "keeps its values in other files, which robomix does not open"),
    ("a huge array", huge(), "80,000,000,000,000,000 bytes, but the file has 0 for it"),
    ("a huge array in chunks", huge(chunks=(10, 10)), "in 100,000,000,000,000 chunks, of which the file has 0"),
    ("a huge chunk", huge(chunks=(10**7, 10)), "stored in chunks of 800,000,000 bytes"),
    ("missing chunks", only_first_chunk, "in 7 chunks, of which the file has 1. It was not written to its end"),
    (
        "an unknown filter",
        unknown_filter,
        "compressed by the HDF5 filter 32001 (without a name), which is",
    ),
    ("leading zeros", lambda file: file.move("data/demo_2", "data/demo_02"), "expected data/demo_2"),
    (
        "two arrays of one name",
        put("data/demo_0/obs/robot0.joint_pos", np.zeros((5, 6))),
        "would be called 'observation.robot0.joint_pos'",
    ),
]


@pytest.mark.parametrize(("harm", "text"), [row[1:] for row in HARMS], ids=[row[0] for row in HARMS])
def test_what_is_wrong_is_named(tmp_path: Path, harm: Harm, text: str) -> None:
    path = write_robomimic(tmp_path / "demo.hdf5").path
    with h5py.File(path, "a") as file:
        harm(file)
    with pytest.raises(FormatError, match=re.escape(text)) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)


def test_a_link_through_an_external_one_is_not_followed(tmp_path: Path) -> None:
    """The other file is there and would fit."""
    other = write_robomimic(tmp_path / "other.hdf5").path
    path = write_robomimic(tmp_path / "demo.hdf5").path
    with h5py.File(path, "a") as file:
        file["way"] = h5py.ExternalLink(other, "/")
        del file[OBJECT]
        file[OBJECT] = h5py.SoftLink(f"/way/{OBJECT}")
    with pytest.raises(FormatError, match="is a link to another file"):
        open_dataset(path)


FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("text", lambda path: path.write_text("hello there"), "is not an HDF5 file: it starts with b'hello th'"),
    ("empty", lambda path: path.write_bytes(b""), r"is empty (0 bytes)"),
    ("cut off", truncate, "has been cut off"),
    ("cut short", lambda path: truncate(path, 0.002), "demo.hdf5"),
    ("a Git LFS pointer", replace_by_lfs_pointer, "is a Git LFS pointer"),
]


@pytest.mark.parametrize(("harm", "text"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_files_that_are_no_hdf5_are_named(tmp_path: Path, harm: Callable[[Path], object], text: str) -> None:
    path = write_robomimic(tmp_path / "demo.hdf5").path
    harm(path)
    with pytest.raises(FormatError, match=re.escape(text)):
        open_dataset(path)


def test_a_raw_recording_is_refused_with_the_way_to_observations(real_data: Path) -> None:
    for path in (real_data / "robosuite_raw_hdf5", real_data / "robosuite_raw_hdf5" / "demo.hdf5"):
        with pytest.raises(FormatError) as caught:
            open_dataset(path)
        text = str(caught.value)
        assert "has no observations, only actions, joint_torques, states" in text
        assert "robomimic.scripts.dataset_states_to_obs" in text


def test_damaged_pictures_are_named_when_they_are_read(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", cameras=["agentview"], chunks=(1, 16, 24, 3), compression="gzip")
    with h5py.File(truth.path) as file:
        place = file["data/demo_2/obs/agentview_image"].id.get_chunk_info(3)
    with open(truth.path, "r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(bytes(place.size))
    dataset, key = open_dataset(truth.path), "observation.images.agentview"
    np.testing.assert_array_equal(dataset.read_frames(key, np.array([7])), truth.frames[key][[7]])
    with pytest.raises(FormatError, match=r"data/demo_2/obs/agentview_image, cannot be read: .*[Tt]he file is damaged"):
        dataset.read_frames(key, np.array([7, 8]))

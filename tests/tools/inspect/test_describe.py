"""What an inspection says of a dataset is what was written, for every format."""

import json
from pathlib import Path

import pytest

from robomix import ConfigError
from robomix.tools.inspect.description import DatasetDescription
from robomix.tools.inspect.find import find_datasets
from robomix.tools.inspect.inspection import ANY, inspect_datasets
from tests.damage import truncate
from tests.fixtures import write_v20, write_v21, write_v30
from tests.hdf5_files import write_aloha, write_robomimic
from tests.rlds_files import write_rlds
from tests.zarr_files import write_zarr

TOP = "observation.images.top"


def described(path: Path, fps: float | None = None) -> DatasetDescription:
    """The one dataset at `path`."""
    inspection = inspect_datasets([path], {} if fps is None else {ANY: fps})
    assert not inspection.unreadable
    (found,) = inspection.datasets
    return found


@pytest.mark.parametrize("write", [write_v20, write_v21, write_v30])
def test_a_lerobot_dataset(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    truth = write(tmp_path / "one", lengths=(5, 7, 3), fps=20, state_dim=6)
    one = described(tmp_path / "one")
    assert (one.name, one.path, one.robot_type, one.fps) == ("one", str(tmp_path / "one"), "testbot", 20.0)
    assert (one.episodes, one.frames, one.hours) == (3, 15, 15 / 20 / 3600)
    assert (one.lengths.shortest, one.lengths.median, one.lengths.longest) == (3, 5.0, 7)
    state = one.feature("observation.state")
    assert state is not None
    assert (state.dtype, state.shape) == ("float32", (6,))
    (camera,) = one.cameras
    assert (camera.key, camera.height, camera.width) == (TOP, 32, 48)
    assert (camera.codec, camera.pixel_format, camera.problem) == ("h264", "yuv420p", None)
    assert one.num_tasks == 2
    assert [(task.text, task.frames) for task in one.tasks] == [
        (text, truth.row_tasks.count(text)) for text in truth.tasks
    ]
    videos = sum(file.stat().st_size for file in (tmp_path / "one").rglob("*.mp4"))
    everything = sum(file.stat().st_size for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert (one.video_bytes, one.data_bytes) == (videos, everything - videos)


@pytest.mark.parametrize(("codec", "name"), [("libsvtav1", "av1"), ("h264", "h264")])
def test_the_codec_is_told_by_its_common_name(codec: str, name: str, tmp_path: Path) -> None:
    """Not by that of the program that decodes it."""
    write_v30(tmp_path / "one", codec=codec, cameras={TOP: (64, 64)})
    assert described(tmp_path / "one").cameras[0].codec == name


def test_pictures_in_tables_have_a_codec_too(tmp_path: Path) -> None:
    write_v21(tmp_path / "one", storage="image")
    (camera,) = described(tmp_path / "one").cameras
    assert (camera.storage, camera.codec) == ("image", "png")


def test_formats_that_say_no_rate_are_described_without(tmp_path: Path) -> None:
    write_zarr(tmp_path / "push.zarr")
    write_rlds(tmp_path / "toy" / "1.0.0")
    write_aloha(tmp_path / "aloha")
    found = inspect_datasets([tmp_path], {"toy": 5}).datasets
    by_name = {one.name: one for one in found}
    assert list(by_name) == ["aloha", "push.zarr", "toy"]
    assert (by_name["push.zarr"].fps, by_name["push.zarr"].hours) == (None, None)
    assert by_name["push.zarr"].frames == 16
    assert by_name["toy"].fps == 5.0
    assert {name: len(ids) for name, ids in by_name["toy"].subsets.items()} == {"train": 2, "val": 1}
    assert {camera.key for camera in by_name["aloha"].cameras} == {
        "observation.images.cam_high",
        "observation.images.cam_low",
    }


def test_a_given_rate_goes_to_those_that_say_none(tmp_path: Path) -> None:
    write_zarr(tmp_path / "push.zarr")
    write_v30(tmp_path / "one", fps=20)
    found = inspect_datasets([tmp_path], {ANY: 7}).datasets
    assert {one.name: one.fps for one in found} == {"one": 20.0, "push.zarr": 7.0}


def test_a_rate_of_a_dataset_that_says_another_is_refused(tmp_path: Path) -> None:
    write_v30(tmp_path / "one", fps=20)
    (wrong,) = inspect_datasets([tmp_path / "one"], {"one": 7}).unreadable
    assert "says that it has 20 frames per second, but 7 are given" in wrong.reason
    with pytest.raises(ConfigError, match=r"no dataset 'onr'. Did you mean 'one'\?"):
        inspect_datasets([tmp_path / "one"], {"onr": 7})


def test_robomimic_files_are_described_with_their_selections(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "demo.hdf5", cameras=("agentview",), masks={"valid": (10,)})
    one = described(tmp_path / "demo.hdf5")
    assert one.subsets == {"valid": (10,)}
    assert one.data_bytes == (tmp_path / "demo.hdf5").stat().st_size
    assert [(camera.storage, camera.codec) for camera in one.cameras] == [("array", None)]


def test_what_cannot_be_read_is_told_beside_what_can(tmp_path: Path) -> None:
    write_v30(tmp_path / "good")
    (tmp_path / "bad" / "meta").mkdir(parents=True)
    (tmp_path / "bad" / "meta" / "info.json").write_text("{")
    inspection = inspect_datasets([tmp_path])
    assert [one.name for one in inspection.datasets] == ["good"]
    (bad,) = inspection.unreadable
    assert bad.path == str(tmp_path / "bad")
    assert "is not valid JSON" in bad.reason


@pytest.mark.parametrize(("kept", "problem"), [(0.5, "is cut off"), (0.0, "is empty")])
def test_a_damaged_video_is_told_and_the_rest_shown(kept: float, problem: str, tmp_path: Path) -> None:
    write_v30(tmp_path / "one")
    truncate(next((tmp_path / "one").rglob("*.mp4")), kept)
    (camera,) = described(tmp_path / "one").cameras
    assert (camera.height, camera.width) == (32, 48)
    assert camera.problem is not None
    assert problem in camera.problem


def test_warnings_of_the_reader_are_kept(tmp_path: Path) -> None:
    write_v21(tmp_path / "one", ghost_cameras=["observation.images.ghost"])
    (warning,) = described(tmp_path / "one").warnings
    assert warning.startswith("left out 'observation.images.ghost'")


def test_a_folder_means_all_datasets_below_it(tmp_path: Path) -> None:
    write_v30(tmp_path / "me" / "one")
    write_v21(tmp_path / "me" / "more" / "two")
    write_robomimic(tmp_path / "me" / "demo.hdf5")
    write_v30(tmp_path / ".hidden")
    below = [tmp_path / "me" / name for name in ("demo.hdf5", "more/two", "one")]
    assert find_datasets([tmp_path]) == below
    assert find_datasets([tmp_path / "me", tmp_path / "me" / "one"]) == below
    assert find_datasets([tmp_path / "nothing"]) == [tmp_path / "nothing"]


def test_a_folder_with_one_hdf5_file_is_a_dataset(tmp_path: Path) -> None:
    write_robomimic(tmp_path / "task" / "demo.hdf5")
    assert find_datasets([tmp_path / "task"]) == [tmp_path / "task"]


def test_two_datasets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """By the names that a mixture file gives them, too."""
    write_v30(tmp_path / "a" / "pick")
    write_v30(tmp_path / "b" / "pick", seed=1)
    assert [one.name for one in inspect_datasets([tmp_path / "a/pick", tmp_path / "b/pick"]).datasets] == [
        "pick",
        "pick#2",
    ]


def test_the_record_is_what_json_can_hold(tmp_path: Path) -> None:
    write_v30(tmp_path / "one")
    write_zarr(tmp_path / "push.zarr")
    record = inspect_datasets([tmp_path]).record()
    assert json.loads(json.dumps(record))["datasets"][0]["cameras"][0]["codec"] == "h264"


def test_the_table_says_how_keys_differ(tmp_path: Path) -> None:
    write_v30(tmp_path / "one", state_dim=3, cameras={TOP: (32, 48)}, extra={"pose": (2, 3)})
    write_v30(tmp_path / "two", state_dim=5, cameras={TOP: (16, 16)}, value_dtype="float64", fps=20)
    table = inspect_datasets([tmp_path]).compatibility
    assert table is not None
    assert (table.datasets, table.fps) == (("one", "two"), (10.0, 20.0))
    rows = {row.key: row for row in table.keys}
    assert rows["observation.state"].cells == ("float32 (3)", "float64 (5)")
    assert rows["observation.state"].difference == "widths differ: padded to 5"
    assert rows["observation.state"].entry_names == "the same entries as far as they go"
    assert rows["action"].difference == "same shape, number types differ"
    assert rows[TOP].difference == "sizes differ: resize_images brings them together"
    assert (rows["pose"].cells, rows["pose"].missing) == (("float32 (2, 3)", None), ("two",))


@pytest.mark.parametrize("name", ["cr5_v21", "g1_v30", "gr1_v20", "franka_v21"])
def test_real_recordings(name: str, real_data: Path) -> None:
    one = described(real_data / name)
    expected = {
        "cr5_v21": ("cr5", 10, 8, 1881, "av1"),
        "g1_v30": ("Unitree_G1_Inspire", 30, 7, 2517, "av1"),
        "gr1_v20": ("GR1ArmsOnly", 20, 5, 2096, "h264"),
        "franka_v21": ("franka_robotiq", 30, 1, 398, "av1"),
    }
    assert (one.robot_type, one.fps, one.episodes, one.frames, one.cameras[0].codec) == expected[name]
    assert all(camera.pixel_format == "yuv420p" for camera in one.cameras)


def test_everything_in_the_folder_of_recordings_is_found(real_data: Path) -> None:
    """Seven that can be read, and four that cannot, each with its reason."""
    inspection = inspect_datasets([real_data])
    assert len(inspection.datasets) == 7
    reasons = {Path(one.path).name: one.reason for one in inspection.unreadable}
    assert "Git LFS pointer" in reasons["broken_lfs_pointers_v21"]
    assert "has no data files" in reasons["broken_panda_v30_nodata"]
    assert "no 'codebase_version'" in reasons["broken_trace_lookalike"]
    assert "has no observations" in reasons["robosuite_raw_hdf5"]

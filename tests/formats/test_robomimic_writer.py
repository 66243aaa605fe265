"""Writing robomimic's HDF5: the layout is robomimic's, what is given is read back, and a path has all of it or none."""

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robomix.errors import ConfigError, FormatError, RobomixError
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.formats.robomimic.names import array_of, key_of
from robomix.formats.robomimic.writer import RobomimicWriter
from tests.formats.test_robomimic import assert_reads, opened
from tests.hdf5_files import ENV_ARGS, Truth5
from tests.pictures import pictures

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
FEATURES = {
    "action": Feature("numeric", "float64", (7,)),
    "observation.robot0_eef_pos": Feature("numeric", "float32", (3,)),
    "observation.robot0.joint": Feature("numeric", "float64", (2, 3)),
    "observation.grasped": Feature("numeric", "bool", ()),
    "next.reward": Feature("numeric", "float32", ()),
    "next.done": Feature("numeric", "int64", ()),
    "states": Feature("numeric", "float64", (5,)),
    FRONT: Feature("camera", "uint8", (3, 16, 24), storage="video"),
    WRIST: Feature("camera", "uint8", (3, 9, 11), storage="image"),
}


def episode(length: int, first_row: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(first_row)
    numbers = {
        key: (rng.normal(size=(length, *feature.shape)) * 3).astype(feature.dtype)
        for key, feature in FEATURES.items()
        if not feature.is_camera
    }
    rows = range(first_row, first_row + length)
    return numbers | {FRONT: pictures(rows, 0, 16, 24), WRIST: pictures(rows, 1, 9, 11)}


def write(path: Path, lengths: tuple[int, ...] = (5, 7, 4), **options: Any) -> Truth5:
    """Episodes of these lengths; what must come back."""
    starts = np.cumsum([0, *lengths])
    episodes = [episode(length, int(start)) for length, start in zip(lengths, starts, strict=False)]
    with RobomimicWriter(path, **{"env_args": ENV_ARGS, "features": FEATURES} | options) as writer:
        for number, columns in enumerate(episodes):
            assert writer.add_episode(columns) == number
    joined = {key: np.concatenate([columns[key] for columns in episodes]) for key in FEATURES}
    frames = {key: joined.pop(key) for key in (FRONT, WRIST)}
    return Truth5(path, tuple(range(len(lengths))), lengths, joined, frames)


@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_what_was_given_is_read_back(tmp_path: Path, compression: Any) -> None:
    truth = write(tmp_path / "lift.hdf5", compression=compression)
    dataset = opened(truth)
    assert_reads(dataset, truth)
    assert (dataset.fps, dataset.robot_type, dataset.tasks, dataset.env_args) == (20, "Panda", ("Lift",), ENV_ARGS)
    assert [path.name for path in tmp_path.iterdir()] == ["lift.hdf5"]


def test_the_layout_is_that_of_robomimic(tmp_path: Path) -> None:
    """As robomimic's documentation draws it, seen with plain h5py."""
    truth = write(tmp_path / "lift.hdf5")
    with h5py.File(truth.path) as file:
        assert list(file) == ["data"]
        assert sorted(file["data"]) == ["demo_0", "demo_1", "demo_2"]
        assert file["data"].attrs["total"] == 16
        assert json.loads(file["data"].attrs["env_args"]) == ENV_ARGS
        demo = file["data/demo_1"]
        assert demo.attrs["num_samples"] == 7
        assert set(demo) == {"actions", "obs", "rewards", "dones", "states"}
        assert set(demo["obs"]) == {"robot0_eef_pos", "robot0.joint", "grasped", "front_image", "wrist_image"}
        np.testing.assert_array_equal(demo["actions"], truth.columns["action"][5:12])
        np.testing.assert_array_equal(demo["rewards"], truth.columns["next.reward"][5:12])
        pixels = demo["obs/front_image"]
        np.testing.assert_array_equal(pixels, truth.frames[FRONT][5:12].transpose(0, 2, 3, 1))
        assert (pixels.dtype, pixels.chunks, pixels.compression) == (np.uint8, (1, 16, 24, 3), "gzip")


def test_filter_keys_are_lists_of_demonstrations(tmp_path: Path) -> None:
    path = tmp_path / "lift.hdf5"
    with RobomimicWriter(path, env_args=ENV_ARGS, features=FEATURES) as writer:
        for i, masks in enumerate([["train", "good"], ["valid"], ["train"]]):
            writer.add_episode(episode(2, i), masks=masks)
    subsets = {name: ids.tolist() for name, ids in opened(Truth5(path, (), (), {}, {})).subsets.items()}
    assert subsets == {"train": [0, 2], "good": [0], "valid": [1]}
    with h5py.File(path) as file:
        assert [name.decode() for name in file["mask/train"]] == ["demo_0", "demo_2"]


def test_cameras_may_be_streams(tmp_path: Path) -> None:
    path, columns = tmp_path / "lift.hdf5", episode(6)
    with RobomimicWriter(path, env_args=ENV_ARGS, features=FEATURES) as writer:
        writer.add_episode(columns | {FRONT: iter(columns[FRONT])})
    read = opened(Truth5(path, (), (), {}, {})).read_frames(FRONT, np.arange(6))
    np.testing.assert_array_equal(read, columns[FRONT])


@pytest.mark.parametrize("key", [*FEATURES, "observation.image_depth", "notes.x"])
def test_each_name_is_read_back_as_it_was(key: str) -> None:
    camera = key in (FRONT, WRIST)
    assert key_of(array_of(key, camera), camera) == key


STATE = {"observation.state": Feature("numeric", "float32", (2,))}
ACTION = {"action": Feature("numeric", "float32", (2,))}
CAMERA = Feature("camera", "uint8", (3, 16, 24), storage="video")
BAD_FEATURES = {
    "no action": (STATE, "needs the feature 'action' and an observation .* found observation.state"),
    "no observation": (ACTION, "needs the feature 'action' and an observation"),
    "other camera": ({"observation.image": CAMERA}, r"read back .* 'observation.images.image' \(camera\).*images.NAME"),
    "taken name": ({"actions": ACTION["action"]}, r"'actions' \(numeric\) would be read back .* 'action' \(numeric\)"),
    "next_obs": ({"next_obs": ACTION["action"]}, "'next_obs' .* would be read back from robomimic HDF5 as nothing"),
    "group": ({"obs": ACTION["action"]}, "'obs' .* would be read back"),
    "no name": ({"observation.": ACTION["action"]}, "'observation.' .* would be read back"),
    "mask": ({"action_is_pad": ACTION["action"]}, "'action_is_pad' .* would be read back"),
    "bookkeeping": ({"timestamp": ACTION["action"]}, "'timestamp'.*fills it in"),
    "like a picture": (
        {"observation.map": Feature("numeric", "uint8", (8, 8, 3))},
        r"read back .*images.map' \(camera",
    ),
    "large": ({"observation.depth": Feature("numeric", "float32", (80, 80))}, r"'observation.depth' cannot be written"),
    "one array": (
        {"observation.images.top": CAMERA, "observation.top_image": ACTION["action"]},
        "'observation.images.top' and 'observation.top_image' would both be the array 'obs/top_image'",
    ),
    "text": ({"note": Feature("text", "str", ())}, "'note' is of kind 'text'"),
}


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_features_that_would_not_come_back_are_refused(tmp_path: Path, name: str) -> None:
    features, message = BAD_FEATURES[name]
    alone = name in ("no action", "no observation")
    with pytest.raises(ConfigError, match=message):
        RobomimicWriter(
            tmp_path / "a.hdf5", env_args=ENV_ARGS, features=features if alone else ACTION | STATE | features
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"env_args": {"env_name": FEATURES}}, r"env_args cannot be written as JSON \(.*not JSON serializable\)"),
        ({"env_args": {"rate": float("nan")}}, "env_args cannot be written as JSON"),
        ({"env_args": {"env_kwargs": {"control_freq": "20"}}}, "control_freq in env_args is '20', expected a positive"),
        ({"env_args": {"env_kwargs": {"control_freq": -20}}}, "control_freq in env_args is -20, expected a positive"),
        ({"compression": "zip"}, "compression is 'zip': expected 'gzip', 'lzf' or None"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path / "a.hdf5", **options)
    assert list(tmp_path.iterdir()) == []


BAD_MASKS: dict[Any, str] = {
    "train": r"expected a list of filter keys: \['train'\]",
    ("a/b",): "without '/'",
    ("\ud800",): r"The filter key '\\ud800' .* no half of a surrogate pair",
    ("a", "a"): r"masks is \['a', 'a'\]: expected each filter key once",
    5: "masks is 5, expected a list of filter keys",
}


def test_a_bad_episode_is_named_and_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "lift.hdf5"
    with RobomimicWriter(path, env_args=ENV_ARGS, features=FEATURES) as writer:
        writer.add_episode(episode(2))
        with pytest.raises(ConfigError, match=r"Episode 1: unexpected column 'actoin'.*Did you mean 'action'"):
            writer.add_episode(episode(3) | {"actoin": np.zeros((3, 7))})
        with pytest.raises(ConfigError, match=r"Episode 1, column 'states': found shape \(2, 5\), expected \(3, 5\)"):
            writer.add_episode(episode(3) | {"states": np.zeros((2, 5))})
        for masks, message in BAD_MASKS.items():
            with pytest.raises(ConfigError, match=message):
                writer.add_episode(episode(3), masks=masks)
        writer.add_episode(episode(3, 2))
    assert opened(Truth5(path, (), (), {}, {})).episodes.lengths.tolist() == [2, 3]


def add_episodes(
    path: Path, *episodes: Any, then: Callable[[RobomimicWriter], object] | None = None, **options: Any
) -> None:
    """Write these episodes, and do something before the `with` block ends."""
    with RobomimicWriter(path, **{"env_args": ENV_ARGS, "features": FEATURES} | options) as writer:
        for columns in episodes:
            writer.add_episode(columns)
        if then is not None:
            then(writer)


def interrupt(writer: RobomimicWriter) -> None:
    raise KeyboardInterrupt


def test_a_stream_that_fails_ends_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Episode 0, camera 'observation.images.front': found 2 frames, expected 3"):
        add_episodes(tmp_path / "lift.hdf5", episode(3) | {FRONT: iter(episode(2)[FRONT])})
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        add_episodes(tmp_path / "lift.hdf5", episode(3), then=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "lift.hdf5"
    with pytest.raises(ConfigError, match="exists already"):
        add_episodes(path, episode(3), then=lambda writer: path.write_text("other work"))
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["other work"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got no episodes"):
        write(tmp_path / "lift.hdf5", ())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_and_replaced_only_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "lift.hdf5", (2,)).path
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"lift.hdf5 exists already.*overwrite"):
        write(path)
    with pytest.raises(KeyboardInterrupt):
        add_episodes(path, episode(3), then=interrupt, overwrite=True)
    assert path.read_bytes() == before
    truth = write(path, overwrite=True)
    assert_reads(opened(truth), truth)
    assert [entry.name for entry in tmp_path.iterdir()] == ["lift.hdf5"]


def test_overwriting_spares_what_is_no_hdf5_file(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not an HDF5 file, so it is not overwritten"):
        write(tmp_path / "thesis.txt", overwrite=True)
    with pytest.raises(ConfigError, match="not an HDF5 file"):
        write(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_file_that_does_not_read_back_is_not_published(tmp_path: Path) -> None:
    """An array that goes missing before the end is found when the file is looked through."""

    def lose(writer: RobomimicWriter) -> None:
        del writer._file["data/demo_1/states"]

    with pytest.raises(FormatError, match="does not read back as it was written"):
        add_episodes(tmp_path / "lift.hdf5", episode(3), episode(3), then=lose)
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"lift.hdf5 cannot be written: .* Choose another place"):
        write(tmp_path / "file" / "lift.hdf5")


@pytest.mark.parametrize(
    "name", ["a" * 300, "a" * 240, "a\0b", "a\0b/lift.hdf5"], ids=["long", "long hidden name", "NUL", "NUL above"]
)
def test_a_name_that_no_file_can_have_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written: .* Choose another"):
        write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_files_is_told() -> None:
    with pytest.raises(ConfigError, match=r"^/proc/lift.hdf5 cannot be written: .* Choose another place"):
        write(Path("/proc/lift.hdf5"))


@pytest.mark.parametrize("kilobytes", [1, 40])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, kilobytes: int) -> None:
    """Here the system refuses to make files larger."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, limits[1]))
    try:
        with pytest.raises(RobomixError, match=r"lift.hdf5 cannot be written: .*Nothing is left of it"):
            add_episodes(tmp_path / "lift.hdf5", *[episode(50)] * 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [RobomimicWriter, DatasetWriter])
def test_a_writer_outside_its_block_says_so(tmp_path: Path, make: Any) -> None:
    options = {"env_args": ENV_ARGS} if make is RobomimicWriter else {"fps": 10}
    features = ACTION | STATE
    columns = {key: np.zeros((2, 2), np.float32) for key in features}
    writer = make(tmp_path / "set", features=features, **options)
    with pytest.raises(ConfigError, match="not open: use it in a `with` block"):
        writer.add_episode(columns) if make is RobomimicWriter else writer.add_episode(columns, "t")

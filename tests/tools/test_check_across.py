"""What `check` finds only when it is given several datasets."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robomix.tools.check.finding import Depth, Finding, Verdict
from robomix.tools.check.run import check_all
from tests.defects.corpus import video_files
from tests.defects.films import rewrite
from tests.defects.values import STATE, change, name_joints, put
from tests.fixtures import write_v21, write_v30
from tests.hdf5_files import write_robomimic

ARM = {"lengths": (60, 80), "cameras": {}, "state_dim": 6, "action_dim": 6}


def across(*paths: Path, depth: Depth = Depth.FILES) -> dict[str, Finding]:
    return {finding.defect.id: finding for finding in check_all(paths, depth).across}


def two_arms(folder: Path, edit: Callable[[Path], Any], scale: float = 1.0) -> tuple[Path, Path]:
    """Two recordings of one arm with named joints, of which `edit` changes the second."""
    for seed, name in enumerate(("one", "two")):
        write_v21(folder / name, **ARM, seed=seed, scale=scale)
        name_joints(folder / name)
    edit(folder / "two")
    return folder / "one", folder / "two"


def test_datasets_that_fit_together_give_no_finding(tmp_path: Path) -> None:
    assert not across(*two_arms(tmp_path, lambda folder: None))


def test_episodes_of_another_dataset_are_told_whatever_its_version(tmp_path: Path) -> None:
    write_v21(tmp_path / "one")
    write_v30(tmp_path / "two")
    found = across(tmp_path / "one", tmp_path / "two")
    assert found.keys() == {"T07"}
    assert found["T07"].level is Verdict.WARN
    assert found["T07"].episodes == (0, 1, 2)
    assert found["T07"].dataset == str(tmp_path / "two")


def test_other_rates_are_told_of_other_formats_too(tmp_path: Path) -> None:
    write_v21(tmp_path / "one")
    write_robomimic(tmp_path / "demo.hdf5")
    found = across(tmp_path / "one", tmp_path / "demo.hdf5", depth=Depth.META)
    assert "one: 10, demo.hdf5: 20 frames per second" in found["S07"].found


def test_a_dataset_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    write_v21(tmp_path / "one")
    write_v30(tmp_path / "two")
    (tmp_path / "broken.hdf5").write_bytes(b"nothing")
    assert across(tmp_path / "one", tmp_path / "broken.hdf5", tmp_path / "two").keys() == {"T07"}


def test_degrees_and_radians_are_told(tmp_path: Path) -> None:
    found = across(*two_arms(tmp_path, lambda folder: change(folder, STATE, None, np.degrees)))
    assert found.keys() == {"F09"}
    assert found["F09"].key == STATE
    assert "radians in the first and degrees in the second" in found["F09"].found


def test_a_joint_whose_zero_is_a_quarter_turn_off_is_told(tmp_path: Path) -> None:
    def turn(folder: Path) -> None:
        change(folder, STATE, None, lambda values: values * [0.3, 1, 1, 1, 1, 1])
        change(folder, STATE, None, lambda values: values + [np.pi / 2, 0, 0, 0, 0, 0])

    one, two = two_arms(tmp_path, turn)
    change(one, STATE, None, lambda values: values * [0.3, 1, 1, 1, 1, 1])
    found = across(one, two)
    assert found.keys() == {"F09"}
    assert "shoulder_pan is shifted by about 90 degrees" in found["F09"].found


def test_a_joint_that_turns_the_other_way_is_told(tmp_path: Path) -> None:
    def upwards(rows: np.ndarray) -> np.ndarray:
        return 0.2 + 0.02 * (rows % 60)

    one, two = two_arms(tmp_path, lambda folder: change(folder, STATE, None, put(1, lambda rows: -upwards(rows))))
    change(one, STATE, None, put(1, upwards))
    found = across(one, two)
    assert found.keys() == {"F09"}
    assert "shoulder_lift is mirrored: 0.2 to 1.38 and -1.38 to -0.2" in found["F09"].found


def test_a_gripper_in_percent_is_told(tmp_path: Path) -> None:
    one, two = two_arms(tmp_path, lambda folder: change(folder, STATE, None, put(5, lambda rows: rows % 40 * 2.5)))
    change(one, STATE, None, put(5, lambda rows: rows % 40 / 40))
    assert "gripper is 0 to 1 in the first and 0 to 100 in the second" in across(one, two)["F09"].found


def test_a_gripper_that_starts_at_the_other_end_is_told(tmp_path: Path) -> None:
    one, two = two_arms(tmp_path, lambda folder: change(folder, STATE, None, put(5, lambda rows: rows > 30)))
    change(one, STATE, None, put(5, lambda rows: rows <= 30))
    assert "open and closed may be exchanged" in across(one, two)["F09"].found


def test_ranges_that_do_not_meet_are_told(tmp_path: Path) -> None:
    found = across(*two_arms(tmp_path, lambda folder: change(folder, STATE, None, lambda values: values / 50), 4.0))
    assert found.keys() == {"T09"}
    assert found["T09"].level is Verdict.INFO


def test_positions_and_changes_as_actions_are_told(tmp_path: Path) -> None:
    def motion(values: np.ndarray) -> np.ndarray:
        return np.sin(0.1 * np.arange(len(values))[:, None] + np.arange(values.shape[1]))

    def changes(folder: Path) -> None:
        change(folder, STATE, None, motion)
        change(folder, "action", None, lambda values: 0.05 * motion(values))

    one, two = two_arms(tmp_path, changes)
    change(one, STATE, None, motion)
    change(one, "action", None, lambda values: motion(values) + 0.01)
    assert "actions are changes of the state" in across(one, two)["F10"].found


def scene(number: int, count: int) -> np.ndarray:
    """Pictures of one place, with a spot that moves: (count, 3, 32, 48) uint8."""
    frames = np.tile(
        np.random.default_rng(number).integers(20, 230, (4, 6)).repeat(8, 0).repeat(8, 1), (count, 3, 1, 1)
    )
    for i in range(count):
        frames[i, :, 10:14, i : i + 4] = 255
    return frames.astype(np.uint8)


def film(folder: Path, scenes: dict[str, int]) -> None:
    for file in video_files(folder):
        rewrite(file, scene(scenes[file.parent.name], 15))


CAMERAS = {"observation.images.left": (32, 48), "observation.images.right": (32, 48)}


def test_cameras_whose_names_are_exchanged_are_told_when_pictures_are_decoded(tmp_path: Path) -> None:
    for seed, (name, scenes) in enumerate({"one": (7, 8), "two": (8, 7)}.items()):
        write_v21(tmp_path / name, cameras=CAMERAS, lengths=(15, 15), seed=seed)
        film(tmp_path / name, dict(zip(CAMERAS, scenes, strict=True)))
    assert "F06" not in across(tmp_path / "one", tmp_path / "two")
    found = across(tmp_path / "one", tmp_path / "two", depth=Depth.DECODE)
    assert "observation.images.left and observation.images.right look exchanged" in found["F06"].found


def test_one_camera_under_two_names_is_told(tmp_path: Path) -> None:
    for seed, camera in enumerate(("observation.images.top", "observation.images.high")):
        write_v21(tmp_path / camera, cameras={camera: (32, 48)}, lengths=(15, 15), seed=seed)
        film(tmp_path / camera, {camera: 7})
    found = across(
        *(tmp_path / name for name in ("observation.images.top", "observation.images.high")), depth=Depth.DECODE
    )
    assert "looks like observation.images.high of the second" in found["F06"].found


def test_two_cameras_of_a_dataset_with_the_same_pictures_are_told(tmp_path: Path) -> None:
    write_v30(tmp_path / "one", cameras=CAMERAS)
    first, second = video_files(tmp_path / "one")
    shutil.copy(first, second)
    (found,) = check_all([tmp_path / "one"], Depth.DECODE).findings
    assert (found.defect.id, found.level, found.key) == ("F06", Verdict.WARN, "observation.images.right")

"""Which cameras get one name: those whose names agree, never two of one dataset, and doubts are told."""

import pytest

from robomix.tools.inspect.camera_names import CameraNames, match_cameras, place_of
from tests.tools.inspect.described import camera, dataset

IMAGES = "observation.images."


def matched(**keys: list[str]) -> CameraNames:
    """What cameras of datasets become, given their keys by dataset."""
    return match_cameras([dataset(name, *map(camera, of_it)) for name, of_it in keys.items()])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{IMAGES}cam_high", f"{IMAGES}top"),
        (f"{IMAGES}wrist", f"{IMAGES}robot0_eye_in_hand"),
        (f"{IMAGES}left_wrist", f"{IMAGES}cam_wrist_left"),
        (f"{IMAGES}agentview", f"{IMAGES}image_primary"),
        (f"{IMAGES}base_view", "video.base_view"),
        (f"{IMAGES}Front", f"{IMAGES}front_camera"),
    ],
)
def test_names_that_mean_one_place_are_joined_under_the_first(one: str, other: str) -> None:
    names = matched(a=[one], b=[other])
    assert names.of("a") == {one: one}
    assert names.of("b") == {other: one}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{IMAGES}top", f"{IMAGES}front"),
        (f"{IMAGES}left_wrist", f"{IMAGES}right_wrist"),
        (f"{IMAGES}wrist", f"{IMAGES}right_wrist"),
        (f"{IMAGES}image_0", f"{IMAGES}camera_0"),
        (f"{IMAGES}base_view", f"{IMAGES}base_view_2"),
    ],
)
def test_names_that_do_not_tell_stay_apart(one: str, other: str) -> None:
    names = matched(a=[one], b=[other])
    assert (names.of("a"), names.of("b")) == ({one: one}, {other: other})


def test_an_exact_name_goes_before_a_likeness() -> None:
    """`hand` of b could be either of a's; `wrist` is the one that is called so."""
    names = matched(a=[f"{IMAGES}hand", f"{IMAGES}wrist"], b=[f"{IMAGES}wrist"])
    assert names.of("b") == {f"{IMAGES}wrist": f"{IMAGES}wrist"}


def test_two_cameras_of_one_dataset_never_get_one_name() -> None:
    names = matched(a=["image", f"{IMAGES}image"], b=[f"{IMAGES}hand", f"{IMAGES}wrist"], c=[f"{IMAGES}gripper"])
    for name in "abc":
        assert len(set(names.of(name).values())) == len(names.of(name))
    assert names.of("c") == {f"{IMAGES}gripper": f"{IMAGES}gripper"}
    assert any("hand of b, wrist of b, gripper of c could be the same place" in note for note in names.notes)


def test_a_camera_outside_observation_is_brought_there() -> None:
    """LeRobot's policies see nothing else."""
    assert matched(a=["image", "wrist_image"]).of("a") == {
        "image": f"{IMAGES}image",
        "wrist_image": f"{IMAGES}wrist_image",
    }


def test_the_name_that_most_have_wins() -> None:
    names = matched(a=[f"{IMAGES}cam_high"], b=[f"{IMAGES}top"], c=[f"{IMAGES}top"])
    assert names.of("a") == {f"{IMAGES}cam_high": f"{IMAGES}top"}


def test_cameras_of_other_channels_are_not_joined() -> None:
    one, other = dataset("a", camera(f"{IMAGES}top")), dataset("b", camera(f"{IMAGES}top", channels=1))
    names = match_cameras([one, other])
    assert names.of("a") == {f"{IMAGES}top": f"{IMAGES}top"}
    assert names.of("b") == {f"{IMAGES}top": f"{IMAGES}top_2"}


def test_scenes_that_may_be_the_same_are_told() -> None:
    (note,) = matched(a=[f"{IMAGES}top"], b=[f"{IMAGES}front"]).notes
    assert note == "top of a, front of b may show the same scene; their names do not tell"
    assert not matched(a=[f"{IMAGES}top"], b=[f"{IMAGES}top"]).notes


def test_places() -> None:
    assert place_of("observation.images.robot0_eye_in_hand") == ("wrist", "")
    assert place_of("cam_left_wrist") == ("wrist", "left")
    assert place_of("exterior_image_1_left") is None
    assert place_of("image") is None

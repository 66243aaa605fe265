"""Rotations in every way they are written, against SciPy itself."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.transforms import ConvertRotation, SampleError, build_transform
from robomix.mixture.transforms.rotations import components, converted
from tests.memory import ArrayDataset, mixture, source

WRITE = {
    "quaternion_wxyz": lambda r: r.as_quat(scalar_first=True),
    "quaternion_xyzw": lambda r: r.as_quat(),
    "euler_xyz": lambda r: r.as_euler("xyz"),
    "euler_ZYX": lambda r: r.as_euler("ZYX"),
    "axis_angle": lambda r: r.as_rotvec(),
    "rot6d": lambda r: np.concatenate([r.as_matrix()[:, :, 0], r.as_matrix()[:, :, 1]], axis=1),
    "rot6d_rows": lambda r: np.concatenate([r.as_matrix()[:, 0], r.as_matrix()[:, 1]], axis=1),
    "matrix": lambda r: r.as_matrix().reshape(-1, 9),
}
READ = {
    "quaternion_wxyz": lambda v: Rotation.from_quat(v, scalar_first=True),
    "quaternion_xyzw": Rotation.from_quat,
    "euler_xyz": lambda v: Rotation.from_euler("xyz", v),
    "euler_ZYX": lambda v: Rotation.from_euler("ZYX", v),
    "axis_angle": Rotation.from_rotvec,
    "matrix": lambda v: Rotation.from_matrix(v.reshape(-1, 3, 3)),
}
PAIRS = list(itertools.product(WRITE, WRITE))


def angle_between(one: Rotation, other: Rotation) -> float:
    return float((one.inv() * other).magnitude().max())


def step(kind: str, **kwargs: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs}


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), shape=st.sampled_from([(1,), (5,), (2, 3)]))
def test_every_pair_is_the_rotation_scipy_means_and_comes_back(
    old: str, new: str, seed: int, shape: tuple[int, ...]
) -> None:
    rotation = Rotation.random(int(np.prod(shape)), random_state=seed)
    value = torch.from_numpy(WRITE[old](rotation).astype(np.float32)).reshape(*shape, -1)
    made = converted(value, old, new)
    assert made.dtype == torch.float32
    assert made.shape == (*shape, len(components(new)))
    flat = made.reshape(-1, made.shape[-1]).numpy()
    if new in READ:
        assert angle_between(READ[new](flat), rotation) < 2e-3
    else:
        np.testing.assert_allclose(flat, WRITE[new](rotation), atol=1e-5)
    again = converted(made, new, old).reshape(-1, value.shape[-1]).numpy()
    reader = READ.get(old)
    if reader is None:
        np.testing.assert_allclose(again, value.reshape(-1, 6), atol=1e-3)
    else:
        assert angle_between(reader(again), rotation) < 2e-3


def test_numbers_one_can_check_by_hand() -> None:
    quarter_about_z = torch.tensor([[np.sqrt(0.5), 0, 0, np.sqrt(0.5)]], dtype=torch.float32)
    for form, expected in {
        "quaternion_xyzw": [0, 0, np.sqrt(0.5), np.sqrt(0.5)],
        "euler_xyz": [0, 0, np.pi / 2],
        "axis_angle": [0, 0, np.pi / 2],
        "rot6d": [0, 1, 0, -1, 0, 0],
        "rot6d_rows": [0, -1, 0, 1, 0, 0],
        "matrix": [0, -1, 0, 1, 0, 0, 0, 0, 1],
    }.items():
        made = converted(quarter_about_z, "quaternion_wxyz", form)
        np.testing.assert_allclose(made, [expected], atol=1e-6)


def test_a_quaternion_and_its_opposite_are_written_alike() -> None:
    q = torch.tensor([[0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, -0.5]])
    assert converted(q, "quaternion_wxyz", "quaternion_wxyz").tolist() == [[0.5, 0.5, -0.5, 0.5]] * 2


def test_a_policys_rot6d_is_made_a_rotation_by_its_definition() -> None:
    raw = torch.tensor([[0.0, 2.0, 0.0, -3.0, 5.0, 0.0]])
    np.testing.assert_allclose(converted(raw, "rot6d", "rot6d"), [[0, 1, 0, -1, 0, 0]], atol=1e-6)
    raw_rows = torch.tensor([[0.0, -2.0, 0.0, 3.0, 5.0, 0.0]])
    np.testing.assert_allclose(converted(raw_rows, "rot6d_rows", "rot6d_rows"), [[0, -1, 0, 1, 0, 0]], atol=1e-6)


def test_gimbal_lock_is_silent_and_right() -> None:
    locked = Rotation.from_euler("xyz", [[0.3, np.pi / 2, 0.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = converted(torch.from_numpy(locked.as_quat()), "quaternion_xyzw", "euler_xyz")
    assert angle_between(Rotation.from_euler("xyz", made.numpy()), locked) < 1e-6


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("quaternion_wxyz", [0, 0, 0, 0]),
        ("rot6d", [1, 0, 0, 2, 0, 0]),
        ("rot6d", [0] * 6),
        ("matrix", [0] * 9),
        ("matrix", [1, 0, 0, 0, 1, 0, 0, 0, -1]),
        ("euler_xyz", [0, float("nan"), 0]),
        ("axis_angle", [float("inf"), 0, 0]),
    ],
)
def test_what_is_no_rotation_is_refused_with_its_place(form: str, value: list[float]) -> None:
    fine = converted(torch.tensor([[1.0, 0, 0, 0]]), "quaternion_wxyz", form)
    values = torch.stack([fine, fine, fine]).repeat(1, 2, 1)
    values[1, 1] = torch.tensor(value)
    with pytest.raises(SampleError, match=f"as {form}, which is no rotation") as refused:
        converted(values, form, "quaternion_wxyz")
    assert (refused.value.sample, refused.value.step) == (1, 1)


@pytest.fixture
def arm() -> ArrayDataset:
    """Position, quaternion (wxyz) and gripper of 5 frames in two episodes."""
    poses = np.zeros((5, 8), dtype=np.float32)
    poses[:, :3] = np.arange(15).reshape(5, 3)
    poses[:, 3:7] = Rotation.random(5, random_state=0).as_quat(canonical=True, scalar_first=True)
    poses[:, 7] = 1
    names = ["x", "y", "z", "ee_qw", "ee_qx", "ee_qy", "ee_qz", "gripper"]
    return ArrayDataset({"action": poses}, [3, 2], names={"action": names})


TO_ROT6D = {"key": "action", "from": "quaternion_wxyz", "to": "rot6d"}


def test_the_entries_around_a_rotation_stay_and_names_follow(arm: ArrayDataset) -> None:
    named = step("rotation", **TO_ROT6D, entries=["ee_qw", "ee_qx", "ee_qy", "ee_qz"])
    one = source(arm, transforms=[named])
    batch = mixture(one, horizons={"action": (0, 1)}).__getitems__([0, 4])["action"]
    assert batch.shape == (2, 2, 10)
    assert np.array_equal(batch[..., :3], arm.column("action")[[[0, 1], [4, 4]], :3])
    assert (batch[..., 9] == 1).all()
    assert one.features["action"].names == ("x", "y", "z", *(f"ee_rot6d_{i}" for i in range(6)), "gripper")
    back = one.transforms[0].inverse()({"action": batch})["action"]
    np.testing.assert_allclose(back, arm.column("action")[[[0, 1], [4, 4]]], atol=1e-5)


def test_padding_behind_a_rotation_stays_padding(arm: ArrayDataset) -> None:
    steps = [step("pad_action", target_dim=9), step("rotation", **TO_ROT6D, entries=[3, 4, 5, 6])]
    assert mixture(source(arm, transforms=steps))[0]["action_dim_is_pad"].tolist() == [False] * 10 + [True]


@pytest.mark.parametrize(("frame", "place"), [(1, "episode 0, frame 1"), (4, "episode 1, frame 1")])
def test_a_zero_quaternion_is_named_by_source_key_and_frame(arm: ArrayDataset, frame: int, place: str) -> None:
    arm._columns["action"][frame, 3:7] = 0
    made = mixture(
        source(arm, transforms=[step("rotation", **TO_ROT6D, entries=[3, 4, 5, 6])]), horizons={"action": (-1, 0, 1)}
    )
    message = rf"source 'a', transforms\[0\] \(rotation\): 'action' holds .* no rotation .*, in {place}"
    with pytest.raises(AlignmentError, match=message):
        made[frame - 1]


def test_joints_taken_for_a_quaternion_are_refused_but_a_policys_are_made_one(arm: ArrayDataset) -> None:
    one = source(arm, transforms=[step("rotation", **TO_ROT6D, entries=[3, 4, 5, 6])])
    back = ConvertRotation("action", "rot6d", "quaternion_wxyz", list(range(6)))
    arm._columns["action"][1, 3:7] = [0.9, 0, 1.2, 0]
    with pytest.raises(AlignmentError, match=r"no rotation \(expected length 0\.9 to 1\.1\), in episode 0, frame 1"):
        mixture(one)[1]
    with pytest.raises(SampleError, match=r"no rotation \(expected columns of length 0\.9 to 1\.1, at right angles"):
        back({"action": torch.tensor([[1.0, 0, 0, 0.5, 1, 0]])})
    made = back.inverse()({"action": torch.tensor([[3.0, 0, 0, 0]])})["action"]
    np.testing.assert_allclose(made, [[1, 0, 0, 0, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"from": "quaternion", "to": "rot6d"},
            "'quaternion' is no way to write a rotation. Did you mean 'quaternion_",
        ),
        ({"from": "euler_xxy", "to": "rot6d"}, "no axis twice in a row"),
        ({"from": "euler_xYz", "to": "rot6d"}, "'euler_xYz' is no way"),
        ({"from": 3, "to": "rot6d"}, "3 is no way"),
        (
            {"from": "quaternion_wxyz", "to": "rot6d", "entries": [3, 4, 5]},
            r"4 neighbouring entries.*found \[3, 4, 5\]",
        ),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_transform("rotation", {"key": "action", **kwargs}, "here")


def test_entries_that_are_not_a_rotation_are_refused(arm: ArrayDataset) -> None:
    for entries in (None, ["ee_qw", "ee_qx", "ee_qz", "ee_qy"]):
        with pytest.raises(AlignmentError, match="4 neighbouring entries of 'action' in order"):
            source(arm, transforms=[step("rotation", **TO_ROT6D, entries=entries)])


def test_the_axis_order_may_repeat_the_first_axis() -> None:
    assert components("euler_zxz") == ("euler_z0", "euler_x1", "euler_z2")
    made = ConvertRotation("action", "euler_zxz", "euler_zyx")({"action": torch.tensor([[0.1, 0.2, 0.3]])})["action"]
    expected = Rotation.from_euler("zxz", [0.1, 0.2, 0.3])
    assert angle_between(Rotation.from_euler("zyx", made.numpy()), expected) < 1e-6

"""Per-source transforms: the built-in ones, one's own, and what they do to masks and shapes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from robomix.errors import AlignmentError, ConfigError
from robomix.mixture.transforms import DatasetTransformStep, build_transform, register_dataset_transform
from tests.memory import ArrayDataset, mixture, source


@pytest.fixture
def arm() -> ArrayDataset:
    rng = np.random.default_rng(0)
    return ArrayDataset(
        {
            "observation.state": rng.normal(size=(6, 3)).astype(np.float32),
            "action": rng.normal(size=(6, 2)).astype(np.float32),
            "observation.images.top": rng.integers(0, 256, (6, 3, 8, 12), dtype=np.uint8),
        },
        [6],
    )


def step(kind: str, **kwargs: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs}


@register_dataset_transform("tests_double_action")
class DoubleAction(DatasetTransformStep):
    """One sample at a time, and silent about features: as in the document that introduced transforms."""

    def __call__(self, sample: dict) -> dict:
        assert isinstance(sample["task"], str)
        sample["action"] = sample["action"] * 2
        return sample


@register_dataset_transform("tests_add_speed")
class AddSpeed(DatasetTransformStep):
    def __call__(self, sample: dict) -> dict:
        return sample | {"observation.speed": sample["observation.state"][:1].abs()}


def test_padding_is_zeros_at_the_end_and_known_to_the_masks(arm: ArrayDataset) -> None:
    padded = mixture(source(arm, transforms=[step("pad_action", target_dim=5), step("pad_state", target_dim=4)]))
    sample = padded[2]
    assert np.array_equal(sample["action"][:2], arm.column("action")[2])
    assert sample["action"][2:].tolist() == [0, 0, 0]
    assert sample["action_dim_is_pad"].tolist() == [False, False, True, True, True]
    assert sample["observation.state_dim_is_pad"].tolist() == [False, False, False, True]


def test_padding_twice_keeps_the_first_width_as_real(arm: ArrayDataset) -> None:
    twice = [step("pad_action", target_dim=3), step("pad_action", target_dim=6)]
    assert mixture(source(arm, transforms=twice))[0]["action_dim_is_pad"].tolist() == [False] * 2 + [True] * 4


def test_resizing_changes_every_camera_and_keeps_uint8(arm: ArrayDataset) -> None:
    small = mixture(source(arm, transforms=[step("resize_images", height=4, width=6)]), horizons={"action": (0, 1)})
    image = small[1]["observation.images.top"]
    assert (tuple(image.shape), image.dtype) == ((3, 4, 6), torch.uint8)
    average = arm.column("observation.images.top")[1].astype(float).mean()
    assert abs(image.float().mean() - average) < 10
    assert small.features["observation.images.top"]["shape"] == (4, 6, 3)


def test_resizing_to_the_same_size_changes_nothing(arm: ArrayDataset) -> None:
    same = mixture(source(arm, transforms=[step("resize_images", height=8, width=12)]))
    assert np.array_equal(same[1]["observation.images.top"], arm.column("observation.images.top")[1])


def test_ones_own_step_sees_single_samples_with_their_windows(arm: ArrayDataset) -> None:
    doubled = mixture(source(arm, transforms=[step("tests_double_action")]), horizons={"action": (0, 1)})
    expected = 2 * arm.column("action")[[[4, 5], [0, 1]]]
    assert np.array_equal(doubled.__getitems__([4, 0])["action"], expected)


def test_features_a_step_adds_are_found_by_trying_it(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[step("tests_add_speed")]))
    assert made.schema.features["observation.speed"].shape == (1,)
    assert made[3]["observation.speed"].item() == pytest.approx(abs(float(arm.column("observation.state")[3, 0])))


def test_steps_run_in_order(arm: ArrayDataset) -> None:
    made = mixture(source(arm, transforms=[step("tests_double_action"), step("pad_action", target_dim=3)]))
    assert np.array_equal(made[0]["action"][:2], 2 * arm.column("action")[0])
    assert made.schema.features["action"].shape == (3,)


def test_a_step_from_a_module_is_imported_by_name(
    arm: ArrayDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_steps.py").write_text(
        "from robomix.mixture.transforms import DatasetTransformStep, register_dataset_transform\n"
        "@register_dataset_transform('negate')\n"
        "class Negate(DatasetTransformStep):\n"
        "    def __call__(self, sample):\n"
        "        return sample | {'action': -sample['action']}\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    made = mixture(source(arm, transforms=[step("my_steps:negate")]))
    assert np.array_equal(made[1]["action"], -arm.column("action")[1])


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("pad_actoin", {}, "Did you mean 'pad_action'"),
        ("pad_action", {}, "missing a required argument: 'target_dim'"),
        ("pad_action", {"target_dim": 5, "dim": 3}, "unexpected keyword argument 'dim'"),
        ("pad_action", {"target_dim": "5"}, "target_dim must be a positive whole number, found '5'"),
        ("resize_images", {"height": 0, "width": 5}, "height must be a positive whole number, found 0"),
        ("no.such.module:step", {}, "importing 'no.such.module' failed with ModuleNotFoundError"),
    ],
)
def test_a_step_that_cannot_be_built_is_refused(kind: str, kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_transform(kind, kwargs, "source 'a', transforms[0]")


def test_padding_to_less_is_refused_by_source_and_step(arm: ArrayDataset) -> None:
    with pytest.raises(AlignmentError, match=r"source 'a', transforms\[0\] \(pad_action\): 'action' of shape \(2,\)"):
        source(arm, transforms=[step("pad_action", target_dim=1)])


def test_padding_what_is_not_there_is_refused(arm: ArrayDataset) -> None:
    with pytest.raises(AlignmentError, match="there is no 'action' to pad"):
        source(arm, feature_map={"action": None}, transforms=[step("pad_action", target_dim=4)])


def test_a_name_cannot_be_registered_twice() -> None:
    with pytest.raises(ConfigError, match="exists already"):

        @register_dataset_transform("pad_action")
        class Other(DatasetTransformStep):
            pass


@register_dataset_transform("tests_amiss")
class Amiss(DatasetTransformStep):
    """Does what `how` says wrong."""

    def __init__(self, how: str, batched: bool = False) -> None:
        self.how = how
        self.batched = batched

    def __call__(self, sample: dict) -> dict:
        made: dict[str, object] = {
            "raises": lambda: sample["actoin"],
            "nothing": lambda: None,
            "numpy": lambda: sample | {"action": sample["action"].numpy()},
            "mask": lambda: sample | {"action_is_pad": sample["action"] > 0},
            "fewer": lambda: {key: value[:1] for key, value in sample.items()},
            "double": lambda: {"action": sample["action"].double().requires_grad_()},
        }
        return made[self.how]()


@pytest.mark.parametrize(
    ("how", "batched", "message"),
    [
        ("raises", False, r"raised KeyError: 'actoin' \(test_transforms.py, line \d+\). It was given .*action \(2,\)"),
        ("nothing", False, "returned NoneType, expected the sample, a dict"),
        ("numpy", False, "returned 'action' as ndarray, expected a torch tensor"),
        ("mask", False, "returned 'action_is_pad', which robomix makes itself"),
        ("fewer", True, r"was given 4 samples and returned 'observation.state' of shape \(1, 3\)"),
    ],
)
def test_what_a_step_does_wrong_is_told_with_source_and_step(
    arm: ArrayDataset, how: str, batched: bool, message: str
) -> None:
    with pytest.raises(AlignmentError, match=r"source 'a', transforms\[0\] \(tests_amiss\): " + message):
        four_samples(arm, step("tests_amiss", how=how, batched=batched))


def four_samples(arm: ArrayDataset, transform: dict[str, object]) -> dict:
    return mixture(source(arm, transforms=[transform])).__getitems__([0, 1, 2, 3])


def test_numbers_come_back_as_float32_and_the_task_need_not_come_back(arm: ArrayDataset) -> None:
    sample = mixture(source(arm, transforms=[step("tests_amiss", how="double")]))[1]
    assert sample["action"].dtype == torch.float32
    assert not sample["action"].requires_grad
    assert sample["task"] == "task"


@register_dataset_transform("tests_cannot_be_built")
class CannotBeBuilt(DatasetTransformStep):
    def __init__(self) -> None:
        raise OSError("no calibration")

    def __call__(self, sample: dict) -> dict:
        return sample


def test_a_step_that_fails_to_be_built_is_told_apart(arm: ArrayDataset) -> None:
    with pytest.raises(ConfigError, match=r"transforms\[0\] \(tests_cannot_be_built\): building it raised OSError"):
        source(arm, transforms=[step("tests_cannot_be_built")])


def test_only_steps_can_be_registered() -> None:
    with pytest.raises(ConfigError, match="must derive from DatasetTransformStep"):
        register_dataset_transform("tests_int")(int)

"""The samples of a merged dataset are those of the mixture that it was merged from, to the last bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import AlignmentError
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.mixture.transforms import DatasetTransformStep, register_dataset_transform
from robomix.mixture.transforms.base import Sample
from robomix.statistics.compute import mixture_stats
from robomix.tools.verify.expected import Expected
from tests.fixtures import write_v20, write_v21, write_v30

WINDOWS = {"action": range(-1, 3), "observation.state": (-2, 0)}
TOP, WRIST, FRONT = (f"observation.images.{name}" for name in ("top", "wrist", "front"))


@register_dataset_transform("first_two")
class FirstTwo(DatasetTransformStep):
    """The first two entries of the action."""

    def __call__(self, sample: Sample) -> Sample:
        return sample | {"action": sample["action"][..., :2]}


def sources(folder: Path) -> list[dict[str, Any]]:
    """Three datasets of three versions that differ in widths, cameras, names and further features."""
    write_v21(folder / "a", lengths=(6, 3, 5), gop=1, robot_type="a", tasks=["pick", "place", "pick"])
    write_v30(
        folder / "b",
        lengths=(4, 7),
        gop=1,
        robot_type="b",
        seed=1,
        state_dim=5,
        action_dim=4,
        cameras={WRIST: (32, 48), TOP: (32, 48)},
        extra={"effort": (3,), "next.reward": (1,)},
        tasks=["fold", ["pick", "pick", "fold", "fold", "pick", "fold", "fold"]],
        tasks_shuffled=True,
    )
    write_v20(folder / "c", lengths=(5, 2), gop=1, robot_type="c", seed=2, value_dtype="float64", action_dim=3)
    return [
        {"root": str(folder / "a"), "episodes": [2, 0], "feature_map": {TOP: FRONT}},
        {"root": str(folder / "b"), "feature_map": {TOP: FRONT, "effort": "observation.effort"}},
        {"root": str(folder / "c"), "feature_map": {TOP: FRONT}, "lang": "wait"},
    ]


def mixture_of(block: dict[str, Any], windows: Any = None) -> Mixture:
    return make_mixture(MixtureConfig.from_dict(block), delta_indices=WINDOWS if windows is None else windows)


def merge(folder: Path, block: dict[str, Any], *flags: str) -> Path:
    (folder / "mix.yaml").write_text(yaml.safe_dump({"dataset": block}))
    out = folder / "merged"
    argv = [
        "merge",
        "--config",
        str(folder / "mix.yaml"),
        "--out",
        str(out),
        "--robot_type=all",
        "--codec=h264",
        *flags,
    ]
    assert main(argv) == 0
    return out


def assert_same_samples(merged: Mixture, mixture: Mixture, but: tuple[str, ...] = ()) -> None:
    assert len(merged) == len(mixture)
    found, expected = (one.__getitems__(range(len(mixture))) for one in (merged, mixture))
    assert set(found) == set(expected)
    for key, value in expected.items():
        if torch.is_tensor(value) and key not in ("dataset_index", *but):
            assert found[key].dtype == value.dtype, key
            np.testing.assert_array_equal(found[key].numpy(), value.numpy(), key)
    assert found["task"] == expected["task"]


@pytest.mark.parametrize("features", ["union", "intersection"])
def test_maps_episodes_widths_and_missing_features(features: str, tmp_path: Path) -> None:
    block = {"features": features, "datasets": sources(tmp_path)}
    out = merge(tmp_path, block)
    mixture, merged = mixture_of(block), mixture_of({"datasets": [{"root": str(out)}]})
    assert_same_samples(merged, mixture)
    assert merged.meta.tasks == mixture.meta.tasks
    assert merged.schema.padded == mixture.schema.padded
    assert mixture[0]["action_dim_is_pad"].tolist() == [False, False, True, True]


def test_transforms_and_samples_without_windows(tmp_path: Path) -> None:
    a, b, c = sources(tmp_path)
    a["transforms"] = [{"type": "pad_action", "kwargs": {"target_dim": 6}}]
    b["transforms"] = [{"type": "pad_state", "kwargs": {"target_dim": 7}}]
    block = {"datasets": [a, b, c]}
    out = merge(tmp_path, block)
    assert_same_samples(mixture_of({"datasets": [{"root": str(out)}]}, {}), mixture_of(block, {}))
    assert_same_samples(mixture_of({"datasets": [{"root": str(out)}]}), mixture_of(block))


def test_merged_again_with_the_originals(tmp_path: Path) -> None:
    """Masks that are on disk already, wider ones, and sources with and without them."""
    a, b, c = sources(tmp_path)
    once = merge(tmp_path, {"datasets": [a, b]})
    block = {
        "datasets": [{"root": str(once)}, c | {"transforms": [{"type": "pad_action", "kwargs": {"target_dim": 6}}]}]
    }
    once.rename(tmp_path / "once")
    block["datasets"][0]["root"] = str(tmp_path / "once")
    out = merge(tmp_path, block)
    assert_same_samples(mixture_of({"datasets": [{"root": str(out)}]}), mixture_of(block))
    assert_same_samples(
        mixture_of({"datasets": [{"root": str(out)}]}, {}), mixture_of({"datasets": [a, b, block["datasets"][1]]}, {})
    )


def test_verify_expects_the_masks_that_samples_have(tmp_path: Path) -> None:
    out = merge(tmp_path, {"datasets": sources(tmp_path)})
    merged = mixture_of({"datasets": [{"root": str(out)}]})
    batch, expected = merged.__getitems__(range(len(merged))), Expected(merged)
    place = batch["episode_index"].numpy(), batch["frame_index"].numpy()
    for key in merged.schema.features:
        if f"{key}_is_pad" in batch:
            np.testing.assert_array_equal(batch[f"{key}_is_pad"], expected.time_mask(key, 0, *place), key)
        if f"{key}_dim_is_pad" in batch:
            np.testing.assert_array_equal(batch[f"{key}_dim_is_pad"], expected.dim_mask(key, 0, *place), key)


def test_padding_can_be_taken_for_data_and_is_not_lost_silently(tmp_path: Path) -> None:
    out = str(merge(tmp_path, {"datasets": sources(tmp_path)}))
    plain = mixture_of({"datasets": [{"root": out, "feature_map": {"action_dim_is_pad": None}}]})
    assert not plain[0]["action_dim_is_pad"].any()
    with pytest.raises(
        AlignmentError, match=r"'action_dim_is_pad' .* is padding, and the transforms make something else"
    ):
        mixture_of({"datasets": [{"root": out, "transforms": [{"type": f"{__name__}:first_two"}]}]})


def test_statistics_are_those_of_the_mixture(tmp_path: Path) -> None:
    block = {"datasets": sources(tmp_path)}
    out = merge(tmp_path, block)
    expected = mixture_stats(mixture_of(block, {}))["global"]
    found = mixture_stats(mixture_of({"datasets": [{"root": str(out)}]}, {}))["global"]
    for key, stats in expected.items():
        for name, value in stats.items():
            if not key.startswith("observation.images"):
                np.testing.assert_allclose(found[key][name], value, rtol=1e-12, err_msg=f"{key} {name}")

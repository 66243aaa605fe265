"""What `meta/info.json` declares, in all the forms in which real files declare it."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.info import fill, read_info


def parse(**spec: Any) -> Feature:
    features, warnings = parse_features({"key": spec}, Path("info.json"))
    assert not warnings
    return features["key"]


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ([480, 640, 3], ["height", "width", "channels"]),
        ([480, 640, 3], ["height", "width", "channel"]),
        ([480, 640, 3], None),
        ([480, 640, 3], {"axes": ["height", "width", "channels"]}),
        ([480, 640, 3], ["channels", "height", "width"]),  # contradicts the shape, which is clear by itself
        ([3, 480, 640], ["channels", "height", "width"]),
        ([3, 480, 640], None),
        ([3, 480, 640], ["height", "width", "channels"]),
        ([640, 480, 3], ["width", "height", "channels"]),
    ],
    ids=str,
)
def test_camera_shapes_are_understood_in_any_order(shape: list[int], names: Any) -> None:
    for dtype in ("video", "image"):
        assert parse(dtype=dtype, shape=shape, names=names).shape == (3, 480, 640)


def test_pictures_keep_their_channels_and_videos_are_rgb() -> None:
    assert parse(dtype="image", shape=[48, 64, 1]).shape == (1, 48, 64)
    assert parse(dtype="video", shape=[48, 64, 1]).shape == (3, 48, 64)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["x", "y"], ("x", "y")),
        ([["x", "y"]], ("x", "y")),
        ({"motors": ["x", "y"]}, ("x", "y")),
        ({"left": ["x"], "right": ["y"]}, ("x", "y")),
        ({"y": 1, "x": 0}, ("x", "y")),
        (["x"], None),
        (["x", "y", "z"], None),
        ([1, 2], None),
        (None, None),
        ("xy", None),
        ({}, None),
    ],
    ids=str,
)
def test_names_of_entries(names: Any, expected: tuple[str, ...] | None) -> None:
    assert parse(dtype="float32", shape=[2], names=names).names == expected


def test_single_values_are_scalars_except_in_observations_and_actions() -> None:
    declared = {key: {"dtype": "float32", "shape": [1]} for key in ("reward", "observation.x", "action", "state.x")}
    features, _ = parse_features(declared, Path("info.json"))
    shapes = {key: feature.shape for key, feature in features.items()}
    assert shapes == {"reward": (), "observation.x": (1,), "action": (1,), "state.x": ()}
    assert parse(dtype="float32", shape=[]).shape == ()
    assert parse(dtype="float32", shape=5).shape == (5,)


def test_bookkeeping_is_no_feature_and_unknown_types_are_left_out_with_a_warning() -> None:
    declared = {"timestamp": {"dtype": "float32", "shape": [1]}, "odd": {"dtype": "quaternion", "shape": [4]}}
    features, warnings = parse_features(declared, Path("info.json"))
    assert features == {}
    assert warnings == ["left out 'odd': its dtype 'quaternion' is not one robomix knows"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (30, Fraction(30)),
        (30.0, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (29.97, Fraction(30000, 1001)),
        (29.97002997002997, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (33.333333, Fraction(100, 3)),
        (0.5, Fraction(1, 2)),
        (29.5, Fraction(59, 2)),
    ],
)
def test_rates_become_the_fraction_that_was_meant(tmp_path: Path, value: float, expected: Fraction) -> None:
    (tmp_path / "meta").mkdir()
    info = {"codebase_version": "v2.1", "fps": value, "features": {"action": {"dtype": "float32", "shape": [1]}}}
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    assert read_info(tmp_path).fps == expected


def test_templates_are_filled_as_lerobot_fills_them() -> None:
    template = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    filled = fill(template, Path("/set"), episode_chunk=1, episode_index=1234567, video_key="observation.top")
    assert filled == "videos/chunk-001/observation.top/episode_1234567.mp4"
    assert fill("{chunk_index}/{other}", Path("/set"), chunk_index=1) is None


@pytest.mark.parametrize("key", ["../../secret", "/etc", "a/../../b", "nul\0"])
def test_a_key_cannot_lead_out_of_the_folder(key: str) -> None:
    with pytest.raises(FormatError, match="leads out of the dataset's folder"):
        fill("{video_key}/x.mp4", Path("/set"), video_key=key)

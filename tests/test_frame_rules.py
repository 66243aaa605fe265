"""`rate`, `resample`, `idle` and `success` of a mixture file: what is understood, refused, and written back."""

import json
from typing import Any

import pytest

from robomix.config import IdleConfig, MixtureConfig, SuccessConfig
from robomix.errors import ConfigError

RULES = {
    "action": {
        "nearest": ["gripper"],
        "rotations": [{"entries": ["qx", "qy", "qz", "qw"], "as": "quaternion_xyzw"}],
        "differences": [0, 1, 2],
    }
}


def with_source(**keys: Any) -> dict[str, Any]:
    return {"datasets": [{"root": "a"} | keys]}


def test_the_keys_mean_what_they_say_and_are_written_back() -> None:
    idle = {"key": "action", "below": 0.001, "longer_than": 10}
    block = with_source(resample=RULES, idle=idle, success={"key": "next.success"}) | {"rate": 10}
    config = MixtureConfig.from_dict(block)
    assert config.rate == 10
    assert config.datasets[0].idle == IdleConfig("action", 0.001, 10)
    assert config.datasets[0].success == SuccessConfig("next.success", "last", 0.5)
    assert config.datasets[0].resample == RULES
    assert MixtureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_without_them_every_source_keeps_its_rate_and_frames() -> None:
    config = MixtureConfig.from_dict(with_source(idle=None, success=None))
    source = config.datasets[0]
    assert (config.rate, source.resample, source.idle, source.success) == ("native", {}, None, None)


def test_the_short_form_has_a_rate_too() -> None:
    assert MixtureConfig.from_dict({"repo_id": ["me/a", "me/b"], "rate": 12.5}).rate == 12.5


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            {"rate": "natve"},
            "dataset.rate: found 'natve', expected a finite number or 'native'. Did you mean 'native'?",
        ),
        ({"rate": 0}, "dataset.rate: found 0, expected 'native', or frames per second from 0.001 to 100000."),
        ({"rate": 2e5}, "dataset.rate: found 200000.0"),
        ({"rate": True}, "dataset.rate: found true"),
        ({"rate": "10"}, "dataset.rate: found '10' (text)"),
        (with_source(rate=10), "rate (a): unknown key. It belongs to `dataset`, not to one of its datasets."),
        ({"idle": {}}, "dataset.idle: unknown key. It belongs to an entry of `datasets`."),
        (with_source(idle={"key": "action", "below": 0.1}), "idle (a): lacks the key `longer_than`."),
        (with_source(idle={"type": "action"}), "idle (a): lacks the key `key`."),
        (
            with_source(idle={"key": "x", "below": -1, "longer_than": 5}),
            "idle.below (a): found -1, expected 0 or more.",
        ),
        (
            with_source(idle={"key": "x", "below": 1, "longer_than": 0}),
            "idle.longer_than (a): found 0, expected a number",
        ),
        (
            with_source(success={"key": "x", "at": "lst"}),
            "success.at (a): found 'lst', expected 'last' or 'any'. Did you",
        ),
        (with_source(success="x"), "success (a): found 'x', expected a mapping or null"),
        (
            with_source(resample={"action": ["gripper"]}),
            "resample.action (a): found a list ['gripper'], expected a mapping",
        ),
        (
            with_source(resample={"action": {"nearst": [0]}}),
            "resample.action.nearst (a): unknown key. Did you mean 'near",
        ),
        (with_source(resample={"action": {"nearest": []}}), "resample.action.nearest (a): entries must be a list"),
        (
            with_source(resample={"action": {"nearest": None}}),
            "resample.action.nearest (a): found null, expected a list",
        ),
        (
            with_source(resample={"action": {"differences": [-1]}}),
            "resample.action.differences (a): entries: -1 is neg",
        ),
        (
            with_source(resample={"a": {"rotations": [{"entries": [0]}]}}),
            "resample.a.rotations[0] (a): lacks the key `as`",
        ),
        (
            with_source(resample={"a": {"rotations": [{"entries": [0, 1, 2], "as": "axisangle"}]}}),
            "resample.a.rotations[0].as (a): 'axisangle' is no way to write a rotation. Did you mean 'axis_angle'?",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_key(block: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixtureConfig.from_dict({"datasets": [{"root": "a"}]} | block)
    assert said in str(caught.value)

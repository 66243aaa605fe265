"""Demonstration files in a mixture: chosen by filter key and limit, with a task of their own, beside LeRobot sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robomix import ConfigError, Mixture, MixtureConfig, Schedule, make_loader, make_mixture
from robomix.mixture.resolve import streams
from tests.fixtures import write_v21, write_v30
from tests.hdf5_files import Truth5, write_aloha, write_robomimic

CAMERA = "observation.images.top"
STATE = {"observation.robot0_eef_pos": "observation.state", "observation.images.agentview": CAMERA}
DROPPED = ("observation.robot0.joint_pos", "observation.object", "next.reward", "next.done", "states", "actions_abs")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth5:
    path = tmp_path_factory.mktemp("data") / "lift.hdf5"
    return write_robomimic(
        path,
        ids=(0, 2, 3, 10),
        lengths=(5, 7, 4, 6),
        cameras=["agentview"],
        size=(32, 48),
        masks={"expert": [10, 2, 3]},
    )


def made(*entries: dict[str, Any]) -> Mixture:
    return make_mixture(MixtureConfig.from_dict({"datasets": list(entries)}), delta_indices={"action": range(3)})


def episodes_of(truth: Truth5, **choice: Any) -> list[int]:
    return made({"root": str(truth.path)} | choice).sources[0].frames.ids.tolist()


def test_filter_keys_limits_and_episodes_hold_together(truth: Truth5) -> None:
    assert episodes_of(truth) == [0, 2, 3, 10]
    assert episodes_of(truth, filter_key="expert") == [2, 3, 10]
    assert episodes_of(truth, demo_limit=2) == [0, 2]
    assert episodes_of(truth, demo_limit=99) == [0, 2, 3, 10]
    assert episodes_of(truth, filter_key="expert", demo_limit=2) == [2, 3]
    assert episodes_of(truth, filter_key="expert", episodes=[10, 0, 2]) == [10, 2]
    assert episodes_of(truth, episodes=[10, 0, 2], demo_limit=2) == [0, 2]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"filter_key": "expret"}, r"has no selection 'expret'. Did you mean 'expert'\? It names expert."),
        ({"filter_key": "expert", "episodes": [0]}, "none of its `episodes` is in the selection 'expert'"),
    ],
)
def test_choices_that_leave_nothing_are_named(truth: Truth5, choice: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        episodes_of(truth, **choice)


def test_a_selection_that_is_empty_or_names_what_is_not_there_is_refused_when_used(tmp_path: Path) -> None:
    truth = write_robomimic(tmp_path / "demo.hdf5", masks={"none": [], "gone": [2, 7]})
    assert episodes_of(truth) == [0, 2, 10]
    for key, said in (("none", "is empty"), ("gone", r"names episodes that are not there: \[7\]")):
        with pytest.raises(ConfigError, match=said):
            episodes_of(truth, filter_key=key)


def test_limits_and_tasks_hold_for_every_format(tmp_path: Path) -> None:
    root = str(write_v21(tmp_path / "arm", cameras={}).path)
    whole, limited = made({"root": root}), made({"root": root, "demo_limit": 1, "lang": "stack the cubes"})
    assert limited.num_episodes == 1
    assert len(limited) == whole.sources[0].frames.bounds[1]
    assert list(limited.meta.tasks) == ["stack the cubes"]
    assert set(limited.__getitems__(range(len(limited)))["task"]) == {"stack the cubes"}
    with pytest.raises(ConfigError, match=r"has no selection 'train'. It names none; leave `filter_key` out"):
        made({"root": root, "filter_key": "train"})


@pytest.fixture(scope="module")
def mixed(truth: Truth5, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mixture, Truth5]:
    """robomimic, ALOHA and LeRobot as one."""
    folder = tmp_path_factory.mktemp("others")
    aloha = write_aloha(folder / "pour", cameras=["cam_high"], size=(32, 48), storage="padded")
    lerobot = write_v30(folder / "arm")
    renamed = STATE | dict.fromkeys(DROPPED)
    extra = dict.fromkeys(("observation.velocity", "observation.effort", "base_action"))
    mixture = made(
        {"root": str(truth.path), "feature_map": renamed, "filter_key": "expert", "lang": "lift the cube"},
        {"root": str(aloha.path), "feature_map": extra | {"observation.images.cam_high": CAMERA}, "fps": 50},
        {"root": str(lerobot.path)},
    )
    return mixture, aloha


def test_samples_of_three_formats_equal_what_was_written(mixed: tuple[Mixture, Truth5], truth: Truth5) -> None:
    mixture, aloha = mixed
    assert set(mixture.schema.features) == {"action", "observation.state", CAMERA}
    batch = mixture.__getitems__(range(17 + aloha.num_frames))
    assert batch["dataset_index"].tolist() == [0] * 17 + [1] * aloha.num_frames
    assert batch["task"] == ["lift the cube"] * 17 + ["pour"] * aloha.num_frames
    for name, state, source, rows in (
        ("observation.images.agentview", "observation.robot0_eef_pos", truth, slice(5, 22)),
        ("observation.images.cam_high", "observation.state", aloha, slice(0, aloha.num_frames)),
    ):
        place = slice(0, 17) if source is truth else slice(17, None)
        assert np.array_equal(batch[CAMERA][place], source.frames[name][rows])
        for key, values in (("action", source.columns["action"]), ("observation.state", source.columns[state])):
            ours = batch[key][place, 0] if key == "action" else batch[key][place]
            assert np.array_equal(ours[:, : values.shape[1]], values[rows].astype(np.float32))
    last = truth.lengths[1] - 1
    assert batch["action_is_pad"][last].tolist() == [False, True, True]
    timestamp = batch["timestamp"]
    assert timestamp[1] == torch.tensor(1 / 20)
    assert timestamp[18] == torch.tensor(1 / 50)


def test_spawned_workers_read_the_same(mixed: tuple[Mixture, Truth5]) -> None:
    mixture, _ = mixed
    schedule = Schedule(streams(mixture.sources, 1.0), seed=0, batch_size=8)
    alone, shared = (list(make_loader(mixture, schedule, stop=4, num_workers=n)) for n in (0, 2))
    for one, other in zip(alone, shared, strict=True):
        for key, value in one.items():
            assert torch.equal(value, other[key]) if torch.is_tensor(value) else value == other[key]


def test_red_and_blue_can_be_exchanged(truth: Truth5) -> None:
    entry = {"root": str(truth.path)}
    key = "observation.images.agentview"
    plain, swapped = made(entry), made(entry | {"transforms": [{"type": "swap_red_blue"}]})
    assert torch.equal(swapped.__getitems__([3])[key], plain.__getitems__([3])[key].flip(1))

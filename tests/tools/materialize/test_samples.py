"""Training from materialized frames is training from the original: the same samples, in the same order."""

from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.datasets import LeRobotDataset

from robomix import LiveSource, MixtureConfig
from robomix.documents import read_document
from robomix.errors import AlignmentError
from tests.fixtures import row_and_camera
from tests.tools.materialize.files import (
    RESIZE,
    SIDE,
    SIZE,
    TOP,
    batches,
    block,
    is_equal,
    materialize,
    on_the_fly,
    opened,
    write_sources,
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return write_sources(tmp_path_factory.mktemp("data"))


def chosen(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Episodes in an order of their own, one of them held out, a filter, transforms, a name, a feature that goes."""
    one = {"episodes": [2, 0, 3], "val_episodes": [0], "name": "me/one: 1", "feature_map": {SIDE: None}}
    two = {
        "demo_limit": 2,
        "idle": {"key": "done", "below": 1e-3, "longer_than": 2},
        "transforms": [{"type": "swap_red_blue"}, RESIZE],
    }
    return block([entries[0] | one, entries[1] | two], alpha=0.5)


MIXTURES = {
    "plain": block,
    "chosen": chosen,
    "at one rate": lambda entries: block(entries, rate=15, val_fraction=0.3),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_raw_frames_give_the_very_samples_of_resizing_on_the_fly(
    name: str, sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = MIXTURES[name](sources)
    result = materialize(data, tmp_path / "small", "frames")
    expected = batches(on_the_fly(data))
    alone = MixtureConfig.from_dict(read_document(result.file)["dataset"])
    in_one_line = MixtureConfig.from_dict(data | {"materialized": str(tmp_path / "small")})
    for config in (alone, in_one_line):
        made = batches(config)
        for batch, other in zip(expected, made, strict=True):
            assert batch.keys() == other.keys()
            assert [key for key in batch if not is_equal(batch[key], other[key])] == []
        held_out = [opened(c).held_out() for c in (on_the_fly(data), config)]
        assert (held_out[0] is None) == (held_out[1] is None) == (name == "plain")
        if held_out[0] is not None and held_out[1] is not None:
            first, second = (mixture.__getitems__(range(len(mixture))) for mixture in held_out)
            assert [key for key in first if not is_equal(first[key], second[key])] == []


def test_video_changes_pixels_as_far_as_it_says_and_nothing_else(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    data = chosen(sources)
    result = materialize(data, tmp_path / "small", "video")
    alone = MixtureConfig.from_dict(read_document(result.file)["dataset"])
    in_one_line = MixtureConfig.from_dict(data | {"materialized": str(tmp_path / "small")})
    for config in (alone, in_one_line):
        for batch, other in zip(batches(on_the_fly(data)), batches(config), strict=True):
            assert batch.keys() == other.keys()
            assert [key for key in batch if key != TOP and not is_equal(batch[key], other[key])] == []
        original, stored = (opened(c).only([TOP]) for c in (on_the_fly(data), config))
        everything = [mixture.__getitems__(range(len(mixture))) for mixture in (original, stored)]
        for i, source in enumerate(original.sources):
            pair = [batch[TOP][batch["dataset_index"] == i][:, -1].numpy().astype(float) for batch in everything]
            psnr = 10 * log10(255**2 / ((pair[0] - pair[1]) ** 2).mean())
            said = next(one.psnr_db for one in result.likeness if one.source == source.name)
            assert psnr > 25
            assert psnr == pytest.approx(said, abs=0.01)


def test_others_read_the_videos(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    """LeRobot's own reader gives each row its picture and its numbers."""
    materialize(block(sources[:1]), tmp_path / "small", "video")
    theirs = LeRobotDataset("local/one", root=tmp_path / "small" / "one")
    original = opened(on_the_fly(block(sources[:1])))
    assert len(theirs) == len(original) == 36
    for row in (0, 8, 9, 35):
        sample = theirs[row]
        assert sample[SIDE].shape == (3, SIZE["height"], SIZE["width"])
        picture = (sample[SIDE] * 255).round().byte().numpy() if sample[SIDE].is_floating_point() else sample[SIDE]
        assert row_and_camera(np.asarray(picture)) == (row, 1)
        assert is_equal(sample["observation.state"], original[row]["observation.state"])
        assert sample["task"] == original[row]["task"]


def test_other_blocks_of_the_mixture_file_stay(sources: list[dict[str, Any]], tmp_path: Path) -> None:
    result = materialize(block(sources, normalize_by="source"), tmp_path / "small", "frames")
    written = read_document(result.file)
    assert written["steps"] == 3
    assert written["dataset"]["normalize_by"] == "source"
    assert [entry["name"] for entry in written["dataset"]["datasets"]] == ["one", "two"]
    assert written["dataset"]["datasets"][1]["weight"] == 2.0


@pytest.mark.parametrize("how", ["alone", "in one line"])
def test_a_robot_still_sees_large_pictures(how: str, sources: list[dict[str, Any]], tmp_path: Path) -> None:
    """What was resized on the disk is resized for the robot, whose camera is the recorded one."""
    data = block(sources[:1])
    result = materialize(data, tmp_path / "small", "frames")
    config = MixtureConfig.from_dict(data | {"materialized": str(tmp_path / "small")})
    if how == "alone":
        config = MixtureConfig.from_dict(read_document(result.file)["dataset"])
    source, reference = opened(config).sources[0], opened(on_the_fly(data)).sources[0]
    observation = {key: torch.from_numpy(reference.dataset.read_frames(key, [3])) for key in (TOP, SIDE)}
    inputs = {key: source.features[key] for key in (TOP, SIDE)}
    seen, expected = (LiveSource(one, inputs).observe(observation) for one in (source, reference))
    assert seen[TOP].shape == (1, 3, 24, 40)
    assert is_equal(seen[TOP], expected[TOP])
    assert is_equal(seen[SIDE], expected[SIDE])
    with pytest.raises(AlignmentError, match="set up as it was"):
        LiveSource(source, inputs).observe(observation | {TOP: observation[TOP][:, :1]})

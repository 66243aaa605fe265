"""Datasets of every format become one, whose samples are those of the mixture, to the last bit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.formats import open_dataset
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from tests.formats.writing import lerobot_dataset
from tests.tools.edited import digests
from tests.tools.merge.formats import FORMATS, FPS, LEROBOT, TOP, write_gr00t, write_v21

PICTURES = "--storage=image"
"""Frames of other formats are no video yet; as PNG they stay what they are."""
NUMBERS = "annotation.human.task_description"
SINGLE = ("action.gripper", "observation.count")
"""Single numbers of the RLDS dataset, which LeRobot has as vectors of one entry."""


def mixture_of(block: dict[str, Any], **windows: Any) -> Mixture:
    return make_mixture(MixtureConfig.from_dict(block), delta_indices=windows)


def merge(folder: Path, block: dict[str, Any], *flags: str) -> Path:
    (folder / "mix.yaml").write_text(yaml.safe_dump({"dataset": block}))
    flags = ("--config", str(folder / "mix.yaml"), "--out", str(folder / "merged"), "--robot_type=all", *flags)
    assert main(["merge", *flags]) == 0
    return folder / "merged"


def assert_same_samples(out: Path, block: dict[str, Any], *, further: Sequence[str] = (), **windows: Any) -> None:
    merged, mixture = mixture_of({"datasets": [{"root": str(out)}]}, **windows), mixture_of(block, **windows)
    assert len(merged) == len(mixture)
    found, expected = (one.__getitems__(range(len(mixture))) for one in (merged, mixture))
    assert set(found) - {f"{key}_dim_is_pad" for key in SINGLE} == {*expected, *further}
    for key, value in expected.items():
        if torch.is_tensor(value) and key != "dataset_index":
            assert found[key].dtype == value.dtype, key
            shape = (*value.shape, 1) if key in SINGLE else value.shape
            np.testing.assert_array_equal(found[key].numpy(), value.numpy().reshape(shape), key)
    assert found["task"] == expected["task"]


def assert_lerobot_reads(out: Path) -> None:
    """LeRobot gives the numbers, tasks and frames that robomix gives."""
    theirs, ours = lerobot_dataset(out), open_dataset(out)
    assert len(theirs) == ours.num_frames
    for i in (0, len(theirs) // 2, len(theirs) - 1):
        sample = theirs[i]
        assert sample["task"] == ours.tasks[ours.task_indices()[i]]
        for key, feature in ours.features.items():
            if feature.is_camera:
                frame = sample[key].numpy()
                frame = np.rint(frame * 255) if frame.dtype == np.float32 else frame  # as it gives pictures of a table
                np.testing.assert_array_equal(frame, ours.read_frames(key, np.array([i]))[0], key)
            elif feature.is_vector:
                own = sample[key].numpy().reshape(-1)  # LeRobot makes float32 of float64
                np.testing.assert_array_equal(own, ours.column(key)[i].astype(own.dtype), key)


def blocks(names: Sequence[str], folder: Path) -> dict[str, Any]:
    return {"datasets": [FORMATS[name](folder) for name in names]}


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "v3.0"])
def test_each_format_beside_lerobots(name: str, tmp_path: Path) -> None:
    block = blocks([name, "v3.0"], tmp_path)
    before = digests(tmp_path)
    out = merge(tmp_path, block, PICTURES)
    assert_same_samples(out, block)
    assert_same_samples(out, block, action=range(-1, 3))
    assert_lerobot_reads(out)
    assert {name: digest for name, digest in digests(tmp_path).items() if name in before} == before


@pytest.mark.parametrize("name", ["robomimic", "ALOHA", "zarr", "RLDS"])
def test_another_format_alone(name: str, tmp_path: Path) -> None:
    block = blocks([name], tmp_path)
    out = merge(tmp_path, block, PICTURES)
    assert_same_samples(out, block)
    assert_lerobot_reads(out)


@pytest.mark.parametrize("version", ["v3.0", "v2.1", "v2.0"])
def test_all_formats_at_once(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = blocks(list(FORMATS), tmp_path)
    out = merge(tmp_path, block, PICTURES, f"--version={version}")
    assert "single numbers become vectors of one entry: action.gripper, observation.count" in capsys.readouterr().out
    assert_same_samples(out, block)
    if version == "v3.0":
        assert_lerobot_reads(out)


def test_all_formats_as_lossless_video(tmp_path: Path) -> None:
    block = blocks(["robomimic", "ALOHA", "zarr", "RLDS"], tmp_path)
    out = merge(tmp_path, block, "--codec=h264_lossless")
    assert_same_samples(out, block)
    assert_lerobot_reads(out)


def gr00ts(folder: Path, **second: Any) -> dict[str, Any]:
    write_gr00t(folder / "one")
    write_gr00t(folder / "two", **{"seed": 6, "tasks": [["lift", "stack", "lift", "push"], ["push"] * 3]} | second)
    return {"datasets": [{"root": str(folder / name)} for name in ("one", "two")]}


def test_gr00t_datasets_with_one_modality_file_stay_gr00ts(tmp_path: Path) -> None:
    block = gr00ts(tmp_path)
    out = merge(tmp_path, block)  # video is copied
    assert (out / "meta/modality.json").read_bytes() == (tmp_path / "one/meta/modality.json").read_bytes()
    assert_same_samples(out, block)
    assert_same_samples(out, block, action=range(-1, 3))


@pytest.mark.parametrize("keep", ["union", "intersection"])
def test_gr00t_datasets_with_other_modality_files(keep: str, tmp_path: Path) -> None:
    block = gr00ts(tmp_path, parts={"state": {"arm": {"start": 0, "end": 2}}}) | {"features": keep}
    out = merge(tmp_path, block)
    assert not (out / "meta/modality.json").exists()
    assert_same_samples(out, block, further=(NUMBERS,))
    merged, sources = open_dataset(out), [open_dataset(tmp_path / name) for name in ("one", "two")]
    texts = [source.tasks[i] for source in sources for i in source.annotation("human.task_description")]
    assert [merged.tasks[i] for i in merged.column(NUMBERS)] == texts


def test_a_text_given_to_all_frames_is_the_one_a_gr00t_dataset_has(tmp_path: Path) -> None:
    block = gr00ts(tmp_path)
    block["datasets"] = [entry | {"lang": "wait"} for entry in block["datasets"]]
    out = merge(tmp_path, block)
    merged = open_dataset(out)
    assert {merged.tasks[i] for i in merged.task_indices()} == {"wait"}


def test_numbers_that_name_tasks_are_dropped_where_not_all_have_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_gr00t(tmp_path / "one")
    write_v21(tmp_path / "plain", **LEROBOT)
    block = {"datasets": [{"root": str(tmp_path / name)} for name in ("one", "plain")]}
    out = merge(tmp_path, block)
    assert f"dropped: {NUMBERS} of one, which name tasks by number" in capsys.readouterr().out
    assert NUMBERS not in open_dataset(out).features
    assert (open_dataset(out).fps, len(open_dataset(out).features[TOP].shape)) == (FPS, 3)
    assert_same_samples(out, block)

"""`mixture.lock`: written with each run; under `--locked` nothing else is trained on, and what changed is named."""

import json
import linecache
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from tests.training.test_loop import assert_same_parameters, mixture_file, write


@pytest.fixture
def mix(data: Path, tmp_path: Path) -> Path:
    """A mixture file of `arm` and `crane` in a folder of its own, and its lock beside it."""
    shutil.copytree(data, tmp_path / "data")
    mix = mixture_file(tmp_path / "data", tmp_path / "mix.json", steps=2)
    assert main(["train", f"--config_path={mix}", "--lock"]) == 0
    return mix


def locked(mix: Path, *flags: str) -> int:
    return main(["train", f"--config_path={mix}", "--locked", f"--output_dir={mix.parent / 'out'}", *flags])


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def refused(mix: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """The lines of what changed, of a locked training that is refused before it has written anything."""
    assert locked(mix, *flags) == 2
    assert not (mix.parent / "out").exists()
    return capsys.readouterr().err


def test_a_lock_without_training_is_that_of_the_training_and_of_its_checkpoints(mix: Path) -> None:
    lock = (mix.parent / "mixture.lock").read_bytes()
    assert locked(mix) == 0
    out = mix.parent / "out"
    assert (out / "mixture.lock").read_bytes() == lock
    assert (out / "checkpoints" / "last" / "pretrained_model" / "mixture.lock").read_bytes() == lock


def test_what_a_lock_says(mix: Path) -> None:
    lock = json.loads((mix.parent / "mixture.lock").read_text())
    assert lock["order"] == {"version": 1, "seed": 1000, "batch_size": 8, "batching": "mixed"}
    assert lock["settings"] == {"normalize_by": "source"}
    arm, crane = lock["sources"].values()
    assert arm["probability"] == pytest.approx(1 / 3, abs=1e-4)
    assert arm["probability"] + crane["probability"] == 1
    assert (arm["frames"], arm["episodes"], arm["settings"]) == (54, "0-1", {})
    assert set(lock["statistics"]["arm"]) == {"observation.state", "observation.environment_state", "action"}
    assert set(lock["versions"]) == {"robomix", "lerobot", "torch", "torchvision", "av", "pillow", "numpy"}


def test_data_elsewhere_and_weights_in_other_words_are_the_same_training(mix: Path) -> None:
    (mix.parent / "data").rename(mix.parent / "moved")

    def moved(settings: dict[str, Any]) -> None:
        for source, weight in zip(settings["dataset"]["datasets"], (10.0, 20.0), strict=True):
            source |= {"root": source["root"].replace("/data/", "/moved/"), "weight": weight, "episodes": [0, 1]}
        settings["policy"]["optimizer_lr"] = 1e-2

    edit(mix, moved)
    assert locked(mix) == 0


def of_datasets(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda settings: change(settings["dataset"]["datasets"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (of_datasets(lambda sources: sources[0].update(weight=2.0)), "source 'crane': probability: 0.66"),
        (of_datasets(lambda sources: sources[0].update(episodes=[1])), "source 'arm': episodes: 0-1 then, 1 now"),
        (of_datasets(lambda sources: sources.pop()), "source 'crane': locked, and not there now"),
        (of_datasets(lambda sources: sources[1].update(name="lift")), "source 'lift': not locked, and there now"),
        (of_datasets(lambda sources: sources.reverse()), "order of the sources: arm, crane then, crane, arm now"),
        (
            of_datasets(
                lambda sources: sources[0].update(
                    transforms=[{"type": "pad_action", "kwargs": {"target_dim": 5}}],
                )
            ),
            "source 'arm': transforms[0].kwargs.target_dim: the default then, 5 now",
        ),
        (
            lambda settings: settings["dataset"].update(normalize_by="global"),
            "dataset.normalize_by: source then, the default now",
        ),
        (
            lambda settings: settings["dataset"].update(weight_schedule=[{"step": 1, "weights": {"arm": 0.0}}]),
            "weights from step 1: none then, hold arm 0.0, crane 1.0 now",
        ),
        (lambda settings: settings.update(seed=7), "seed: 1000 then, 7 now"),
        (lambda settings: settings.update(batch_size=4), "batch_size: 8 then, 4 now"),
    ],
    ids=["weight", "episodes", "removed", "renamed", "order", "transforms", "setting", "stages", "seed", "batch"],
)
def test_each_change_of_the_file_is_named(
    mix: Path, change: Callable[[dict[str, Any]], Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(mix, change)
    error = refused(mix, capsys)
    assert told in error
    assert "--lock in place of --locked" in error


def test_another_content_is_named_with_its_source(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(mix.parent / "data" / "crane")
    write(mix.parent / "data" / "crane", 5, 101.0, 30, 1, "lift")
    error = refused(mix, capsys)
    assert "source 'crane': content: " in error
    assert "source 'arm'" not in error


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lock: lock["versions"].update(lerobot="0.5.0"), "lerobot: 0.5.0 then, 0.6"),
        (lambda lock: lock["versions"].update(lerobot="0.5.0"), "pip install lerobot==0.5.0"),
        (lambda lock: lock["order"].update(version=0), "version: 0 then, 1 now"),
        (lambda lock: lock["statistics"]["arm"].update(action="0"), "statistics of group arm.action: 0 then, "),
        (lambda lock: lock.update(lock=2), "found `lock: 2`, expected 1"),
        (lambda lock: lock.pop("sources"), "it is damaged"),
        (lambda lock: lock["sources"]["arm"].update(settings=None), "it is damaged"),
    ],
    ids=["package", "remedy", "schedule", "statistics", "newer", "damaged", "damaged inside"],
)
def test_each_change_beside_the_file_is_named(
    mix: Path, change: Callable[[dict[str, Any]], Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(mix.parent / "mixture.lock", change)
    assert told in refused(mix, capsys)


def test_another_revision_is_named_where_both_are_known(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The commits are those of downloads; what `revision` asks for says nothing of a folder that is there."""
    downloaded = mix.parent / "snapshots" / ("a" * 40)
    downloaded.parent.mkdir()
    shutil.copytree(mix.parent / "data" / "arm", downloaded)
    edit(mix.parent / "mixture.lock", lambda lock: lock["sources"]["arm"].update(revision="b" * 40))
    edit(mix, of_datasets(lambda sources: sources[0].update(root=str(downloaded), name="arm")))
    assert f"source 'arm': revision: {'b' * 40} then, {'a' * 40} now" in refused(mix, capsys)
    edit(mix, of_datasets(lambda sources: sources[0].update(root=str(mix.parent / "data" / "arm"), revision="v2")))
    assert locked(mix) == 0  # a folder of the same content


STEP = """
from robomix.mixture.transforms import DatasetTransformStep, register_dataset_transform

@register_dataset_transform("{name}")
class Scale(DatasetTransformStep):
    def __call__(self, sample):
        return sample | {{"action": sample["action"] * FACTOR}}

FACTOR = 2.0
"""


def test_another_program_text_of_a_transform_is_named(
    mix: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same settings in the file: what the steps do is in none of them."""
    module = mix.parent / "steps_of_the_lock.py"
    module.write_text(STEP.format(name="scaled_by_the_lock"))
    monkeypatch.syspath_prepend(str(mix.parent))
    step = {"type": f"{module.stem}:scaled_by_the_lock"}
    edit(mix, of_datasets(lambda sources: sources[0].update(transforms=[step])))
    assert main(["train", f"--config_path={mix}", "--lock"]) == 0
    assert locked(mix, "--dry_run") == 0
    module.write_text(module.read_text().replace("2.0", "3.0"))
    linecache.checkcache()
    error = refused(mix, capsys)
    assert "source 'arm': transforms_program: " in error
    assert "crane" not in error


def test_settings_without_an_effect_are_no_change(mix: Path) -> None:
    edit(mix, lambda settings: settings["dataset"].update(image_transforms={"enable": False, "max_num_transforms": 1}))
    assert locked(mix) == 0


def test_a_name_of_a_lock_that_is_empty_does_not_train_unlocked(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"--config_path={mix}", "--locked=", f"--output_dir={mix.parent / 'out'}"]) == 2
    assert "--locked= names no file" in capsys.readouterr().err
    assert not (mix.parent / "out").exists()


def test_a_lock_that_is_not_there_says_how_to_get_one(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mix.parent / "mixture.lock").rename(mix.parent / "other.lock")
    assert "writes one without training" in refused(mix, capsys)
    assert "Leave out either" in refused(mix, capsys, "--lock")
    assert locked(mix, f"--locked={mix.parent / 'other.lock'}") == 0


def test_a_resumed_run_can_be_held_to_the_lock_of_its_checkpoint(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, parts = mix.parent / "whole", mix.parent / "parts"
    assert main(["train", f"--config_path={mix}", f"--output_dir={whole}", "--steps=4"]) == 0
    assert main(["train", f"--config_path={mix}", f"--output_dir={parts}"]) == 0
    resume = ["train", "--resume=true", f"--output_dir={parts}", "--locked", "--steps=4"]
    assert main([*resume, "--dataset.datasets.0.loss_weight=2"]) == 2
    assert "source 'arm': loss_weight: the default then, 2 now" in capsys.readouterr().err
    assert main(resume) == 0
    assert_same_parameters(whole / "checkpoints" / "last", parts / "checkpoints" / "last")

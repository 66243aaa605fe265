"""Checkpoints that are damaged, cannot be written, or are not what a command takes them for: an error, no traceback."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from robomix.cli.main import main
from tests.training.test_loop import mixture_file


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = mixture_file(data, folder / "mix.json")
    assert main(["train", f"--config_path={config}", f"--output_dir={folder / 'out'}", "--steps=2"]) == 0
    return folder / "out"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [cut, Path.unlink], ids=["cut", "gone"])
@pytest.mark.parametrize(
    "file",
    [
        "training_state/schedule.json",
        "training_state/training_step.json",
        "training_state/optimizer_state.safetensors",
        "training_state/optimizer_param_groups.json",
        "training_state/rng_state.safetensors",
    ],
)
def test_a_damaged_state_is_named(
    run: Path, file: str, damage: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(run, tmp_path / "out", symlinks=True))
    damage(out / "checkpoints" / "last" / file)
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 2
    error = capsys.readouterr().err
    assert "training_state" in error
    assert "checkpoint" in error


@pytest.mark.parametrize("text", ["[1, 2]", "{}", '{"sources": [{}]}', "\udcff"])
def test_a_schedule_of_another_shape_is_damaged(
    run: Path, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(run, tmp_path / "out", symlinks=True))
    schedule = out / "checkpoints" / "last" / "training_state" / "schedule.json"
    schedule.write_text(text, errors="surrogateescape")
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 2
    assert "schedule.json is damaged" in capsys.readouterr().err


def test_damaged_weights_are_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = Path(shutil.copytree(run, tmp_path / "out", symlinks=True))
    for file in (out / "checkpoints" / "last").resolve().rglob("model.safetensors"):
        file.write_bytes(b"")
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 2
    assert "with the weights in" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_written_is_an_error_that_leaves_nothing_half(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(run, tmp_path / "out", symlinks=True))
    (out / "checkpoints" / "000004").write_text("a file where a folder is to be")
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 2
    assert "cannot write the checkpoint" in capsys.readouterr().err
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["000002", "000004", "last"]
    assert (out / "checkpoints" / "last").resolve().name == "000002"


@pytest.mark.parametrize("names", [("..", "b"), ("mixture.json", "b"), ("a/b", "a--b"), ("x" * 300, "b")])
def test_groups_that_cannot_be_folders_are_refused_before_training(
    data: Path, names: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = mixture_file(data, tmp_path / "mix.json")
    settings = json.loads(config.read_text())
    for source, name in zip(settings["dataset"]["datasets"], names, strict=True):
        source["group"] = name
    config.write_text(json.dumps(settings))
    out = tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=1"]) == 2
    assert f"the normalization group {names[0]!r} cannot have a folder" in capsys.readouterr().err
    assert not out.exists()


def test_sources_that_are_told_apart_need_names_that_can_be_folders(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [{"root": str(data / "arm"), "name": name} for name in ("a/b", "a--b")]
    config = mixture_file(data, tmp_path / "mix.json", dataset={"condition_on": "source", "datasets": sources})
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", "--steps=1"]) == 2
    error = capsys.readouterr().err
    assert "the source 'a/b' cannot have a folder named 'a--b', which is another one's too" in error
    assert "Give it another `name`" in error


def test_a_policy_path_with_several_groups_says_which_there_are(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = run / "checkpoints" / "last" / "pretrained_model"
    flags = [f"--policy.path={trained}", f"--dataset.root={data / 'arm'}", f"--output_dir={tmp_path / 'out'}"]
    assert main(["train", *flags, "--steps=1"]) == 2
    assert "a folder for each normalization group: arm, crane" in capsys.readouterr().err


def test_a_policy_that_learns_from_rewards_asks_for_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--policy.type=tdmpc", "--policy.device=cpu", f"--output_dir={tmp_path / 'out'}", "--steps=1"]
    assert main(["train", f"--dataset.root={data / 'arm'}", *flags]) == 2
    assert "the mixture has no 'next.reward'" in capsys.readouterr().err


def test_a_policy_that_fails_to_build_says_why(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--policy.type=gaussian_actor", "--policy.device=cpu", f"--output_dir={tmp_path / 'out'}", "--steps=1"]
    assert main(["train", f"--dataset.root={data / 'arm'}", *flags]) == 2
    assert "policy 'gaussian_actor' cannot be built for this mixture" in capsys.readouterr().err

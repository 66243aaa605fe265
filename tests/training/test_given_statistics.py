"""A training with statistics from files: they are what the checkpoint normalizes with, and a resumed run keeps them."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from robomix.cli.main import main
from tests.training.test_loop import mixture_file


@pytest.fixture
def run(data: Path, tmp_path: Path) -> list[str]:
    """The command line of a training with the statistics that `robomix stats` has written."""
    file = mixture_file(data, tmp_path / "mix.json", steps=2, save_freq=1, log_freq=0)
    assert main(["stats", str(file), f"--out={tmp_path / 'stats'}"]) == 0
    return ["train", f"--config_path={file}", f"--dataset.stats={tmp_path / 'stats'}"]


def edit(file: Path, mean: float) -> None:
    content = json.loads(file.read_text())
    content["action"]["mean"][0] = mean
    file.write_text(json.dumps(content))


def test_given_statistics_go_into_the_checkpoint_of_their_group(run: list[str], tmp_path: Path) -> None:
    edit(tmp_path / "stats/arm/meta/stats.json", 0.625)
    assert main([*run, f"--output_dir={tmp_path / 'out'}"]) == 0
    folder = tmp_path / "out/checkpoints/last/pretrained_model/arm"
    saved = load_file(next(folder.glob("policy_preprocessor_*normalizer*.safetensors")))
    assert saved["action.mean"][0] == 0.625


def test_a_resumed_run_refuses_statistics_that_have_changed(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*run, f"--output_dir={tmp_path / 'out'}"]) == 0
    resume = ["train", "--resume=true", f"--output_dir={tmp_path / 'out'}", "--steps=3"]
    edit(tmp_path / "stats/crane/meta/stats.json", 0.625)
    assert main(resume) == 2
    assert "with other statistics: those of `dataset.stats` have changed" in capsys.readouterr().err


def test_statistics_that_do_not_exist_name_the_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = mixture_file(data, tmp_path / "mix.json")
    arguments = [f"--config_path={file}", "--dataset.stats=nowhere", f"--output_dir={tmp_path / 'out'}"]
    assert main(["train", *arguments]) == 2
    assert "`robomix stats mix.yaml --out nowhere` computes them" in capsys.readouterr().err

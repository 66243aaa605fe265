"""`robomix verify` and `robomix plan`: exit codes, what they print, and that they verify the loader of a training."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from robomix.cli.main import main
from robomix.training.build import build_data
from tests.fixtures import write_v30
from tests.training.test_loop import SMALL


@pytest.fixture
def mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mixture of two small datasets."""
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    for name in ("one", "two"):
        write_v30(tmp_path / name, lengths=(6, 5), robot_type=name)
    return write(tmp_path / "mix.yaml")


def write(file: Path, **settings: Any) -> Path:
    block = {"datasets": [{"root": str(file.parent / name)} for name in ("one", "two")]}
    file.write_text(yaml.safe_dump({"dataset": block, "batch_size": 4, "num_workers": 0} | settings))
    return file


def test_a_loader_that_is_right_is_told_so(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(mix), "30", "--ranks=2"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "32 samples, 30 rounded up to whole batches, 4 batches of 8 on 2 ranks with 0 workers each" in printed
    for title in ("Shares of the samples", "A sample", "Numbers drawn", "What was drawn", "Tasks", "Loading", "Checks"):
        assert title in printed


def test_something_off_ends_with_1_and_errors_with_2(
    mix: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_seed_each_time(*args: Any, batch_size: int, seed: int, **settings: Any) -> Any:
        mixture, schedule = build_data(*args, batch_size=batch_size, seed=seed)
        schedule._table[:] = 0  # draws one source alone
        return mixture, schedule

    with monkeypatch.context() as patch:
        patch.setattr("robomix.tools.verify.subject.build_data", other_seed_each_time)
        assert main(["verify", str(mix), "30", "--ranks=2", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert "exact shares" in [check["name"] for check in record["checks"] if check["verdict"] == "off"]
    for flag in ("--ranks=0", "--workers=-1", "--batch_size=0", "--seed=-1"):
        assert main(["verify", str(mix), "30", flag]) == 2
        assert f"{flag.split('=')[0]}: found" in capsys.readouterr().err
    assert main(["verify", str(mix), "0"]) == 2
    assert main(["verify", str(write(mix, batch_size="many")), "1"]) == 2
    assert "mix.yaml: batch_size: found 'many'" in capsys.readouterr().err
    assert main(["verify", str(mix.parent / "none.yaml"), "1"]) == 2


def test_a_policys_windows_and_the_files_settings_are_those_of_a_training(
    mix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mix.parent / "outputs").mkdir()
    write(mix, policy=SMALL, seed=7, output_dir=str(mix.parent / "outputs"))  # of a run that has been
    assert main(["verify", str(mix), "16", "--ranks=2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    features = {feature["key"]: feature for feature in record["features"]}
    assert features["action"]["shape"] == [4, 2]  # chunk_size
    assert (record["seed"], record["batch_size"], record["batches"]) == (7, 8, 2)


def test_a_plan_sets_values_of_alpha_side_by_side(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(mix.parent.iterdir())
    words = ["plan", str(mix), "--steps=100", "--batch=11", "--alpha", "0", "1", "--seconds=0.01"]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["alpha"] for one in record["sweep"]] == [0, 1]
    assert [source["epochs"] for source in record["sweep"][0]["sources"]] == [50, 50]
    assert record["loading_s"] == pytest.approx(1100 / record["loading"]["samples_per_s"])
    assert record["dataset_bytes"] > 1000 < record["cache_bytes"]
    assert (record["trial"], record["no_trial"]) == (None, "the file names no policy")
    assert main(words) == 0
    assert "1,100 samples" in capsys.readouterr().out
    assert sorted(mix.parent.iterdir()) == sorted({*before, mix.parent / "cache"})
    assert main(["plan", str(mix), "--steps=0"]) == 2
    assert main(["plan", str(mix), "--alpha", "-1"]) == 2


def test_a_plan_tries_the_policy(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(mix, policy=SMALL, save_freq=40)
    assert main(["plan", str(mix), "--steps=100", "--seconds=0.01", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    trial = record["trial"]
    assert trial["steps"] >= 2
    assert trial["weights_bytes"] >= 4 * trial["parameters"]
    assert trial["optimizer_bytes"] >= 8 * trial["parameters"] * 0.5  # two moments of what was trained
    assert trial["checkpoint_bytes"] == trial["weights_bytes"] + trial["optimizer_bytes"]
    assert record["checkpoints"] == 3
    assert record["expected_s"] == max(record["loading_s"], 100 * trial["step_s"])

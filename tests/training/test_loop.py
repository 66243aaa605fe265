"""Training end to end on small datasets: it learns, saves LeRobot checkpoints, stops, and resumes bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robomix.cli.main import main
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.training.model_folders import weights_folder

SMALL = {
    "type": "act",
    "device": "cpu",
    "pretrained_backbone_weights": None,
    "dim_model": 32,
    "n_heads": 2,
    "dim_feedforward": 32,
    "n_encoder_layers": 1,
    "n_vae_encoder_layers": 1,
    "latent_dim": 4,
    "chunk_size": 4,
    "n_action_steps": 2,
    "optimizer_lr": 1e-3,
}


def write(path: Path, width: int, scale: float, fps: int, seed: int, task: str) -> None:
    """A robot whose action is a fixed linear function of its state: something to learn."""
    rng = np.random.default_rng(seed)
    gains = rng.normal(size=(width, width))
    features = {
        key: Feature("numeric", "float32", (width,))
        for key in ("observation.state", "observation.environment_state", "action")
    }
    with DatasetWriter(path, fps=fps, features=features, robot_type=path.name) as writer:
        for length in (23, 31):
            state = np.cumsum(rng.normal(0, 0.1, size=(length, width)), axis=0)  # slow, so that a chunk can be foreseen
            columns = {
                "observation.state": state * scale,
                "observation.environment_state": state * scale,
                "action": state @ gains * scale,
            }
            writer.add_episode({key: value.astype(np.float32) for key, value in columns.items()}, task)


def write_two(folder: Path) -> Path:
    """The datasets `arm` (3 wide, 10 fps) and `crane` (5 wide, 30 fps) in `folder`."""
    write(folder / "arm", 3, 1.0, 10, 0, "pick")
    write(folder / "crane", 5, 100.0, 30, 1, "lift")
    return folder


def mixture_file(data: Path, path: Path, **training: Any) -> Path:
    settings = {
        "dataset": {
            "normalize_by": "source",
            "datasets": [{"root": str(data / "arm")}, {"root": str(data / "crane"), "weight": 2.0}],
        },
        "policy": SMALL,
        "batch_size": 8,
        "steps": 12,
        "log_freq": 4,
        "save_freq": 6,
        "num_workers": 0,
    }
    path.write_text(json.dumps(settings | training))
    return path


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_file(weights_folder(checkpoint) / "model.safetensors")


def assert_same_parameters(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert not different


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 12 steps with a checkpoint in the middle."""
    folder = tmp_path_factory.mktemp("run")
    config = mixture_file(data, folder / "mix.json")
    assert main(["train", f"--config_path={config}", f"--output_dir={folder / 'out'}"]) == 0
    return folder / "out"


def test_metrics_tell_sources_apart(run: Path) -> None:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [4, 8, 12]
    assert records[-1]["samples_per_source"] == {"arm": 32, "crane": 64}
    assert records[-1]["loss_per_source"].keys() == {"arm", "crane"}
    assert records[-1]["epochs_per_source"]["arm"] == pytest.approx(32 / 54)
    assert 0 <= records[-1]["data_wait_share"] <= 1


def test_the_checkpoint_holds_a_plain_policy_folder_per_group_and_shares_weights_that_are_not_cut(run: Path) -> None:
    pretrained = run / "checkpoints" / "last" / "pretrained_model"
    for group in ("arm", "crane"):
        names = {path.name for path in (pretrained / group).iterdir()}
        assert {"config.json", "model.safetensors", "policy_preprocessor.json", "policy_postprocessor.json"} <= names
    shared = run / "checkpoints" / "last" / "training_state" / "policy" / "model.safetensors"
    assert os.path.samefile(shared, pretrained / "crane" / "model.safetensors")
    assert not os.path.samefile(shared, pretrained / "arm" / "model.safetensors")
    record = json.loads((pretrained / "mixture.json").read_text())
    assert [row["name"] for row in record["table"]] == ["arm", "crane"]
    assert record["groups"] == {"arm": "arm", "crane": "crane"}
    assert "pretrained_path" not in (pretrained / "arm" / "config.json").read_text() or (
        json.loads((pretrained / "arm" / "config.json").read_text())["pretrained_path"] is None
    )


def test_resuming_gives_the_parameters_of_the_uninterrupted_run(data: Path, run: Path, tmp_path: Path) -> None:
    """Stopped at step 6 by the length of the run, continued to 12: every parameter equal to the last bit."""
    config = mixture_file(data, tmp_path / "mix.json")
    out = tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=6"]) == 0
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=12"]) == 0
    assert_same_parameters(run / "checkpoints" / "last", out / "checkpoints" / "last")
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [4, 6, 8, 12]


def test_workers_do_not_change_the_training(data: Path, run: Path, tmp_path: Path) -> None:
    config = mixture_file(data, tmp_path / "mix.json", num_workers=2)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}"]) == 0
    assert_same_parameters(run / "checkpoints" / "last", tmp_path / "out" / "checkpoints" / "last")


def test_a_terminated_run_writes_a_checkpoint_and_continues_to_the_same_end(
    data: Path, run: Path, tmp_path: Path
) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json", steps=400, num_workers=1), tmp_path / "out"
    command = [sys.executable, "-m", "robomix", "train", f"--config_path={config}", f"--output_dir={out}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (out / "checkpoints").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped at step" in errors
    stopped_at = int((out / "checkpoints" / "last").resolve().name)
    assert stopped_at < 400
    assert_goes_on_as_if_never_interrupted(config, out)


def assert_goes_on_as_if_never_interrupted(config: Path, out: Path) -> None:
    """Resumes the run in `out` for three steps, and compares with a run that went there without a stop."""
    goal = int((out / "checkpoints" / "last").resolve().name) + 3
    assert main(["train", "--resume=true", f"--output_dir={out}", f"--steps={goal}"]) == 0
    assert int((out / "checkpoints" / "last").resolve().name) == goal
    straight = out.parent / "straight"
    flags = [f"--steps={goal}", "--num_workers=0", "--save_freq=0"]
    assert main(["train", f"--config_path={config}", f"--output_dir={straight}", *flags]) == 0
    assert_same_parameters(straight / "checkpoints" / "last", out / "checkpoints" / "last")


def wait_for(condition: Any, process: subprocess.Popen) -> None:
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.kill()
    raise AssertionError("waited a minute in vain")


def test_a_killed_run_leaves_whole_checkpoints_and_continues_to_the_same_end(data: Path, tmp_path: Path) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json", steps=4000, save_freq=1), tmp_path / "out"
    command = [sys.executable, "-m", "robomix", "train", f"--config_path={config}", f"--output_dir={out}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list((out / "checkpoints").glob("0*"))) > 3, process)
    process.kill()
    process.wait()
    for checkpoint in (out / "checkpoints").glob("0*"):
        assert (checkpoint / "training_state" / "schedule.json").is_file()
        assert weights(checkpoint)
    assert_goes_on_as_if_never_interrupted(config, out)


def test_resuming_on_changed_data_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=2"]) == 0
    assert main(["train", "--resume=true", f"--output_dir={out}", "--seed=5", "--steps=4"]) == 2
    assert "seed: 1000 then, 5 now" in capsys.readouterr().err


def test_resuming_with_other_normalization_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=2"]) == 0
    again = ["train", "--resume=true", f"--output_dir={out}", "--steps=4", "--dataset.normalize_by=global"]
    assert main(again) == 2
    assert "other normalization groups" in capsys.readouterr().err


def test_a_dry_run_prints_the_table_and_trains_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--dry_run"]) == 0
    printed = capsys.readouterr().out
    assert "33.33%" in printed
    assert "66.67%" in printed
    assert not out.exists()


def test_training_lowers_the_loss_of_every_source(data: Path, tmp_path: Path) -> None:
    config = mixture_file(data, tmp_path / "mix.json", steps=120, log_freq=20, save_freq=0, batch_size=32)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}"]) == 0
    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    for name in ("arm", "crane"):
        assert records[-1]["loss_per_source"][name] < 0.8 * records[0]["loss_per_source"][name]


def test_reports_go_to_wandb_when_asked(data: Path, tmp_path: Path) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json", steps=2, log_freq=1), tmp_path / "out"
    wandb = ["--wandb.enable=true", "--wandb.mode=offline", "--wandb.project=tests"]
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", *wandb]) == 0
    recorded = next((out / "wandb").glob("offline-run-*/*.wandb"))
    patience = time.monotonic() + 60  # a process of wandb's own writes the file, and may do so after the run's end
    while b"loss_per_source/crane" not in recorded.read_bytes() and time.monotonic() < patience:
        time.sleep(0.1)
    assert b"loss_per_source/crane" in recorded.read_bytes()

"""The loss on held-out episodes: every frame once, the same whenever it is measured, and no trace in the training."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from robomix.cli.main import main
from robomix.formats import open_dataset
from robomix.mixture.dataset import Mixture
from robomix.mixture.resolve import streams
from robomix.mixture.schedule import Schedule
from robomix.mixture.split import split
from robomix.training.command_line import parse_train_args
from robomix.training.config import TrainConfig
from robomix.training.lerobot import Accelerator, make_pre_post_processors
from robomix.training.runner import load_policy
from robomix.training.signals import StopRequest
from robomix.training.validation import Losses, Validator
from tests.memory import ArrayDataset, mixture, source
from tests.training.test_config import ACT, refusal
from tests.training.test_loop import SMALL, assert_same_parameters, mixture_file

HELD_OUT = {"arm": 1, "crane": 0}
POLICIES = {
    "act": SMALL | {"use_vae": False},
    "act with a latent": SMALL,
    "bc": {"type": "bc", "device": "cpu", "head": "deterministic", "hidden_dims": [16], "chunk_size": 3},
}
DIFFUSION = {
    "type": "diffusion",
    "device": "cpu",
    "down_dims": [16, 32],
    "horizon": 8,
    "n_action_steps": 4,
    "diffusion_step_embed_dim": 16,
    "crop_shape": None,
    "optimizer_lr": 0.0,
}


def split_file(data: Path, path: Path, **training: Any) -> Path:
    """The mixture of `test_loop`, of which one of two episodes of each robot is held out."""
    sources = [
        {"root": str(data / name), "weight": weight, "val_episodes": [HELD_OUT[name]]}
        for name, weight in (("arm", 1.0), ("crane", 2.0))
    ]
    block = {"normalize_by": "source", "datasets": sources}
    return mixture_file(data, path, **{"dataset": block, "val_freq": 4} | training)


def train(config: Path, out: Path, *flags: str) -> list[dict[str, Any]]:
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", *flags]) == 0
    return records(out)


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def validations(of: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {record["step"]: record["val"] for record in of if "val" in record}


def frame_by_frame(folder: Path, dataset: Path, episode: int) -> float:
    """The loss over all frames of an episode: a plain loop over LeRobot's policy and processors as they were saved."""
    policy = load_policy(folder, "cpu")
    policy.eval()
    preprocessor, _ = make_pre_post_processors(policy.config, pretrained_path=str(folder))
    recorded = open_dataset(dataset)
    rows = slice(recorded.episodes.starts[episode], recorded.episodes.starts[episode + 1])
    columns = {key: np.array(recorded.column(key)[rows]) for key in recorded.features}
    width, steps = columns["action"].shape[1], policy.config.chunk_size
    features = {**policy.config.input_features, **policy.config.output_features}
    total, count = 0.0, 0
    for t in range(len(columns["action"])):
        frame = {key: values[t : t + 1] for key, values in columns.items()}
        chunk = columns["action"][t : t + steps]  # shorter at the end of the episode
        frame["action"] = chunk[None]
        padded = {k: np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, features[k].shape[0] - width)]) for k, v in frame.items()}
        inputs = preprocessor({key: torch.from_numpy(value) for key, value in padded.items()})
        with torch.no_grad():
            predicted = policy.predict_action_chunk({k: v for k, v in inputs.items() if k.startswith("observation")})
        difference = predicted[0, : len(chunk), :width] - inputs["action"][0, :, :width]
        error = difference.abs() if policy.config.type == "act" else difference**2
        total += float(error.mean(-1).sum())
        count += len(chunk)
    return total / count


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_the_loss_is_that_of_a_plain_loop_over_the_held_out_frames(
    policy: dict[str, Any], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches of 7 do not divide 31 and 23 frames. Of ACT it is the error of the actions it would take."""
    config = split_file(data, tmp_path / "mix.json", policy=policy, batch_size=7)
    found = validations(train(config, tmp_path / "out"))
    assert list(found) == [4, 8, 12]
    folder = tmp_path / "out" / "checkpoints" / "last" / "pretrained_model"
    expected = {name: frame_by_frame(folder / name, data / name, e) for name, e in HELD_OUT.items()}
    assert found[12]["loss_per_source"] == pytest.approx(expected, rel=1e-4)
    assert found[12]["loss"] == pytest.approx(expected["arm"] / 3 + expected["crane"] * 2 / 3, rel=1e-4)
    assert min(expected.values()) < found[12]["loss_of_frames"] < max(expected.values())
    printed = capsys.readouterr().out
    assert "all frames alike" in printed
    assert f"{found[12]['loss']:.4f}" in printed


def test_a_training_with_validation_is_bit_equal_to_one_without(data: Path, tmp_path: Path) -> None:
    """Of a policy whose training draws a latent and drops out, with validations between all steps."""
    runs = {}
    for freq in (0, 1):
        config = split_file(data, tmp_path / f"{freq}.json", val_freq=freq)
        runs[freq] = train(config, tmp_path / str(freq))
    assert_same_parameters(*(tmp_path / name / "checkpoints" / "last" for name in ("0", "1")))
    assert not validations(runs[0])
    assert list(validations(runs[1])) == list(range(1, 13))
    losses = [[record["loss"] for record in run if "loss" in record] for run in runs.values()]
    assert losses[0] == losses[1]


def test_a_resumed_run_validates_as_the_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    config = split_file(data, tmp_path / "mix.json")
    straight = validations(train(config, tmp_path / "straight"))
    train(config, tmp_path / "out", "--steps=6")
    assert main(["train", "--resume=true", f"--output_dir={tmp_path / 'out'}", "--steps=12"]) == 0
    resumed = validations(records(tmp_path / "out"))
    assert resumed.keys() == {4, 6, 8, 12}  # 6 was the end of the first part
    assert {step: resumed[step] for step in straight} == straight


def test_equal_weights_give_equal_numbers_though_the_loss_draws_noise(data: Path, tmp_path: Path) -> None:
    """A diffusion with a learning rate of 0: its noise is that of the batch, not of the step."""
    config = split_file(data, tmp_path / "mix.json", policy=DIFFUSION, val_freq=1, steps=3)
    found = validations(train(config, tmp_path / "out"))
    assert found[1] == found[2] == found[3]


@pytest.mark.slow
def test_two_processes_with_workers_find_the_loss_of_one_without(data: Path, tmp_path: Path) -> None:
    """With a learning rate of 0, so that both measure the same weights. Of seven batches one process reads four."""
    config = split_file(
        data, tmp_path / "mix.json", policy=SMALL | {"optimizer_lr": 0.0}, steps=2, save_checkpoint=False
    )
    alone = validations(train(config, tmp_path / "one"))
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--standalone",
        "-m",
        "robomix.train",
    ]
    launch += [f"--config_path={config}", f"--output_dir={tmp_path / 'two'}", "--num_workers=1"]
    ended = subprocess.run(launch, check=True, timeout=300, capture_output=True, text=True)
    assert "and 1 more ranks" in ended.stderr
    both = validations(records(tmp_path / "two"))
    assert both[2]["loss"] == pytest.approx(alone[2]["loss"], rel=1e-6)
    assert both[2]["loss_per_source"] == pytest.approx(alone[2]["loss_per_source"], rel=1e-6)


def test_a_dry_run_prints_what_is_held_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = split_file(data, tmp_path / "mix.json")
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", "--dry_run"]) == 0
    printed = capsys.readouterr().out
    assert "held-out" in printed
    rows = [[cell.strip() for cell in line.split("│")] for line in printed.splitlines() if line.startswith("│")]
    assert [[row[1], *row[-3:-1]] for row in rows] == [["arm", "31", "1"], ["crane", "23", "1"]]


def test_losses_by_hand() -> None:
    """Source a: 2 / 4; b has nothing held out; c: 6 / 2 and half a regularizer on each of its 2 samples."""
    losses = Losses(
        errors=np.array([2.0, 0, 6]),
        weights=np.array([4.0, 0, 2]),
        extra=np.array([0.0, 0, 1]),
        samples=np.array([6.0, 0, 2]),
    )
    assert losses.of_sources[[0, 2]].tolist() == [0.5, 3.5]
    assert losses.of_frames == pytest.approx(8 / 6 + 1 / 8)
    assert losses.weighted(np.array([0.25, 0.5, 0.25])) == pytest.approx((0.5 + 3.5) / 2)
    assert losses.weighted(np.array([0.75, 0.0, 0.25])) == pytest.approx(0.75 * 0.5 + 0.25 * 3.5)
    assert losses.weighted(np.array([0.0, 1.0, 0.0])) is None


class OneNumber(nn.Module):
    """As a policy of one's own: its loss is one number for a batch, here the mean action."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = nn.Identity()
        self.policy.config = type("Config", (), {"type": "one's own"})()
        self.was_training: list[bool] = []

    def forward(self, batch: dict[str, Any], _: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        self.was_training.append(self.training)
        return torch.zeros(0), torch.zeros(0), batch["action"].mean()


def two_sources() -> Mixture:
    """Actions 0 to 9 and 100 to 119, in episodes of five; the first of each is held out, of `b` the second too."""
    numbers = {"a": np.arange(10.0), "b": np.arange(100.0, 120)}
    listed = {"a": [0], "b": [0, 1]}
    parts = [
        source(ArrayDataset({"action": n[:, None]}, [5] * (len(n) // 5)), name, val_episodes=listed[name])
        for name, n in numbers.items()
    ]
    return mixture(*split(parts, 0.0))


def validator_of(config: TrainConfig, made: Mixture) -> Validator:
    schedule = Schedule(streams(made.sources, 0.0), seed=0, batch_size=4)
    return Validator(config, made, schedule, Accelerator(cpu=True))


def measured(learner: OneNumber, stop: StopRequest) -> tuple[Validator, dict[str, Any] | None]:
    config = parse_train_args([*ACT, "--batch_size=3", "--num_workers=0"])
    validator = validator_of(config, two_sources())
    groups = torch.zeros(2, dtype=torch.long)
    return validator, validator(learner, lambda batch, groups: batch, groups, 7, stop)


def test_a_policy_with_one_number_for_a_batch_is_told_apart_by_source() -> None:
    """No batch holds frames of two sources, and the shorter last one of a source counts by its frames."""
    learner = OneNumber()
    _, record = measured(learner, StopRequest())
    assert record is not None
    assert record["step"] == 7
    assert record["val"]["loss_per_source"] == {"a": 2.0, "b": 104.5}
    assert record["val"]["loss"] == pytest.approx((2.0 + 104.5) / 2)
    assert record["val"]["loss_of_frames"] == pytest.approx((5 * 2.0 + 10 * 104.5) / 15)
    assert not any(learner.was_training)


def test_a_stop_ends_a_validation_without_a_number() -> None:
    stop = StopRequest()
    stop.received = signal.SIGTERM
    learner = OneNumber()
    validator, record = measured(learner, stop)
    assert record is None
    assert validator.table() is None
    assert not learner.was_training


def test_validations_come_every_val_freq_steps_and_at_the_end() -> None:
    config = parse_train_args([*ACT, "--val_freq=4", "--steps=10"])
    validator = validator_of(config, two_sources())
    assert [step for step in range(1, 11) if validator.is_due(step)] == [4, 8, 10]
    config.val_freq = 0
    assert not any(validator.is_due(step) for step in range(1, 11))
    config.val_freq = 4
    whole = mixture(source(ArrayDataset({"action": np.zeros((5, 1))}, [5])))
    assert not validator_of(config, whole).is_due(4)


def test_lerobots_settings_of_held_out_episodes() -> None:
    assert parse_train_args([*ACT, "--eval_steps=50"]).val_freq == 50
    assert parse_train_args([*ACT, "--eval_steps=0", "--val_freq=7"]).val_freq == 7
    assert "is LeRobot's name of val_freq" in refusal(*ACT, "--eval_steps=5", "--val_freq=7")
    assert "validation takes all held-out frames" in refusal(*ACT, "--max_eval_samples=100")
    assert "val_freq: found -1, expected 0 or more" in refusal(*ACT, "--val_freq=-1")

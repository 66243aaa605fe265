"""`robomix train --policy.type=bc` on two robots of different width: it learns, and resumes bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.training.runner import PolicyRunner
from tests.training.test_loop import assert_same_parameters, mixture_file, write_two

POLICY = {"type": "bc", "device": "cpu", "hidden_dims": [64], "rnn_hidden_dim": 16, "optimizer_lr": 3e-3}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"n_obs_steps": 2, "chunk_size": 3, "n_action_steps": 2, "lr_decay_steps": [4, 8]},
    "rnn": {"rnn_type": "LSTM", "rnn_horizon": 5, "pad_sequences": False},
}
every_kind = pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two(tmp_path_factory.mktemp("data"))


@every_kind
def test_resuming_gives_the_parameters_of_the_uninterrupted_run(
    settings: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    config = mixture_file(data, tmp_path / "mix.json", policy=POLICY | settings)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    assert main(["train", f"--config_path={config}", f"--output_dir={straight}"]) == 0
    assert main(["train", f"--config_path={config}", f"--output_dir={resumed}", "--steps=6"]) == 0
    assert main(["train", "--resume=true", f"--output_dir={resumed}", "--steps=12"]) == 0
    assert_same_parameters(straight / "checkpoints" / "last", resumed / "checkpoints" / "last")


@every_kind
def test_training_lowers_the_loss_of_both_robots_and_the_policy_acts_for_each(
    settings: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    training = {"steps": 100, "log_freq": 20, "save_freq": 0, "batch_size": 32}
    config = mixture_file(data, tmp_path / "mix.json", policy=POLICY | settings | {"lr_decay_steps": []}, **training)
    out = tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 0
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for name in ("arm", "crane"):
        assert records[-1]["loss_per_source"][name] < records[0]["loss_per_source"][name] - 0.3
    for name, width in (("arm", 3), ("crane", 5)):
        runner = PolicyRunner(out / "checkpoints" / "last" / "pretrained_model" / name)
        state = np.zeros(width, dtype=np.float32)
        for _ in range(6):
            action = runner({"observation.state": state, "observation.environment_state": state})
            assert action.shape == (width,)
            assert np.isfinite(action).all()

"""A checkpoint is LeRobot's: its own evaluation command loads and runs it where robomix cannot be imported."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter

ACT = {
    "type": "act",
    "dim_model": 32,
    "n_heads": 2,
    "dim_feedforward": 32,
    "n_encoder_layers": 1,
    "chunk_size": 50,
    "n_action_steps": 50,
}
DIFFUSION = {
    "type": "diffusion",
    "down_dims": [16, 32],
    "horizon": 16,
    "n_action_steps": 8,
    "num_inference_steps": 2,
    "diffusion_step_embed_dim": 16,
}
WITHOUT_ROBOMIX = (
    "import sys; sys.modules['robomix'] = None; sys.argv[0] = 'lerobot-eval'; "
    "from lerobot.scripts.lerobot_eval import main; main()"
)


def write(path: Path, observation: dict[str, Feature], seed: int) -> None:
    """Something of the shape of PushT's observations and actions."""
    rng = np.random.default_rng(seed)
    features = observation | {"action": Feature("numeric", "float32", (2,))}
    with DatasetWriter(path, fps=10, features=features) as writer:
        for _ in range(2):
            columns: dict[str, Any] = {
                key: rng.integers(0, 256, (20, *f.shape), dtype=np.uint8)
                if f.is_camera
                else rng.uniform(0, 512, (20, *f.shape)).astype(np.float32)
                for key, f in features.items()
            }
            writer.add_episode(columns, "push the T onto its outline")


@pytest.mark.parametrize(
    ("policy", "observation", "environment"),
    [
        (
            ACT,
            {
                "observation.state": Feature("numeric", "float32", (2,)),
                "observation.environment_state": Feature("numeric", "float32", (16,)),
            },
            ["--env.obs_type=environment_state_agent_pos"],
        ),
        (
            DIFFUSION,
            {
                "observation.state": Feature("numeric", "float32", (2,)),
                "observation.image": Feature("camera", "uint8", (3, 96, 96), storage="image"),
            },
            ["--env.observation_height=96", "--env.observation_width=96"],
        ),
    ],
    ids=["act on state", "diffusion on images"],
)
def test_lerobot_eval_runs_a_checkpoint_without_robomix(
    policy: dict[str, Any], observation: dict[str, Feature], environment: list[str], tmp_path: Path
) -> None:
    for i, name in enumerate(("ours", "theirs")):
        write(tmp_path / name, observation, seed=i)
    shared = {"device": "cpu", "pretrained_backbone_weights": None}
    mix = {
        "dataset": {"datasets": [{"root": str(tmp_path / name)} for name in ("ours", "theirs")]},
        "policy": policy | shared,
        "batch_size": 4,
        "steps": 2,
        "num_workers": 0,
    }
    (tmp_path / "mix.json").write_text(json.dumps(mix))
    out = tmp_path / "out"
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={out}"]) == 0
    checkpoint = out / "checkpoints" / "last" / "pretrained_model"
    command = [
        *[sys.executable, "-c", WITHOUT_ROBOMIX, f"--policy.path={checkpoint}", "--policy.device=cpu"],
        *["--env.type=pusht", *environment, "--env.episode_length=60"],
        *["--eval.n_episodes=1", "--eval.batch_size=1", f"--output_dir={tmp_path / 'eval'}"],
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=None, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    info = json.loads((tmp_path / "eval" / "eval_info.json").read_text())
    assert info["overall"]["n_episodes"] == 1


def test_a_training_evaluates_in_its_environment_on_the_way(tmp_path: Path) -> None:
    observation = {
        "observation.state": Feature("numeric", "float32", (2,)),
        "observation.environment_state": Feature("numeric", "float32", (16,)),
    }
    write(tmp_path / "push", observation, seed=0)
    out = tmp_path / "out"
    flags = [f"--policy.{key}={value}" for key, value in ACT.items()]
    environment = ["--env.type=pusht", "--env.obs_type=environment_state_agent_pos", "--env.episode_length=30"]
    evaluation = ["--env_eval_freq=2", "--eval.n_episodes=1", "--eval.batch_size=1"]
    run = [f"--dataset.root={tmp_path / 'push'}", f"--output_dir={out}", "--policy.device=cpu", "--steps=2"]
    loading = ["--policy.pretrained_backbone_weights=null", "--num_workers=0", "--batch_size=4"]
    assert main(["train", *flags, *environment, *evaluation, *run, *loading]) == 0
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["eval"]["env"]["episodes"] == 1
    assert 0 <= records[-1]["eval"]["env"]["success"] <= 1
    assert list((out / "eval").rglob("*.mp4"))

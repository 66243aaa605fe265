"""A plain LeRobot policy: built, saved, loaded, trained and evaluated through LeRobot's own interfaces."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies import get_policy_class, make_policy, make_pre_post_processors

from lerobot_policy_bc import BCConfig, BCPolicy
from robomix.cli.main import main
from robomix.features import Feature
from tests.policies.small import bc_config, bc_policy, observation
from tests.training.small import meta_of
from tests.training.test_lerobot_eval import write

SMALL = {"type": "bc", "hidden_dims": [32], "rnn_hidden_dim": 16, "rnn_horizon": 5, "push_to_hub": False}
VECTORS = {
    "observation.state": Feature("numeric", "float32", (2,)),
    "observation.environment_state": Feature("numeric", "float32", (16,)),
}
PLUGIN = "--discover_packages_path=lerobot_policy_bc"
WITHOUT_ROBOMIX = "import sys; sys.modules['robomix'] = None; from lerobot.scripts.{0} import main; main()"


def lerobot(script: str, *flags: str) -> str:
    """What LeRobot's own command `script` says, where robomix cannot be imported."""
    command = [sys.executable, "-c", WITHOUT_ROBOMIX.format(script), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def stats(config: BCConfig) -> dict[str, dict[str, torch.Tensor]]:
    features = {**config.input_features, **config.output_features}
    generator = torch.Generator().manual_seed(5)
    draw = {key: torch.rand(feature.shape, generator=generator) + 0.5 for key, feature in features.items()}
    return {key: {"mean": x, "std": x + 1, "min": -x, "max": x + 2} for key, x in draw.items()}


@pytest.mark.parametrize("settings", [{}, {"rnn_type": "LSTM"}, {"chunk_size": 3, "n_obs_steps": 2}])
def test_a_saved_policy_acts_as_before_with_its_processors(settings: dict[str, Any], tmp_path: Path) -> None:
    policy = bc_policy(lr_decay_steps=[10], **settings)
    pre, post = make_pre_post_processors(policy.config, dataset_stats=stats(policy.config))
    for part in (policy, pre, post):
        part.save_pretrained(tmp_path)

    config = PreTrainedConfig.from_pretrained(tmp_path)
    assert config == policy.config
    loaded = get_policy_class(config.type).from_pretrained(tmp_path, config=config)
    assert isinstance(loaded, BCPolicy)
    assert not loaded.training
    loaded_pre, loaded_post = make_pre_post_processors(config, pretrained_path=str(tmp_path))
    for t in range(3):
        seen = observation(2, seed=t)
        torch.manual_seed(t)
        before = post(policy.select_action(pre(seen)))
        torch.manual_seed(t)
        torch.testing.assert_close(loaded_post(loaded.select_action(loaded_pre(seen))), before, rtol=0, atol=0)


def test_states_are_normalized_by_mean_and_deviation_and_actions_by_their_bounds() -> None:
    config = bc_config()
    of = stats(config)
    pre, post = make_pre_post_processors(config, dataset_stats=of)
    seen = {key: of[key]["mean"] + of[key]["std"] for key in config.input_features} | {"action": of["action"]["max"]}
    for key, value in pre(seen).items():
        if key in of:
            torch.testing.assert_close(value, torch.ones_like(value))
    torch.testing.assert_close(post(-torch.ones(1, 5)), of["action"]["min"][None])


def test_make_policy_takes_every_observation_a_dataset_has() -> None:
    meta = meta_of(state=3, environment=4, action=2)
    meta.features["observation.force"] = {"dtype": "float32", "shape": (2, 3), "names": None}
    policy = make_policy(BCConfig(device="cpu", push_to_hub=False), ds_meta=meta)
    assert policy.encoder.width == 3 + 4 + 6
    seen = {key: torch.randn(2, *feature.shape) for key, feature in policy.config.input_features.items()}
    first = policy.encoder(seen)
    for key in seen:
        assert not torch.equal(policy.encoder(seen | {key: seen[key] + 1}), first)


@pytest.mark.parametrize(
    "settings",
    [{}, {"n_obs_steps": 2, "chunk_size": 3}, {"rnn_type": "GRU", "rnn_horizon": 3}],
    ids=["mlp", "frames", "rnn"],
)
def test_cameras_of_different_sizes_are_seen_and_learned_from(settings: dict[str, Any]) -> None:
    sizes = {"observation.images.top": (3, 72, 80), "observation.images.wrist": (3, 66, 64)}
    features = {key: PolicyFeature(FeatureType.VISUAL, size) for key, size in sizes.items()}
    features["observation.state"] = PolicyFeature(FeatureType.STATE, (3,))
    crop = {"crop_shape": (64, 64), "spatial_softmax_num_keypoints": 4}
    policy = bc_policy(input_features=features, **crop, **settings)
    assert policy.encoder.width == 3 + 2 * 8
    frames = policy.config.observation_delta_indices
    lead = (2, len(frames)) if frames else (2,)
    batch = {key: torch.rand(*lead, *feature.shape) for key, feature in features.items()}
    loss, _ = policy(batch | {"action": torch.rand(2, policy.config.horizon, 5)})
    loss.backward()
    assert all(camera.backbone[0].weight.grad.abs().sum() > 0 for camera in policy.encoder.cameras)
    now = {key: torch.rand(2, *feature.shape) for key, feature in features.items()}
    assert policy.select_action(now).shape == (2, 5)
    for key in sizes:
        policy.reset()
        seen = policy.encoder(now)
        assert not torch.equal(policy.encoder(now | {key: torch.rand(2, *sizes[key])}), seen)


def test_robomix_trains_it_and_lerobot_eval_runs_it_without_robomix(tmp_path: Path) -> None:
    for i, name in enumerate(("experts", "novices")):
        write(tmp_path / name, VECTORS, seed=i)
    mix = {
        "dataset": {"datasets": [{"root": str(tmp_path / name)} for name in ("experts", "novices")]},
        "policy": SMALL | {"device": "cpu", "rnn_type": "LSTM", "lr_decay_steps": [3]},
        "batch_size": 4,
        "steps": 6,
        "num_workers": 0,
    }
    (tmp_path / "mix.json").write_text(json.dumps(mix))
    out = tmp_path / "out"
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={out}"]) == 0
    trained = out / "checkpoints" / "last" / "pretrained_model"
    environment = ["--env.type=pusht", "--env.obs_type=environment_state_agent_pos", "--env.episode_length=12"]
    size = [
        "--eval.n_episodes=2",
        "--eval.batch_size=2",
        "--eval.use_async_envs=false",
        f"--output_dir={tmp_path / 'eval'}",
    ]
    lerobot("lerobot_eval", f"--policy.path={trained}", "--policy.device=cpu", PLUGIN, *environment, *size)
    assert json.loads((tmp_path / "eval" / "eval_info.json").read_text())["overall"]["n_episodes"] == 2


def test_lerobot_train_trains_it_without_robomix(tmp_path: Path) -> None:
    write(tmp_path / "push", VECTORS, seed=0)
    out = tmp_path / "out"
    policy = [f"--policy.{key}={value}" for key, value in SMALL.items()]
    lerobot(
        "lerobot_train",
        *["--dataset.repo_id=me/push", f"--dataset.root={tmp_path / 'push'}", f"--output_dir={out}"],
        *[*policy, PLUGIN, "--policy.rnn_type=LSTM", "--policy.device=cpu", "--policy.lr_decay_steps=[1]"],
        *["--steps=2", "--batch_size=4", "--num_workers=0", "--save_freq=2"],
    )
    config = PreTrainedConfig.from_pretrained(out / "checkpoints" / "last" / "pretrained_model")
    assert isinstance(config, BCConfig)
    assert config.action_feature.shape == (2,)

"""A policy type that robomix knows nothing of is trained as LeRobot has it, and what that means is said, once."""

import json
from pathlib import Path

import pytest
from lerobot.configs.policies import PreTrainedConfig

from robomix.cli.main import main
from tests.training.test_robot_folder import MAIN, OWN, STATE, write_robots

VQBET = {
    "type": "vqbet",
    "device": "cpu",
    "n_obs_steps": 2,
    "n_action_pred_token": 2,
    "action_chunk_size": 3,
    "crop_shape": [24, 24],
    "pretrained_backbone_weights": None,
    "use_group_norm": True,
    "spatial_softmax_num_keypoints": 4,
    "n_vqvae_training_steps": 2,
    "vqvae_n_embed": 4,
    "vqvae_embedding_dim": 8,
    "vqvae_enc_hidden_dim": 8,
    "gpt_input_dim": 16,
    "gpt_output_dim": 16,
    "gpt_hidden_dim": 16,
    "gpt_n_layer": 1,
    "gpt_n_head": 2,
}


def test_a_policy_without_rules_is_trained_whole_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_robots(tmp_path)
    sources = [
        {"root": str(tmp_path / "duo"), "name": "duo"},
        {"root": str(tmp_path / "solo"), "name": "solo", "feature_map": {OWN: MAIN}},
    ]
    mix = {
        "dataset": {"normalize_by": "source", "features": "intersection", "datasets": sources},
        "policy": VQBET,
        "batch_size": 4,
        "steps": 4,
        "num_workers": 0,
    }
    (tmp_path / "mix.json").write_text(json.dumps(mix))
    assert main(["train", f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}"]) == 0
    told = capsys.readouterr().err
    assert told.count("no masked loss for policy 'vqbet'") == 1
    padding = "the steps after an episode's end and the zeros that pad actions of 3 and 5 dimensions count as data"
    assert padding in told
    assert told.count("robomix cannot cut a policy of type 'vqbet'") == 1
    assert "Observations must be padded with zeros at the end, and the first actions taken" in told

    folder = tmp_path / "out/checkpoints/last/pretrained_model/solo"
    config = PreTrainedConfig.from_pretrained(folder)
    assert config.input_features[STATE].shape == (4,)
    assert config.output_features["action"].shape == (5,)

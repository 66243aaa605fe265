"""The settings of behaviour cloning: what they ask of the data, and which ones are refused."""

from typing import Any

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.optim import AdamConfig, AdamWConfig
from lerobot.optim.schedulers import load_scheduler_state, save_scheduler_state

from tests.policies.small import bc_config, bc_policy


@pytest.mark.parametrize(
    ("settings", "observations", "actions", "dropped"),
    [
        ({}, None, [0], 0),
        ({"n_obs_steps": 3}, [-2, -1, 0], [0], 0),
        ({"chunk_size": 3}, None, [0, 1, 2], 0),
        ({"chunk_size": 3, "pad_sequences": False}, None, [0, 1, 2], 2),
        ({"rnn_type": "LSTM", "rnn_horizon": 3}, [0, 1, 2], [0, 1, 2], 0),
        ({"rnn_type": "GRU", "rnn_horizon": 3, "pad_sequences": False}, [0, 1, 2], [0, 1, 2], 2),
        ({"rnn_type": "LSTM", "rnn_horizon": 3, "rnn_open_loop": True}, None, [0, 1, 2], 0),
    ],
)
def test_the_frames_a_sample_is_made_of(
    settings: dict[str, Any], observations: list[int] | None, actions: list[int], dropped: int
) -> None:
    config = bc_config(**settings)
    assert config.observation_delta_indices == observations
    assert config.action_delta_indices == actions
    assert config.reward_delta_indices is None
    assert config.drop_n_last_frames == dropped


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "gnn"}, "`head` must be one of 'gmm', 'gaussian', 'deterministic'. Got 'gnn'"),
        ({"std_activation": "relu"}, "`std_activation` must be one of 'softplus', 'exp'"),
        ({"rnn_type": "lstm"}, "`rnn_type` must be one of null, 'LSTM', 'GRU'. Got 'lstm'"),
        ({"optimizer_type": "sgd"}, "`optimizer_type` must be one of 'adam', 'adamw'"),
        ({"vision_backbone": "vit"}, "`vision_backbone` must be a ResNet"),
        ({"num_modes": 0}, "`num_modes` must be at least 1. Got 0"),
        ({"rnn_horizon": 0}, "`rnn_horizon` must be at least 1"),
        ({"hidden_dims": (64, 0)}, "`hidden_dims` must be numbers of at least 1"),
        ({"min_std": 0.0}, "`min_std` must be positive"),
        ({"l1_weight": -1.0}, "`l1_weight` must be 0 or more"),
        ({"head": "deterministic", "l2_weight": 0.0}, "nothing to learn from"),
        ({"n_action_steps": 2}, "`n_action_steps` must be at most `chunk_size`, which is 1. Got 2"),
        ({"rnn_type": "LSTM", "n_obs_steps": 2}, "`n_obs_steps` must be 1 with an RNN"),
        ({"rnn_type": "LSTM", "chunk_size": 2}, "`chunk_size` must be 1 with an RNN"),
        (
            {"rnn_type": "LSTM", "rnn_bidirectional": True},
            "`rnn_bidirectional` needs an `rnn_type` and `rnn_open_loop`",
        ),
        ({"pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1"}, "`use_group_norm=false`"),
        ({"lr_decay_steps": [5, 5]}, "`lr_decay_steps` must be in increasing order"),
    ],
)
def test_settings_that_make_no_policy_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        bc_config(**settings)


CAMERA = PolicyFeature(FeatureType.VISUAL, (3, 48, 64))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_features": {}}, "at least one observation"),
        ({"output_features": {}}, "found none among the outputs"),
        ({"output_features": {"action": PolicyFeature(FeatureType.ACTION, (2, 2))}}, r"found \(2, 2\)"),
        ({"input_features": {"observation.image": CAMERA}, "crop_shape": (50, 50)}, "does not fit into"),
    ],
)
def test_features_it_cannot_take_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bc_policy(**settings)


def test_the_optimizer_is_robomimics_adam_or_adamw() -> None:
    assert bc_config().get_optimizer_preset() == AdamConfig(lr=1e-4, weight_decay=0.0, grad_clip_norm=10.0)
    asked = bc_config(optimizer_type="adamw", optimizer_lr=1e-3, optimizer_weight_decay=0.1, optimizer_grad_clip_norm=1)
    assert asked.get_optimizer_preset() == AdamWConfig(lr=1e-3, weight_decay=0.1, grad_clip_norm=1)


def rates(scheduler: Any, steps: int) -> list[float]:
    """The learning rate of each of the next steps."""
    found = []
    for _ in range(steps):
        found.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def test_the_learning_rate_falls_at_the_given_steps_also_over_a_resume(tmp_path: Any) -> None:
    config = bc_config(lr_decay_steps=[2, 5], lr_decay_factor=0.1, optimizer_lr=1.0)
    assert bc_config().get_scheduler_preset() is None
    preset = config.get_scheduler_preset()

    def fresh() -> Any:
        return preset.build(torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0), 100)

    whole = rates(fresh(), 7)
    assert whole == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])
    torchs = torch.optim.lr_scheduler.MultiStepLR(torch.optim.Adam([torch.zeros(1)], lr=1.0), [2, 5], gamma=0.1)
    assert whole == pytest.approx(rates(torchs, 7))

    stopped, resumed = fresh(), fresh()
    rates(stopped, 3)
    save_scheduler_state(stopped, tmp_path)
    load_scheduler_state(resumed, tmp_path)
    resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
    assert rates(resumed, 4) == pytest.approx(whole[3:])


def test_the_learning_rate_can_warm_up() -> None:
    preset = bc_config(lr_decay_steps=[4]).get_scheduler_preset()
    assert preset is not None
    preset.num_warmup_steps = 2
    scheduler = preset.build(torch.optim.Adam([torch.zeros(1)], lr=1.0), 100)
    assert rates(scheduler, 5) == pytest.approx([0.5, 1, 1, 1, 0.1])

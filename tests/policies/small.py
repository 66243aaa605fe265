"""Behaviour cloning small enough for a test, and batches for it."""

from typing import Any

import torch
from lerobot.configs import FeatureType, PolicyFeature
from torch import Tensor

from lerobot_policy_bc import BCConfig, BCPolicy

STATE, SCENE, ACTION = 3, 4, 5


def bc_config(**settings: Any) -> BCConfig:
    """For a state of 3 entries, an environment state of 4, and actions of 5."""
    features = {
        "input_features": {
            "observation.state": PolicyFeature(FeatureType.STATE, (STATE,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (SCENE,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (ACTION,))},
    }
    small = {"device": "cpu", "push_to_hub": False, "hidden_dims": (16,), "rnn_hidden_dim": 8, "num_modes": 3}
    return BCConfig(**features | small | settings)


def bc_policy(**settings: Any) -> BCPolicy:
    torch.manual_seed(0)
    return BCPolicy(bc_config(**settings))


def observation(*lead: int, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "observation.state": torch.randn(*lead, STATE, generator=generator),
        "observation.environment_state": torch.randn(*lead, SCENE, generator=generator),
    }


def batch_for(config: BCConfig, size: int = 4) -> dict[str, Tensor]:
    """A batch as a loader gives it for `config`."""
    frames = config.observation_delta_indices
    lead = (size, len(frames)) if frames else (size,)
    generator = torch.Generator().manual_seed(2)
    return observation(*lead) | {"action": torch.rand(size, config.horizon, ACTION, generator=generator) * 2 - 1}

"""Policies small enough to train in a test, and the metadata to build them from."""

from typing import Any

from robomix.mixture.meta import MixtureMeta
from robomix.training.lerobot import PreTrainedConfig


def act_config(**settings: Any) -> Any:
    small = {
        "device": "cpu",
        "push_to_hub": False,
        "pretrained_backbone_weights": None,
        "dim_model": 32,
        "n_heads": 2,
        "dim_feedforward": 32,
        "n_encoder_layers": 1,
        "n_decoder_layers": 1,
        "latent_dim": 4,
        "n_vae_encoder_layers": 1,
        "chunk_size": 8,
        "n_action_steps": 4,
    }
    small |= {"n_action_steps": min(4, settings.get("chunk_size", 8))}
    return PreTrainedConfig.get_choice_class("act")(**small | settings)


def diffusion_config(**settings: Any) -> Any:
    small = {
        "device": "cpu",
        "push_to_hub": False,
        "pretrained_backbone_weights": None,
        "down_dims": (16, 32),
        "horizon": 8,
        "n_action_steps": 4,
        "diffusion_step_embed_dim": 16,
        "num_inference_steps": 2,
    }
    return PreTrainedConfig.get_choice_class("diffusion")(**small | settings)


def meta_of(**widths: int) -> MixtureMeta:
    """Metadata of vectors only: `state`, `environment`, `action` by width."""
    keys = {"state": "observation.state", "environment": "observation.environment_state", "action": "action"}
    features = {keys[name]: {"dtype": "float32", "shape": (width,), "names": None} for name, width in widths.items()}
    return MixtureMeta("test", features, [], {}, ("task",), None, (), 1, 1)

"""Diffusion Policy's loss."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robomix.training.objectives.objective import Objective, masked
from robomix.training.objectives.padding import without_padding
from robomix.training.robot_policy import ABSENT


def diffusion(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """Diffusion: squared error of the noise (or of the sample) at a random step of the diffusion."""
    batch = dict(batch)
    config, model = policy.config, policy.diffusion
    if config.image_features:
        cameras = [batch[key] for key in config.image_features]
        if config.n_obs_steps == 1:
            cameras = [camera if camera.ndim == 5 else camera.unsqueeze(1) for camera in cameras]
        batch["observation.images"] = torch.stack(cameras, dim=-4)
    condition = model._prepare_global_conditioning(batch)
    clean = without_padding(batch["action"], valid)
    noise = torch.randn_like(clean)
    steps = torch.randint(0, model.noise_scheduler.config.num_train_timesteps, (len(clean),), device=clean.device)
    noisy = model.noise_scheduler.add_noise(clean, noise, steps)
    if ABSENT in batch:  # what a robot does not have is 0, not noise, so that its own policy can do without
        noisy = noisy.masked_fill(batch[ABSENT].unsqueeze(1), 0.0)
    predicted = model.unet(noisy, steps, global_cond=condition)
    target = noise if config.prediction_type == "epsilon" else clean
    error = functional.mse_loss(predicted, target, reduction="none")
    return masked(error, valid, error.new_zeros(()))

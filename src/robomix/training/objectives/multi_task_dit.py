"""The loss of LeRobot's multi-task diffusion transformer, for both of its objectives."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robomix.training.objectives.objective import Objective, masked
from robomix.training.objectives.padding import without_padding
from robomix.training.robot_policy import ABSENT


def multi_task_dit(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """Multi-task DiT: squared error of the noise (or of the sample) at a random step of the diffusion, or of the
    velocity at a random time of the flow.
    """
    condition = policy.observation_encoder.encode(policy._prepare_batch(batch))
    disturbed = _diffused if policy.config.is_diffusion else _flowing
    noisy, time, target = disturbed(policy, without_padding(batch["action"], valid))
    if ABSENT in batch:  # what a robot does not have is 0, not noise, so that its own policy can do without
        noisy = noisy.masked_fill(batch[ABSENT].unsqueeze(1), 0.0)
    predicted = policy.noise_predictor(noisy, time, conditioning_vec=condition)
    error = functional.mse_loss(predicted, target, reduction="none")
    return masked(error, valid, error.new_zeros(()))


def _diffused(policy: Any, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The noisy actions, their step of the diffusion (B,), and what is to be predicted of them."""
    scheduler = policy.objective.noise_scheduler
    noise = torch.randn_like(clean)
    steps = torch.randint(0, scheduler.config.num_train_timesteps, (len(clean),), device=clean.device)
    target = noise if scheduler.config.prediction_type == "epsilon" else clean
    return scheduler.add_noise(clean, noise, steps), steps, target


def _flowing(policy: Any, clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The actions on their way from noise, at a time (B,) in [0, 1], and their velocity there."""
    remaining = 1 - policy.config.sigma_min
    noise = torch.randn_like(clean)
    time = policy.objective._sample_timesteps(len(clean), clean.device)
    along = time.reshape(-1, 1, 1)
    return along * clean + (1 - remaining * along) * noise, time, clean - remaining * noise

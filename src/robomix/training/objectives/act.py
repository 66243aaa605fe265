"""ACT's loss."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from robomix.training.objectives.objective import Objective, masked
from robomix.training.objectives.padding import without_padding


def act(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """ACT: absolute error of the chunk, and the divergence of the latent from a standard normal."""
    batch = batch | {"action": without_padding(batch["action"], valid)}
    if policy.config.image_features:
        batch["observation.images"] = [batch[key] for key in policy.config.image_features]
    predicted, (mu, log_sigma_x2) = policy.model(batch)
    error = functional.l1_loss(predicted, batch["action"], reduction="none")
    extra = error.new_zeros(())
    if policy.config.use_vae and log_sigma_x2 is not None:
        divergence = (-0.5 * (1 + log_sigma_x2 - mu.pow(2) - log_sigma_x2.exp())).sum(-1).mean()
        extra = policy.config.kl_weight * divergence
    return masked(error, valid, extra)

"""SmolVLA's loss."""

from typing import Any

from torch import Tensor

from robomix.features import STATE
from robomix.training.objectives.objective import Objective, masked
from robomix.training.objectives.padding import seen_cameras, without_padding


def smolvla(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """SmolVLA: squared error of the velocity at a random time of the flow from noise to the actions.

    A camera that a sample lacks takes no part in the attention.
    """
    batch = batch | {"action": without_padding(batch["action"], valid)}
    if policy.config.adapt_to_pi_aloha:  # these write into what they are given
        batch[STATE] = policy._pi_aloha_decode_state(batch[STATE].clone())
        batch["action"] = policy._pi_aloha_encode_actions_inv(batch["action"])
    seen = seen_cameras(batch, policy.config.image_features)
    batch = {key: value for key, value in batch.items() if key not in seen or seen[key].any()}  # no need to encode it
    pictures, is_seen = policy.prepare_images(batch | {f"{key}_padding_mask": mask for key, mask in seen.items()})
    error = policy.model.forward(
        pictures,
        is_seen,
        batch["observation.language.tokens"],
        batch["observation.language.attention_mask"],
        policy.prepare_state(batch),
        policy.prepare_action(batch),
    )
    return masked(error[..., : valid.shape[-1]], valid, error.new_zeros(()))

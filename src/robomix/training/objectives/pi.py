"""The losses of pi0 and pi0.5."""

from typing import Any

from torch import Tensor

from robomix.training.objectives.objective import Objective, masked
from robomix.training.objectives.padding import seen_cameras, without_padding


def pi0(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """pi0: squared error of the velocity at a random time of the flow from noise to the actions.

    A camera that a sample lacks takes no part in the attention.
    """
    return _flow(policy, batch, valid, policy.prepare_state(batch))


def pi05(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """pi0.5: as pi0; its state is in the text."""
    return _flow(policy, batch, valid)


def _flow(policy: Any, batch: dict[str, Any], valid: Tensor, *state: Tensor) -> Objective:
    model = policy.model
    action = policy.prepare_action(batch | {"action": without_padding(batch["action"], valid)})
    pictures, is_seen = _pictures(policy, batch)
    noise = model.sample_noise(action.shape, action.device)
    time = model.sample_time(len(action), action.device)
    words, is_word = batch["observation.language.tokens"], batch["observation.language.attention_mask"]
    error = model.forward(pictures, is_seen, words, is_word, *state, action, noise, time)
    return masked(error[..., : valid.shape[-1]], valid, error.new_zeros(()))


def _pictures(policy: Any, batch: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The pictures of each camera, and (B,) bool which samples have it; cameras that are not in the batch come last.

    LeRobot by itself masks only those: a camera in the batch counts as seen by all of its samples.
    """
    pictures, is_seen = policy._preprocess_images(batch)
    seen = list(seen_cameras(batch, policy.config.image_features).values())
    return pictures, seen + is_seen[len(seen) :]

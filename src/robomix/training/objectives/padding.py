"""What is padding in a batch, for policies that are shown noisy actions and can leave a camera out."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def without_padding(action: Tensor, valid: Tensor) -> Tensor:
    """`action` (B, T, A) with nothing in it that `valid` (B, T, A) does not have: entries a robot lacks are 0, and at
    steps outside the episode the last action before is held, or the first after.

    Batches of a mixture are so already; here it is certain that nothing under the masks reaches the network.
    """
    steps = torch.arange(action.shape[1], device=action.device)
    inside = valid.any(-1)
    before = torch.where(inside, steps, -1).cummax(1).values
    held = torch.where(before < 0, inside.int().argmax(1, keepdim=True), before).unsqueeze(-1)
    entries = valid.any(1, keepdim=True)
    return torch.where(entries, action.gather(1, held.expand_as(action)), 0.0)


def seen_cameras(batch: dict[str, Any], cameras: Iterable[str]) -> dict[str, Tensor]:
    """For each of `cameras` that is in `batch`, (B,) bool: which samples have it, at their latest frame.

    A sample without any sees all of them, black: LeRobot's policies need one, so its robot's own policy does so too.
    """
    seen = {}
    for camera in cameras:
        if camera in batch:
            picture, is_pad = batch[camera], batch.get(f"{camera}_is_pad")
            everywhere = torch.ones(len(picture), dtype=torch.bool, device=picture.device)
            seen[camera] = everywhere if is_pad is None else ~is_pad.reshape(len(picture), -1)[:, -1]
    if not seen:
        return {}
    is_blind = ~torch.stack([*seen.values()]).any(0)
    return {camera: mask | is_blind for camera, mask in seen.items()}

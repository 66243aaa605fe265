"""A loss that can still be told apart by sample, and the means over valid entries that make one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Objective:
    """A loss that can still be told apart by sample: sum(errors) / sum(weights) + extra."""

    errors: Tensor
    """(B,): each sample's error, summed over its valid time steps."""
    weights: Tensor
    """(B,): each sample's number of valid time steps."""
    extra: Tensor
    """What has no place in a single sample, such as a regularizer averaged over the batch."""

    def total(self, weight: Tensor | None = None, loss_weights: Tensor | None = None) -> Tensor:
        """The loss; `weight` replaces the sum of weights where several ranks share a batch.

        `loss_weights` (B,) multiply the samples' errors, and nothing else: the loss is sum(loss_weights * errors) /
        sum(weights) + extra. So where a source is drawn with probability q, a loss weight of w / q gives in expectation
        the loss of drawing it with w (importance weighting), whatever the other sources' loss weights.
        """
        denominator = self.weights.sum() if weight is None else weight
        errors = self.errors if loss_weights is None else self.errors * loss_weights
        return errors.sum() / denominator.clamp_min(1e-9) + self.extra


Adapter = Callable[[Any, dict[str, Any], Tensor], Objective]
"""From a policy, a preprocessed batch and its valid entries of `action` (B, T, A) to the objective."""


def valid_entries(batch: dict[str, Any], dim_is_pad: Tensor | None) -> Tensor:
    """(B, T, A) bool: the entries of `action` that are data."""
    action = batch["action"]
    valid = torch.ones_like(action, dtype=torch.bool)
    if "action_is_pad" in batch:
        valid = valid & ~batch["action_is_pad"].unsqueeze(-1)
    if dim_is_pad is not None:
        valid = valid & ~dim_is_pad.to(action.device).unsqueeze(1)
    return valid


def valid_steps(valid: Tensor) -> Tensor:
    """(B,) int64: how many time steps of each sample have a valid entry in `valid` (B, T, A): its weight."""
    return valid.any(-1).sum(-1)


def masked(error: Tensor, valid: Tensor, extra: Tensor) -> Objective:
    """`error` and `valid` (B, T, A): mean over valid dimensions, then sums over valid time steps."""
    dimensions = valid.sum(-1)
    per_step = torch.where(valid, error, 0.0).sum(-1) / dimensions.clamp_min(1)
    return Objective(per_step.sum(-1), valid_steps(valid).to(error.dtype), extra)

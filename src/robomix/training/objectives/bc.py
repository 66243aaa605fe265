"""Behaviour cloning's loss."""

from typing import Any

from torch import Tensor

from robomix.training.objectives.objective import Objective, valid_steps


def bc(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """Behaviour cloning: its head's own error of each time step, a mean over the step's valid dimensions already."""
    per_step = policy.step_errors(batch, valid)
    return Objective(per_step.sum(-1), valid_steps(valid).to(per_step.dtype), per_step.new_zeros(()))

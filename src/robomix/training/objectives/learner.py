"""A policy with its objective: one adapter per policy type, chosen here."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from robomix.training.objectives.act import act
from robomix.training.objectives.bc import bc
from robomix.training.objectives.diffusion import diffusion
from robomix.training.objectives.multi_task_dit import multi_task_dit
from robomix.training.objectives.objective import Adapter, Objective, valid_entries, valid_steps
from robomix.training.objectives.pi import pi0, pi05
from robomix.training.objectives.smolvla import smolvla
from robomix.training.robot_policy import ABSENT, ROBOT_INDEX, RobotViews
from robomix.training.robots import Robot

ADAPTERS: dict[str, Adapter] = {
    "act": act,
    "diffusion": diffusion,
    "multi_task_dit": multi_task_dit,
    "smolvla": smolvla,
    "pi0": pi0,
    "pi05": pi05,
    "bc": bc,
}
"""By the policy's type."""


class Learner(nn.Module):
    """A policy together with its objective, as one module: what is wrapped for distributed training."""

    def __init__(self, policy: Any, robots: Sequence[Robot] = ()) -> None:
        """`robots`, where there are several, in the order of the batch's `robot_index`."""
        super().__init__()
        self.policy = policy
        self._adapter = ADAPTERS.get(policy.config.type)
        if self._adapter is not None and robots:
            self._adapter = _for_each_robot(self._adapter, RobotViews(policy, robots))
        self._per_sample = "reduction" in inspect.signature(policy.forward).parameters

    @property
    def masks_padding(self) -> bool:
        """Whether padded dimensions and time steps are kept out of the loss."""
        return self._adapter is not None

    @property
    def tells_samples_apart(self) -> bool:
        """Whether the objective has errors by sample; otherwise there is one number for the batch."""
        return self._adapter is not None or self._per_sample

    def weight(self, batch: dict[str, Any]) -> float:
        """The sum of the weights that `forward` will give a `batch` as it is drawn, before anything is computed."""
        if self._adapter is not None:
            return float(valid_steps(valid_entries(batch, batch.get("action_dim_is_pad"))).sum())
        return float(len(batch["action"])) if self._per_sample else 0.0

    def forward(self, batch: dict[str, Any], dim_is_pad: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """`errors`, `weights` and `extra` of the Objective for a preprocessed `batch`.

        `dim_is_pad` (B, A) bool says which action dimensions are padding in which sample. A policy that can only give
        one number for the batch gives it as `extra`, and no errors by sample.
        """
        if self._adapter is not None:
            made = self._adapter(self.policy, batch, valid_entries(batch, dim_is_pad))
            return made.errors, made.weights, made.extra
        if self._per_sample:
            losses, _ = self.policy(batch, reduction="none")
            losses = losses.reshape(len(losses), -1).mean(1)
            return losses, torch.ones_like(losses), losses.new_zeros(())
        loss, _ = self.policy(batch)
        return loss.new_zeros(0), loss.new_zeros(0), loss


def _for_each_robot(adapter: Adapter, views: RobotViews) -> Adapter:
    """`adapter`, with each sample going through the policy as its own robot sees it."""

    def adapted(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
        robot = batch[ROBOT_INDEX]
        batch = batch | {ABSENT: views.absent(robot)}
        parts = [(rows, view(adapter, policy, batch, rows, valid)) for view, rows in views.of_samples(robot)]
        back = torch.cat([rows for rows, _ in parts]).argsort()
        return Objective(
            torch.cat([part.errors for _, part in parts])[back],
            torch.cat([part.weights for _, part in parts])[back],
            torch.stack([part.extra * (len(rows) / len(robot)) for rows, part in parts]).sum(),
        )

    return adapted

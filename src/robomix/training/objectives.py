"""What a policy's loss is over samples that are partly padding, and over several sources at once.

LeRobot's policies average over every action dimension of the batch, so a robot with 4 dimensions padded to 14 gets 4/14
of the gradient. Here a padded dimension and a padded time step contribute nothing: the error of a time step is averaged
over the sample's real dimensions, and the loss over all valid time steps. Where nothing is padded this is LeRobot's own
loss. One adapter per policy type; a policy without one is trained on its own loss.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robomix.training.robot_policy import ABSENT, ROBOT_INDEX, RobotViews
from robomix.training.robots import Robot


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


class Learner(nn.Module):
    """A policy together with its objective, as one module: what is wrapped for distributed training."""

    def __init__(self, policy: Any, robots: Sequence[Robot] = ()) -> None:
        """`robots`, where there are several, in the order of the batch's `robot_index`."""
        super().__init__()
        self.policy = policy
        self._adapter = _ADAPTERS.get(policy.config.type)
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

    def forward(self, batch: dict[str, Any], dim_is_pad: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """`errors`, `weights` and `extra` of the Objective for a preprocessed `batch`.

        `dim_is_pad` (B, A) bool says which action dimensions are padding in which sample. A policy that can only give
        one number for the batch gives it as `extra`, and no errors by sample.
        """
        if self._adapter is not None:
            made = self._adapter(self.policy, batch, _valid_entries(batch, dim_is_pad))
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


def _act(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """ACT: absolute error of the chunk, and the divergence of the latent from a standard normal."""
    batch = dict(batch)
    if policy.config.image_features:
        batch["observation.images"] = [batch[key] for key in policy.config.image_features]
    predicted, (mu, log_sigma_x2) = policy.model(batch)
    error = functional.l1_loss(predicted, batch["action"], reduction="none")
    extra = error.new_zeros(())
    if policy.config.use_vae and log_sigma_x2 is not None:
        divergence = (-0.5 * (1 + log_sigma_x2 - mu.pow(2) - log_sigma_x2.exp())).sum(-1).mean()
        extra = policy.config.kl_weight * divergence
    return _masked(error, valid, extra)


def _diffusion(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """Diffusion: squared error of the noise (or of the sample) at a random step of the diffusion."""
    batch = dict(batch)
    config, model = policy.config, policy.diffusion
    if config.image_features:
        cameras = [batch[key] for key in config.image_features]
        if config.n_obs_steps == 1:
            cameras = [camera if camera.ndim == 5 else camera.unsqueeze(1) for camera in cameras]
        batch["observation.images"] = torch.stack(cameras, dim=-4)
    condition = model._prepare_global_conditioning(batch)
    clean = batch["action"]
    noise = torch.randn_like(clean)
    steps = torch.randint(0, model.noise_scheduler.config.num_train_timesteps, (len(clean),), device=clean.device)
    noisy = model.noise_scheduler.add_noise(clean, noise, steps)
    if ABSENT in batch:  # what a robot does not have is 0, not noise, so that its own policy can do without
        noisy = noisy.masked_fill(batch[ABSENT].unsqueeze(1), 0.0)
    predicted = model.unet(noisy, steps, global_cond=condition)
    target = noise if config.prediction_type == "epsilon" else clean
    error = functional.mse_loss(predicted, target, reduction="none")
    return _masked(error, valid, error.new_zeros(()))


def _bc(policy: Any, batch: dict[str, Any], valid: Tensor) -> Objective:
    """Behaviour cloning: its head's own error of each time step, a mean over the step's valid dimensions already."""
    per_step = policy.step_errors(batch, valid)
    return Objective(per_step.sum(-1), valid.any(-1).sum(-1).to(per_step.dtype), per_step.new_zeros(()))


_ADAPTERS: dict[str, Adapter] = {"act": _act, "diffusion": _diffusion, "bc": _bc}


def _valid_entries(batch: dict[str, Any], dim_is_pad: Tensor | None) -> Tensor:
    """(B, T, A) bool: the entries of `action` that are data."""
    action = batch["action"]
    valid = torch.ones_like(action, dtype=torch.bool)
    if "action_is_pad" in batch:
        valid = valid & ~batch["action_is_pad"].unsqueeze(-1)
    if dim_is_pad is not None:
        valid = valid & ~dim_is_pad.to(action.device).unsqueeze(1)
    return valid


def _masked(error: Tensor, valid: Tensor, extra: Tensor) -> Objective:
    """`error` and `valid` (B, T, A): mean over valid dimensions, then sums over valid time steps."""
    dimensions = valid.sum(-1)
    per_step = torch.where(valid, error, 0.0).sum(-1) / dimensions.clamp_min(1)
    return Objective(per_step.sum(-1), (dimensions > 0).sum(-1).to(error.dtype), extra)

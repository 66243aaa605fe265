"""One step of the optimizer, on one global batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robomix.mixture.dataset import Batch
from robomix.mixture.permutation import key_of
from robomix.training.device import on_device
from robomix.training.learning import Learning
from robomix.training.metrics import Window
from robomix.training.objectives import Objective
from robomix.training.ranks import in_part


@dataclass(frozen=True)
class Update:
    """Brings a policy on by one step at a time."""

    learning: Learning
    accelerator: Any
    seed: int

    def __call__(self, step: int, parts: Sequence[Batch], window: Window) -> Tensor:
        """Learns from this rank's `parts` of the batch of `step`, counts them in `window`; the norm of the gradient."""
        shared, accelerator = self.learning.shared, self.accelerator
        # All randomness of a step (dropout, latents, noise) is named by the step: a resumed run repeats it.
        torch.manual_seed(key_of(self.seed, "step", step, accelerator.process_index) >> 1)
        weight = self._weight(parts)
        for number, part in enumerate(parts):
            with in_part(shared.learner, accelerator, number):
                self._add(part, weight, len(parts), window)
        limit = shared.clip if shared.clip > 0 else float("inf")
        norm = accelerator.clip_grad_norm_(shared.learner.parameters(), limit)
        shared.optimizer.step()
        shared.optimizer.zero_grad()
        if shared.scheduler is not None:
            shared.scheduler.step()
        if hasattr(self.learning.policy, "update"):
            self.learning.policy.update()
        return torch.as_tensor(norm)

    def _weight(self, parts: Sequence[Batch]) -> Tensor:
        """What the errors of each part are divided by: the weight of the whole batch, in parts of its size."""
        weights = torch.tensor(sum(map(self.learning.shared.bare.weight, parts)), device=self.accelerator.device)
        weight: Tensor = self.accelerator.reduce(weights, "mean") / len(parts)
        return weight  # gradients are means over ranks and parts

    def _add(self, part: Batch, weight: Tensor, parts: int, window: Window) -> None:
        """Adds the gradient of one of the `parts` of a batch."""
        learning, accelerator, source = self.learning, self.accelerator, part["dataset_index"]
        moved = on_device(part, learning.mixture.camera_keys, accelerator.device)
        inputs = learning.processors(moved, learning.group_of_source[source])
        with accelerator.autocast():
            objective = Objective(*learning.shared.learner(inputs, inputs.get("action_dim_is_pad")))
            loss = objective.total(weight, learning.loss_weights(source))
        accelerator.backward(loss)
        window.add_part(loss, objective, source, parts)

"""The learning-rate schedule of robomimic, which LeRobot lacks."""

from bisect import bisect_right
from dataclasses import dataclass, field

from lerobot.optim import LRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


@LRSchedulerConfig.register_subclass("multistep")
@dataclass
class MultiStepSchedulerConfig(LRSchedulerConfig):
    """The learning rate times `decay_factor` at each of `decay_steps`, robomimic's `epoch_schedule` in steps.

    Not torch's MultiStepLR: that one's state has whole numbers for keys, which LeRobot's JSON files cannot bring back.
    """

    decay_steps: list[int] = field(default_factory=list)
    """Optimizer steps in increasing order."""
    decay_factor: float = 0.1
    num_warmup_steps: int | None = None
    """Steps over which the rate rises linearly to its start; null or 0: none."""

    def build(self, optimizer: Optimizer, num_training_steps: int) -> LambdaLR:
        def factor(step: int) -> float:
            warmup = min(1.0, (step + 1) / self.num_warmup_steps) if self.num_warmup_steps else 1.0
            return float(warmup * self.decay_factor ** bisect_right(self.decay_steps, step))

        return LambdaLR(optimizer, factor)

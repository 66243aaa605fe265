"""pi0.5 reads a robot's state as numbers in its prompt: those of the robot, none for what it has not.

A state that is padded to the width of the mixture would read on with the number of zero, and the robot's own policy,
which has the robot's width, would then be prompted in another way than it was trained.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from robomix.features import STATE
from robomix.training.lerobot import Pi05PrepareStateTokenizerProcessorStep, TransitionKey


@dataclass
class OwnStatePrompt(Pi05PrepareStateTokenizerProcessorStep):
    """LeRobot's step, with as many numbers in each sample's prompt as its group has. Set `groups` before each batch."""

    widths: list[int] = field(default_factory=list)
    """Entries of the state of each group."""

    def __post_init__(self) -> None:
        self.groups = torch.zeros(0, dtype=torch.long)

    def __call__(self, transition: Any) -> Any:
        state: Tensor = transition[TransitionKey.OBSERVATION][STATE]
        beside = transition[TransitionKey.COMPLEMENTARY_DATA]
        prompts = list(beside[self.task_key])
        widths = [self.widths[group] for group in self.groups.tolist()]
        for width in set(widths):
            rows = [i for i, own in enumerate(widths) if own == width]
            alike = {
                TransitionKey.OBSERVATION: {STATE: state[rows, :width]},
                TransitionKey.COMPLEMENTARY_DATA: {self.task_key: [beside[self.task_key][i] for i in rows]},
            }
            made = super().__call__(alike)[TransitionKey.COMPLEMENTARY_DATA][self.task_key]
            for i, prompt in zip(rows, made, strict=True):
                prompts[i] = prompt
        return transition | {TransitionKey.COMPLEMENTARY_DATA: beside | {self.task_key: prompts}}

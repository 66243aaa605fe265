"""Weights that change over a training: its stages, and how many samples each source is due up to any step.

A stage sets the shares of all sources from a step on. How one gets there from the stage before is its `interpolate`:
`hold` keeps the shares of the stage before until the step and jumps, `linear` and `cosine` move towards it (`curves`).
Shares are interpolated, not weights: weights of 1 and 1 mean the same as 100 and 100, so what lies half-way between
weights has no meaning of its own, and what lies half-way between shares is what the table shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from robomix.mixture.apportion import LONG_PERIOD, slot_counts
from robomix.mixture.curves import UNITS, way_gone

WHOLE = LONG_PERIOD * UNITS
"""What a share of 1 is due per draw: dues are whole numbers, in 1/WHOLE of a sample."""


@dataclass(frozen=True)
class Stage:
    """Shares of all sources from a step of the training on."""

    step: int
    probabilities: tuple[float, ...]
    """(D,), in the order of the sources; their sum is 1."""
    interpolate: str = "hold"
    """`hold`, `linear` or `cosine`: how the shares get here from the stage before."""

    @cached_property
    def slots(self) -> list[int]:
        """(D,): the shares in 1/LONG_PERIOD, rounded as in a mixture whose weights stay."""
        counts = slot_counts(np.array(self.probabilities))
        return [int(count) * (LONG_PERIOD // int(counts.sum())) for count in counts]

    @property
    def shares(self) -> list[float]:
        """(D,): the shares it gives, those asked for rounded to slots."""
        return [slots / LONG_PERIOD for slots in self.slots]

    def record(self) -> dict[str, Any]:
        """The stage as a checkpoint keeps it."""
        return {"step": self.step, "interpolate": self.interpolate, "slots": self.slots}


@dataclass(frozen=True)
class Segment:
    """The steps from one stage to the next, or from the last stage on."""

    start: int
    """Its first step."""
    length: int | None
    """Its number of steps; None: it does not end."""
    curve: str
    """`hold`, or that of the stage it leads to."""
    before: tuple[int, ...]
    """(D + 1,): sums of the slots of the first 0, 1, ... D sources, at its start."""
    after: tuple[int, ...]
    """The same where it leads to; of `hold`, the same as `before`."""

    def due(self, first: int, last: int, steps: int) -> int:
        """What sources first to last - 1 are due together in its first `steps` steps, at one draw per step.

        With W of `curves` it is slots before * (steps - W) + slots after * W, so it never falls, and is 0 throughout
        for sources of share 0 before and after.
        """
        held, moved = self.before[last] - self.before[first], self.after[last] - self.after[first]
        if self.curve == "hold" or self.length is None:
            return held * UNITS * steps
        gone = way_gone(self.curve, steps, self.length)
        return held * (UNITS * steps - gone) + moved * gone

    def shares(self, step: int) -> np.ndarray:
        """(D,) float64: the shares in step number `step` of the training."""
        steps, sources = step - self.start, range(len(self.before) - 1)
        return np.array([self.due(i, i + 1, steps + 1) - self.due(i, i + 1, steps) for i in sources]) / WHOLE


def segments(stages: Sequence[Stage]) -> list[Segment]:
    """What lies between `stages`, whose steps ascend from 0, and after the last one."""
    sums = [tuple(int(total) for total in np.cumsum([0, *stage.slots])) for stage in stages]
    made = []
    for i, stage in enumerate(stages):
        if i + 1 == len(stages):
            made.append(Segment(stage.step, None, "hold", sums[i], sums[i]))
            continue
        curve, length = stages[i + 1].interpolate, stages[i + 1].step - stage.step
        made.append(Segment(stage.step, length, curve, sums[i], sums[i] if curve == "hold" else sums[i + 1]))
    return made


def binding(stages: Sequence[dict[str, Any]], steps: int) -> list[dict[str, Any]]:
    """Of recorded stages, those on which the first `steps` steps depend; the others may still be changed.

    These are the stages that have begun, and the one the shares are moving to.
    """
    begun = [stage for stage in stages if stage["step"] < steps]
    following = stages[len(begun) : len(begun) + 1]
    return begun + [stage for stage in following if stage["interpolate"] != "hold"]

"""How far the shares have moved from one stage of weights to the next, as a sum over steps that needs no loop.

Between two stages that lie `length` steps apart, step s has the shares (1 - w(s)) * before + w(s) * after, with

    linear  w(s) = s / length
    cosine  w(s) = (1 - cos(pi * s / length)) / 2        slow at both ends

What the schedule needs is their sum over steps, W(s) = w(0) + ... + w(s - 1). It is held in whole units of 1/65,536
step, in which the way of a single step is rounded and the sum never is by more than one unit: so all that follows is
arithmetic of whole numbers, and as many samples are drawn on every machine.
"""

import math
from functools import lru_cache

UNITS = 1 << 16
"""Parts of a step in which the way is counted; even, so that half a step is a whole number of them."""

CURVES = ("linear", "cosine")


@lru_cache(1 << 10)  # of the steps around one, all sets of sources ask in turn
def way_gone(curve: str, steps: int, length: int) -> int:
    """W(steps) in 1/UNITS for 0 <= steps <= length.

    It starts at 0 and rises by 0 to UNITS in each step, so that neither the shares before nor those after count
    negatively in any step.
    """
    if curve == "linear":
        return UNITS * steps * (steps - 1) // (2 * length)
    if 2 * steps <= length + 1:
        return _cosine(steps, length)
    left = length - steps  # w(s) + w(length - s) = 1: the second half is the first one, mirrored
    return UNITS * (length - 1) // 2 - UNITS * left + _cosine(left + 1, length)


def _cosine(steps: int, length: int) -> int:
    """W of the cosine in its first half, by the sum of cosines in closed form (Dirichlet's kernel)."""
    if steps == 0:
        return 0
    angle = math.pi / length
    total = steps / 2 - 0.25 - _sine((steps - 0.5) * angle) / (4 * _sine(angle / 2))
    return math.floor(UNITS * total + 0.5)


def _sine(x: float) -> float:
    """The sine of 0 to 2.4 by its series: sums and products have the same bits on every machine, libraries may not."""
    term = total = x
    for k in range(2, 28, 2):
        term *= -x * x / (k * (k + 1))
        total += term
    return total

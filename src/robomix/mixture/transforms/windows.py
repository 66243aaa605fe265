"""Windows of features, and how steps ask for those of other features.

A window says which frames of a feature a sample holds, relative to the sample's own frame 0: `(0, 1, 2)` is a chunk of
three with a time axis, None the frame itself without one. The mixture asks for windows of what comes out of the steps;
going backwards through them, each step says which windows of what goes in make that possible. A step that joins
`action.joints` and `action.gripper` into `action` needs both with the window of `action`; one that makes `action`
relative to the state needs the state at frame 0, whatever the sample itself keeps of it.

A feature two of them ask for is read once, with all frames either wants; the step that widened a window narrows it
again (`narrowed`). Frames beyond an episode's ends are its first or last frame, as everywhere.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Window = tuple[int, ...] | None
"""Frames relative to the sample's own, or None: that frame, without a time axis."""
Windows = Mapping[str, Window]
"""Key to window, for the features that are wanted; others are not read."""

_TIME = 1  # the axis after the batch's


def covering(one: Window, other: Window) -> Window:
    """A window with all frames of both, in time order; one of them, where they are equal."""
    if one == other:
        return one
    return tuple(sorted({*(one or (0,)), *(other or (0,))}))


def covered(windows: Windows, wanted: Windows) -> dict[str, Window]:
    """`windows` and those of `wanted` together."""
    joined = dict(windows)
    for key, window in wanted.items():
        joined[key] = covering(joined[key], window) if key in joined else window
    return joined


def shifted(window: Window, frames: int) -> Window:
    """The window `frames` later. That of a single frame gets a time axis of 1."""
    return tuple(frame + frames for frame in window or (0,))


def pick(value: Tensor, have: Window, want: Window) -> Tensor:
    """Of `value` (n, T, ...), whose frames are `have`, those of `want`, which must be among them."""
    if have == want or have is None:
        return value
    if want is None:
        return value.select(_TIME, have.index(0))
    return value.index_select(_TIME, torch.tensor([have.index(frame) for frame in want]))


def narrowed(sample: Mapping[str, Any], before: Windows, after: Windows) -> dict[str, Any]:
    """A batch with the windows `before`, cut to those of `after`; what is not wanted any more is left out."""
    return {
        key: pick(value, before[key], after[key]) if key in before else value
        for key, value in sample.items()
        if key in after or key not in before
    }

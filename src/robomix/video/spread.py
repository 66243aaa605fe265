"""Cut one file's frames into a few shares that can be decoded at the same time."""

import os
from itertools import pairwise

import numpy as np

from robomix.video.timeline import Timeline

MIN_SHARE = 8
"""Frames below which handing work to another thread does not pay."""


def shares(frames: np.ndarray, timeline: Timeline) -> list[slice]:
    """Cut sorted `frames` (n,) into up to one share per processor, of `MIN_SHARE` distinct frames or more.

    Frames that need the same key frame stay together, so nothing is decoded twice.
    """
    wanted = min(len(np.unique(frames)) // MIN_SHARE, _processors())
    if wanted < 2:
        return [slice(0, len(frames))]
    groups = timeline.key_before(frames)
    allowed = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    ideal = np.arange(1, wanted) * len(frames) / wanted
    if not len(allowed):
        return [slice(0, len(frames))]
    cuts = np.unique(allowed[np.minimum(np.searchsorted(allowed, ideal), len(allowed) - 1)])
    return [slice(begin, end) for begin, end in pairwise([0, *cuts.tolist(), len(frames)])]


def _processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

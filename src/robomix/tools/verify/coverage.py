"""Which frames were drawn, and that none comes again before all others of its source have come.

Draw j of a source with n frames belongs to its epoch j div n, in which each frame comes once. Ranks and workers leave
the order inside a global batch open, so this is looked at where batches end: there no frame has come more often than
ceil(draws / n) times, and at the end none less often than floor(draws / n).
"""

from dataclasses import dataclass

import numpy as np

from robomix.mixture.source import Source
from robomix.tools.verify.findings import Findings


@dataclass(frozen=True)
class Coverage:
    """What was drawn of one source."""

    frames_seen: int
    frames_seen_again: int
    episodes_seen: int


def coverage(source: Source, frame: np.ndarray, batch: np.ndarray, findings: Findings) -> Coverage:
    """What the draws `frame` (n,), frames of `source`, in `batch` (n,) cover; repeats are noted in `findings`.

    Both are in the order in which they were drawn.
    """
    frames, counts = np.unique(frame, return_counts=True)
    episode, place = source.frames.locate(frames)
    early = _repeated_early(frame, batch, source.frames.num_drawable)
    if len(early):
        first = frame[early[0]]
        at = np.searchsorted(frames, first)
        text = (
            f"source {source.name!r}: frame {place[at]} of episode {source.frames.ids[episode[at]]} comes again in "
            f"batch {batch[early[0]]}, before all {source.frames.num_drawable:,} frames have come"
        )
        findings.add("repeats", source.name, text, len(early))
    elif len(frame) >= source.frames.num_drawable:
        behind = source.frames.num_drawable * (len(frame) // source.frames.num_drawable) - int(
            np.minimum(counts, len(frame) // source.frames.num_drawable).sum()
        )
        if behind:
            text = f"source {source.name!r}: {behind:,} draws of its whole epochs went to frames that had come already"
            findings.add("repeats", source.name, text, behind)
    return Coverage(len(frames), int((counts > 1).sum()), len(np.unique(episode)))


def _repeated_early(frame: np.ndarray, batch: np.ndarray, frames: int) -> np.ndarray:
    """Positions of draws of a frame that had come as often as any could have by the end of that batch."""
    if not len(frame):
        return np.empty(0, dtype=np.int64)
    by_frame = np.argsort(frame, kind="stable")
    starts = np.flatnonzero(np.diff(frame[by_frame], prepend=-1))
    nth = np.empty(len(frame), dtype=np.int64)  # of each draw, how often its frame had come before
    nth[by_frame] = np.arange(len(frame)) - np.repeat(starts, np.diff(starts, append=len(frame)))
    drawn = np.searchsorted(batch, batch, side="right")  # draws of the source up to the end of that batch
    return np.flatnonzero(nth >= -(-drawn // frames))

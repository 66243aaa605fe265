"""Where videos can be cut whose frames are copied, and which episodes must stay together because they cannot.

Episodes that follow each other in one file are copied in one go, so that no cut is needed between them. A cut needs a
key frame that no earlier frame depends on; a file with few of them is copied whole, or in the stretches it has.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from robomix.errors import FormatError
from robomix.tools.build.content import Drawn
from robomix.video.decoding_order import CutError, DecodingOrder, decoding_order, false_starts
from robomix.video.remux import Clip
from robomix.video.timeline import stat_video


def order_of(path: Path) -> DecodingOrder:
    """The packets of a file, as it is now. Raises CutError for one that cannot be cut anywhere."""
    return _order(path, *stat_video(path))


def can_cut(path: Path, frame: int) -> bool:
    """Whether a file can be parted before this frame. Raises CutError for one that cannot be cut anywhere."""
    return order_of(path).can_cut(frame) and frame not in _false_starts(path, *stat_video(path))


def obstacle(clip: Clip) -> str | None:
    """Why a clip cannot be copied; None where it can. Raises FormatError for frames that the file does not have."""
    try:
        order = order_of(clip.path)
    except CutError as error:
        return str(error)
    if clip.stop > len(order.rank):
        raise FormatError(
            f"{clip.path} has {len(order.rank)} frames, expected at least {clip.stop}. `robomix check` says more, and "
            "`robomix repair` may mend it."
        )
    if reason := order.obstacle(clip.start, clip.stop):
        return reason
    if clip.start and clip.start in _false_starts(clip.path, *stat_video(clip.path)):
        return "their first is called a key frame and is none (intra refresh)"
    return None


def groups(parts: Sequence[Clip | Drawn]) -> list[tuple[int, int]]:
    """(first, stop) of neighbours that must stay together: each goes on in one file where that cannot be cut."""
    begins = [i for i in range(len(parts)) if i == 0 or not _held_together(parts[i - 1], parts[i])]
    return list(zip(begins, [*begins[1:], len(parts)], strict=True)) if begins else []


def joined(clips: Sequence[Clip]) -> list[Clip]:
    """Clips of which each that goes on where the one before ends is one with it."""
    made: list[Clip] = []
    for clip in clips:
        if made and _goes_on(made[-1], clip):
            made[-1] = Clip(clip.path, made[-1].start, clip.stop)
        else:
            made.append(clip)
    return made


def _goes_on(before: Clip | Drawn, part: Clip | Drawn) -> bool:
    if not isinstance(before, Clip) or not isinstance(part, Clip):
        return False
    return before.path == part.path and before.stop == part.start


def _held_together(before: Clip | Drawn, part: Clip | Drawn) -> bool:
    if not _goes_on(before, part) or not isinstance(part, Clip):
        return False
    try:
        return not can_cut(part.path, part.start)
    except CutError:
        return False


# Files are known by size and time of change too: one process may see a file before and after it is replaced.
@lru_cache(maxsize=4096)
def _order(path: Path, size: int, mtime: int) -> DecodingOrder:
    return decoding_order(path)


@lru_cache(maxsize=4096)
def _false_starts(path: Path, size: int, mtime: int) -> frozenset[int]:
    return false_starts(path)

"""Family S, second part: what info.json says of the whole dataset, in numbers."""

import math
import re
from collections.abc import Iterator
from typing import Any

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import INFO, RawLeRobot
from robomix.tools.check.raw.values import whole

DEFECTS = defects(
    Defect(
        "S04",
        "totals of info.json wrong",
        Verdict.FAIL,
        Depth.META,
        "Readers that trust them ask for episodes that do not exist, or never reach the last ones.",
        Repair.CERTAIN,
    ),
    Defect(
        "S05",
        "splits outside the episodes",
        Verdict.WARN,
        Depth.META,
        "Whoever trains on a split by name gets other episodes than were meant, or an error.",
        Repair.CERTAIN,
    ),
    Defect(
        "S06",
        "fps missing, impossible or fractional",
        Verdict.FAIL,
        Depth.META,
        "Frames cannot be found by time; readers that cut 29.97 to 29 are a second off after half a minute.",
        Repair.FLAG,
        "fps",
    ),
)

_RANGE = re.compile(r"\s*(\d{1,15})\s*:\s*(\d{1,15})\s*")


def totals(raw: RawLeRobot) -> Iterator[Finding]:
    """S04: each total is what the metadata lists, or what the files hold; where these differ, others tell of it."""
    counts = _counts(raw)
    listed, frames = counts["total_episodes"][0], counts["total_frames"][0]
    ahead = all(_above(raw.info.get(key), counts[key]) for key in ("total_episodes", "total_frames"))
    for key, right in counts.items():
        found = raw.info.get(key)
        is_optional = key in ("total_videos", "total_chunks") and found is None
        if whole(found) in right or is_optional or (key in _AHEAD and ahead):
            continue
        mild = key not in _AHEAD
        yield Finding(
            DEFECTS["S04"],
            f"{key} is {found!r}" if key in raw.info else f"{INFO} has no {key}",
            f"{right[0]:,}, for {listed:,} episodes of {frames:,} frames",
            file=INFO,
            verdict=Verdict.WARN if mild else None,
        )


_AHEAD = ("total_episodes", "total_frames")
"""Where both are too large, a recording was killed: that is E11."""


def _counts(raw: RawLeRobot) -> dict[str, tuple[int, ...]]:
    """Each total with the values that are right."""
    listed = len(raw.episode_rows)
    frames = sum(max(0, length) for length in raw.lengths.values())
    rows = sum(file.num_rows for file in raw.data) if raw.data and not raw.broken_data else frames
    counts: dict[str, tuple[int, ...]] = {
        "total_episodes": (listed,),
        "total_frames": (frames, rows),
        "total_tasks": (len({index for index, _ in raw.tasks}),) if _readable(raw) else (),
        "total_videos": (listed * len(raw.cameras), len(raw.video_names)),
        "total_chunks": (math.ceil(listed / raw.chunks_size),),
    }
    return {key: right for key, right in counts.items() if right}


def _readable(raw: RawLeRobot) -> bool:
    try:
        return all(isinstance(index, int | str | None) for index, _ in raw.tasks)
    except UnverifiableError:
        return False


def _above(found: Any, right: tuple[int, ...]) -> bool:
    value = whole(found)
    return value is not None and value > max(right)


def splits(raw: RawLeRobot) -> Iterator[Finding]:
    """S05: `a:b` of each split lies within the episodes."""
    count, found = len(raw.episode_rows), raw.info.get("splits")
    if found is None:
        return
    if not isinstance(found, dict):
        what = f"splits is {str(found)[:60]!r}"
        yield Finding(DEFECTS["S05"], what, 'an object such as {"train": "0:10"}', file=INFO)
        return
    for name, text in found.items():
        match = _RANGE.fullmatch(text) if isinstance(text, str) else None
        if match is None or not int(match[1]) < int(match[2]) <= count:
            what = f"the split {str(name)[:40]!r} is {str(text)[:40]!r}"
            yield Finding(DEFECTS["S05"], what, f"a range within 0:{count}", file=INFO)


def rate(raw: RawLeRobot) -> Iterator[Finding]:
    """S06: a number of frames per second."""
    found = raw.info.get("fps")
    said = f"fps is {str(found)[:40]}" if "fps" in raw.info else f"{INFO} has no fps"
    expected = "the frames per second of the recording, such as 30"
    try:
        fps = raw.fps
    except UnverifiableError:
        yield Finding(DEFECTS["S06"], said, expected, file=INFO)
        return
    if fps != round(fps):
        yield Finding(DEFECTS["S06"], said, "a whole number, to which older readers cut it", file=INFO,
                      verdict=Verdict.WARN, mendable=False)  # fmt: skip


FAMILY = Family(
    "totals",
    DEFECTS,
    (
        Check(("S04",), Depth.META, totals),
        Check(("S05",), Depth.META, splits),
        Check(("S06",), Depth.META, rate),
    ),
)

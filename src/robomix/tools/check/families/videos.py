"""Family V, files: what each video file is, by its packets, against what the dataset says of it."""

from collections.abc import Callable, Iterator

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.values import number
from robomix.tools.check.raw.videos import VideoFacts

TOLERANCE = 1e-4
"""Seconds: LeRobot's `tolerance_s`, by which a frame may miss its time."""

DEFECTS = defects(
    Defect(
        "V01",
        "video file that cannot be opened",
        Verdict.FAIL,
        Depth.FILES,
        "The frames of its episodes cannot be read, and a training stops when it comes to them.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "V02",
        "video file that is cut off",
        Verdict.FAIL,
        Depth.FILES,
        "Its last frames are not there: a training stops when it comes to them.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "V06",
        "frames are not shown at frame number / fps",
        Verdict.WARN,
        Depth.FILES,
        "Readers that look frames up by time refuse them or take the frame beside; robomix goes by frame number.",
        Repair.CERTAIN,
    ),
    Defect(
        "V07",
        "decoding times do not rise, or are not allowed for",
        Verdict.WARN,
        Depth.FILES,
        "The file cannot be joined or cut by copying, and players show its frames late.",
        Repair.CERTAIN,
    ),
)


def unreadable(raw: RawLeRobot) -> Iterator[Finding]:
    problems: dict[str | None, dict[str, str]] = {}
    for name in raw.video_names:
        if isinstance(problem := raw.footage.videos[name], str):
            problems.setdefault(_key_of(raw, name), {})[name] = problem
    for key, names in problems.items():
        first = min(names)
        yield Finding(
            DEFECTS["V01"],
            found=f"{number(len(names), 'file')}, such as {first}: it {names[first]}",
            expected="a video that can be opened",
            key=key,
            episodes=raw.footage.episodes_in(names),
            file=first if len(names) == 1 else None,
        )


def cut_off(raw: RawLeRobot) -> Iterator[Finding]:
    for name in raw.video_names:
        facts = raw.footage.videos.facts(name)
        if facts is not None and facts.is_cut_off:
            promised = f"its header promises {facts.declared_count:,} frames, " if facts.declared_count else ""
            stopped = f" ({facts.damage})" if facts.damage else ""
            yield Finding(
                DEFECTS["V02"],
                found=f"{name}: {promised}{facts.count:,} are there{stopped}",
                expected="all frames that the header promises",
                key=_key_of(raw, name),
                episodes=_episodes_behind(raw, name, facts.count),
                file=name,
            )


def _episodes_behind(raw: RawLeRobot, name: str, count: int) -> tuple[int, ...]:
    """The episodes in this file that need a frame from `count` on."""
    try:
        fps = float(raw.footage.fps)
        windows = [window for (_, file), some in raw.footage.by_file.items() if file == name for window in some]
    except UnverifiableError:
        return ()
    behind = {w.episode for w in windows if not np.isfinite(w.start) or w.start * fps + w.length > count + 0.5}
    return tuple(sorted(behind))


def off_time(raw: RawLeRobot) -> Iterator[Finding]:
    fps = float(raw.footage.fps)
    yield from by_camera(raw, DEFECTS["V06"], lambda facts: _off_time(facts, fps), f"frame k at k / {fps:g} s")


def _off_time(facts: VideoFacts, fps: float) -> str | None:
    if not facts.count:
        return "there is no frame"
    if not facts.is_timed:
        return "frames have no presentation time"
    seconds = facts.seconds - (facts.seconds[0] if facts.lacks_edit_list else 0)
    off = np.abs(seconds - np.arange(facts.count) / fps)
    if off.max() > TOLERANCE:
        frame = int(np.argmax(off > TOLERANCE))
        rate = facts.rate or fps
        pace = f"; frames follow each other at {rate:.4g} per second" if abs(rate - fps) > 1e-3 * fps else ""
        return f"frame {frame} is shown at {seconds[frame]:.4f} s, not {frame / fps:.4f} s{pace}"
    if facts.average_rate and (facts.count - 1) * abs(float(facts.average_rate) / fps - 1) >= 0.5:
        return f"the header says {float(facts.average_rate):.6g} frames per second, by which frames are miscounted"
    return None


def decoding_order(raw: RawLeRobot) -> Iterator[Finding]:
    expected = "rising decoding times, and an edit list that makes the first frame start at 0"
    yield from by_camera(raw, DEFECTS["V07"], _disorder, expected)


def _disorder(facts: VideoFacts) -> str | None:
    if (np.diff(facts.decode_times) <= 0).any():
        return "decoding times do not rise from packet to packet"
    if facts.lacks_edit_list:
        shown = f"{facts.seconds[0]:.4f} s"
        return f"frames are reordered (B-frames), and for lack of an edit list the first is shown at {shown}"
    return None


def by_camera(
    raw: RawLeRobot,
    defect: Defect,
    look: Callable[[VideoFacts], str | None],
    expected: str,
    verdict: Verdict | None = None,
) -> Iterator[Finding]:
    """One finding for each camera in whose files `look` sees something, which it says in words."""
    for key, files in raw.footage.facts_by_key().items():
        odd = {name: what for name, facts in files.items() if (what := look(facts))}
        if odd:
            first = min(odd)
            yield Finding(
                defect,
                found=f"{len(odd)} of {len(files)} files, such as {first}: {odd[first]}",
                expected=expected,
                key=key,
                episodes=raw.footage.episodes_in(odd),
                file=first if len(odd) == 1 else None,
                verdict=verdict,
            )


def _key_of(raw: RawLeRobot, name: str) -> str | None:
    try:
        return raw.footage.key_of(name)
    except UnverifiableError:
        return None


FAMILY = Family(
    "video files",
    DEFECTS,
    (
        Check(("V01",), Depth.FILES, unreadable),
        Check(("V02",), Depth.FILES, cut_off),
        Check(("V06",), Depth.FILES, off_time),
        Check(("V07",), Depth.FILES, decoding_order),
    ),
)

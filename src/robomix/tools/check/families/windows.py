"""Family V, places: where the metadata says that an episode's frames lie, against the frames that are there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.videos import VideoFacts
from robomix.tools.check.raw.windows import Window

TOLERANCE = 1e-4
"""Seconds: LeRobot's `tolerance_s`, by which a time may miss a video frame."""

DEFECTS = defects(
    Defect(
        "V03",
        "video frames and rows differ in number",
        Verdict.FAIL,
        Depth.FILES,
        "Pictures and actions of the episode are out of step, or reading its last frames fails.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "V04",
        "episodes overlap, leave gaps, or run past the end in a video",
        Verdict.FAIL,
        Depth.FILES,
        "Episodes are shown each other's frames, or frames that do not exist.",
        Repair.CERTAIN,
    ),
    Defect(
        "V05",
        "from_timestamp or to_timestamp is not on a frame",
        Verdict.FAIL,
        Depth.META,
        "Readers that look frames up by time refuse the episode, or take the frame beside.",
        Repair.CERTAIN,
    ),
)


@dataclass(frozen=True)
class _Place:
    """An episode's frames in its file, as readers take them: from its start, as many as it has rows."""

    window: Window
    first: int
    stop: int


def off_frame(raw: RawLeRobot) -> Iterator[Finding]:
    """From the metadata alone."""
    if raw.layout == "v2":
        return
    fps = float(raw.footage.fps)
    for key in raw.cameras:
        windows = [window for window in raw.footage.windows if window.key == key and window.file is not None]
        wrong = {window.episode: what for window in windows if (what := _off_frame(window, fps))}
        if wrong:
            yield _off(key, wrong)


def wrong_span(raw: RawLeRobot) -> Iterator[Finding]:
    """Windows on the grid whose span is not that of the rows."""
    if raw.layout == "v2":
        return
    fps = float(raw.footage.fps)
    for key in raw.cameras:
        wrong = {
            window.episode: f"the window {window.start:.4f} to {window.stop:.4f} s holds "
            f"{(window.stop - window.start) * fps:.2f} frames, but the episode has {window.length} rows"
            for (of, _), windows in raw.footage.by_file.items()
            for window in windows
            if of == key and not _off_frame(window, fps) and not _spans_rows(window, fps)
        }
        if wrong:
            yield _off(key, wrong)


def _off(key: str, wrong: dict[int, str]) -> Finding:
    episode = min(wrong)
    return Finding(
        DEFECTS["V05"],
        found=f"{len(wrong):,} episodes, such as episode {episode}: {wrong[episode]}",
        expected="from_timestamp = first frame / fps, to_timestamp = from_timestamp + length / fps",
        key=key,
        episodes=tuple(sorted(wrong)),
    )


def _off_frame(window: Window, fps: float) -> str | None:
    start, stop = window.start, window.stop
    if not np.isfinite([start, stop]).all() or start < 0:
        return f"the window is {start:g} to {stop:g} s"
    for name, seconds in (("from_timestamp", start), ("to_timestamp", stop)):
        if abs(seconds * fps - round(seconds * fps)) > TOLERANCE * fps:
            return f"{name} {seconds:.6f} s lies between two frames"
    return None


def _spans_rows(window: Window, fps: float) -> bool:
    return abs((window.stop - window.start) * fps - window.length) <= TOLERANCE * fps


def counts(raw: RawLeRobot) -> Iterator[Finding]:
    """Frames that the windows hold: all of the file in v2.x, those shown within the window in v3.0."""
    fps = float(raw.footage.fps)
    for key in raw.cameras:
        wrong: dict[int, str] = {}
        for facts, windows in _whole_files(raw, key):
            for window in windows:
                has = facts.count if raw.layout == "v2" else _shown_within(facts, window, fps)
                if has is not None and has != window.length:
                    wrong[window.episode] = f"{window.file} has {has} frames for {window.length} rows"
        if wrong:
            yield Finding(
                DEFECTS["V03"],
                found=f"{len(wrong):,} episodes, such as episode {min(wrong)}: {wrong[min(wrong)]}",
                expected="a frame for each row",
                key=key,
                episodes=tuple(sorted(wrong)),
                file=_only_file(raw, key, wrong),
            )


def _shown_within(facts: VideoFacts, window: Window, fps: float) -> int | None:
    """None where another check tells what is wrong with the window or the file."""
    if _off_frame(window, fps) or not _spans_rows(window, fps) or not facts.is_timed:
        return None
    if round(window.start * fps) + window.length > facts.count:
        return None
    if facts.rate is None or abs(facts.rate / fps - 1) > 1e-3:
        return None  # V06 tells
    zero = facts.seconds[0]
    begin, end = np.searchsorted(facts.seconds - zero, [window.start - 0.5 / fps, window.stop - 0.5 / fps])
    return int(end - begin)


def places(raw: RawLeRobot) -> Iterator[Finding]:
    if raw.layout == "v2":
        return
    fps = float(raw.footage.fps)
    for key in raw.cameras:
        for facts, windows in _whole_files(raw, key):
            taken = [
                _Place(window, first, first + window.length)
                for window in windows
                if np.isfinite(window.start) and (first := round(window.start * fps)) >= 0
            ]
            taken.sort(key=lambda place: (place.first, place.stop))
            tiles = len(taken) == len(windows) and sum(place.window.length for place in taken) == facts.count
            yield from _misplaced(key, facts, taken, tiles)


def _misplaced(key: str, facts: VideoFacts, taken: list[_Place], tiles: bool) -> Iterator[Finding]:
    past = [place for place in taken if place.stop > facts.count]
    overlapping, gaps, end = set[int](), list[str](), 0
    before: _Place | None = None
    for place in taken:
        if place.first < end and before is not None:
            overlapping |= {before.window.episode, place.window.episode}
        elif place.first > end:
            gaps.append(f"{end} to {place.first - 1}")
        if place.stop >= end:
            before, end = place, place.stop
    if taken and end < facts.count:
        gaps.append(f"{end} to {facts.count - 1}")
    file = taken[0].window.file if taken else None
    for problem, episodes, verdict in (
        (f"runs past the end of {file}, which has {facts.count:,} frames", _episodes(past), Verdict.FAIL),
        (f"shares frames of {file} with another", tuple(sorted(overlapping)), Verdict.FAIL),
    ):
        if episodes:
            found = f"{'episode' if len(episodes) == 1 else 'each of the episodes'} {problem}"
            yield _at(key, file, found, episodes, verdict, tiles)
    if gaps:
        more = f" and {len(gaps) - 3} more places" if len(gaps) > 3 else ""
        found = f"frames {', '.join(gaps[:3])}{more} of {file} belong to no episode"
        yield _at(key, file, found, (), Verdict.WARN, tiles, None if tiles else "drop_orphans")


def _at(
    key: str,
    file: str | None,
    found: str,
    episodes: tuple[int, ...],
    verdict: Verdict,
    tiles: bool,
    remedy: str | None = None,
) -> Finding:
    expected, mendable = "episodes one behind the other, over the whole file", tiles or remedy is not None
    return Finding(DEFECTS["V04"], found, expected, key, episodes, file, verdict, mendable=mendable, remedy=remedy)


def _whole_files(raw: RawLeRobot, key: str) -> Iterator[tuple[VideoFacts, Sequence[Window]]]:
    """The camera's files that are not cut off (V01 and V02 tell of others), with the windows in them."""
    for (of, name), windows in raw.footage.by_file.items():
        facts = raw.footage.videos.facts(name) if of == key else None
        if facts is not None and not facts.is_cut_off:
            yield facts, windows


def _episodes(some: Sequence[_Place]) -> tuple[int, ...]:
    return tuple(sorted(place.window.episode for place in some))


def _only_file(raw: RawLeRobot, key: str, episodes: dict[int, str]) -> str | None:
    files = {window.file for window in raw.footage.windows if window.key == key and window.episode in episodes}
    return files.pop() if len(files) == 1 else None


FAMILY = Family(
    "episodes in videos",
    DEFECTS,
    (
        Check(("V05",), Depth.META, off_frame),
        Check(("V05",), Depth.FILES, wrong_span),
        Check(("V03",), Depth.FILES, counts),
        Check(("V04",), Depth.FILES, places),
    ),
)

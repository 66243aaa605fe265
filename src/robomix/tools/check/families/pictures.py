"""Family V, pictures: what shows only when every frame is decoded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.formats.lerobot.features import is_depth
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, UnverifiableError, Verdict
from robomix.tools.check.raw.glances import Glances
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.values import mapping, number
from robomix.tools.check.raw.videos import VideoFacts

BLACK, BLOWN = 10, 245
"""Brightness, 0 to 255, below or above which all of a picture lies."""
FROZEN_SECONDS, FROZEN_SHARE = 1.0, 0.05
"""A run of equal pictures that is longer than both, in seconds and as a share of its episode, is frozen."""
REPEATED_SHARE = 0.1
"""Of an episode's frames that equal the one before: beyond it, the camera gave fewer frames than were recorded."""
CUT_STEP, CUT_FACTOR = 32, 10
"""Mean change of brightness between two frames, and its multiple of the episode's usual, that look like a cut."""

DEFECTS = defects(
    Defect(
        "V09",
        "frames that cannot be decoded",
        Verdict.FAIL,
        Depth.DECODE,
        "A training stops when it comes to them.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "V12",
        "black, blown, frozen or repeated pictures, or red and blue exchanged",
        Verdict.INFO,
        Depth.DECODE,
        "The policy acts on pictures that do not show what the robot did, or in other colours than at deployment.",
    ),
    Defect(
        "V13",
        "a cut within an episode",
        Verdict.INFO,
        Depth.DECODE,
        "Frames of another take may be in the episode: pictures and actions would not belong together.",
    ),
)


@dataclass(frozen=True)
class _Shot:
    """The decoded frames of one episode."""

    episode: int
    grey: np.ndarray
    """(n, 8, 8) uint8"""
    checksums: np.ndarray

    @property
    def repeats(self) -> np.ndarray:
        """(n,) bool: frames equal to the one before."""
        return np.concatenate([[False], self.checksums[1:] == self.checksums[:-1]])


def undecodable(raw: RawLeRobot) -> Iterator[Finding]:
    for key, files in raw.footage.facts_by_key().items():
        for name, facts in files.items():
            glances = raw.footage.glances(name)
            if glances is None or len(glances.times) >= facts.count:
                continue
            lost = _lost(facts, glances)
            yield Finding(
                DEFECTS["V09"],
                found=f"{name}: {facts.count - len(glances.times):,} of {facts.count:,} frames cannot be decoded"
                + (f", the first is frame {lost[0]}" if len(lost) else ""),
                expected="every packet gives a frame",
                key=key,
                episodes=_episodes_of(raw, name, lost),
                file=name,
            )


def _lost(facts: VideoFacts, glances: Glances) -> np.ndarray:
    """Numbers of the frames that were not decoded; none where times do not tell frames apart."""
    if not facts.is_timed:
        return np.zeros(0, np.int64)
    return np.flatnonzero(~np.isin(np.sort(facts.times), glances.times))


def _episodes_of(raw: RawLeRobot, name: str, frames: np.ndarray) -> tuple[int, ...]:
    try:
        fps = float(raw.footage.fps)
        windows = [window for (_, file), some in raw.footage.by_file.items() if file == name for window in some]
    except UnverifiableError:
        return ()
    starts = {w.episode: (round(w.start * fps), w.length) for w in windows if np.isfinite(w.start)}
    return tuple(sorted(e for e, (a, n) in starts.items() if ((frames >= a) & (frames < a + n)).any()))


def poor_pictures(raw: RawLeRobot) -> Iterator[Finding]:
    fps = float(raw.footage.fps)
    for key in raw.cameras:
        if is_depth(raw.features[key]):
            continue
        black, blown, frozen, repeated = dict[int, int](), dict[int, int](), dict[int, int](), dict[int, int]()
        for shot in _shots(raw, key):
            length, runs = len(shot.grey), _longest_run(shot.repeats)
            dark = int((shot.grey.max((1, 2)) < BLACK).sum())
            bright = int((shot.grey.min((1, 2)) > BLOWN).sum())
            again = int(shot.repeats.sum())
            if dark:
                black[shot.episode] = dark
            if bright:
                blown[shot.episode] = bright
            if runs > max(FROZEN_SECONDS * fps, FROZEN_SHARE * length):
                frozen[shot.episode] = runs
            elif again > max(REPEATED_SHARE * length, 5):
                repeated[shot.episode] = again
        for what, episodes, expected in (
            ("frames are black", black, "pictures of the scene"),
            ("frames are white", blown, "pictures of the scene"),
            ("frames in a row are equal", frozen, "pictures that move with the robot"),
            ("frames equal the one before: the camera gave fewer than fps says", repeated, "a new picture each frame"),
        ):
            if episodes:
                most = max(episodes, key=lambda episode: episodes[episode])
                yield Finding(
                    DEFECTS["V12"],
                    found=f"in {number(len(episodes), 'episode')} {what}; most, {episodes[most]:,}, in episode {most}",
                    expected=expected,
                    key=key,
                    episodes=tuple(sorted(episodes)),
                )


def exchanged_colours(raw: RawLeRobot) -> Iterator[Finding]:
    """Statistics are made of pictures before coding: where they have red and blue the other way round, one is wrong."""
    for key, files in raw.footage.facts_by_key().items():
        said = _stored_colour(raw, key)
        parts = [glances.colours for name in files if (glances := raw.footage.glances(name)) is not None]
        if said is None or not parts or not len(seen := np.concatenate(parts)):
            continue
        is_, swapped = np.abs(seen.mean(0) - said).max(), np.abs(seen.mean(0)[::-1] - said).max()
        if swapped < 0.02 and is_ > 0.06:
            yield Finding(
                DEFECTS["V12"],
                found=f"mean red/green/blue are {_rgb(seen.mean(0))} in the videos, {_rgb(said)} in the statistics",
                expected="red and blue in the same order; one of them was exchanged",
                key=key,
            )


def cuts(raw: RawLeRobot) -> Iterator[Finding]:
    for key in raw.cameras:
        found = {shot.episode: at for shot in _shots(raw, key) if (at := _cut(shot.grey)) is not None}
        if found:
            episode = min(found)
            yield Finding(
                DEFECTS["V13"],
                found=f"in {number(len(found), 'episode')} the picture changes at once, such as at frame "
                f"{found[episode]} of episode {episode}",
                expected="pictures that change gradually",
                key=key,
                episodes=tuple(sorted(found)),
            )


def _cut(grey: np.ndarray) -> int | None:
    """The frame before which the picture jumps as it does nowhere else in the episode."""
    if len(grey) < 20:
        return None
    steps = np.abs(np.diff(grey.astype(np.int16), axis=0)).mean((1, 2))
    at = int(np.argmax(steps))
    usual = np.partition(steps, -4)[-4]  # a cut is one step, or two where something flashes up
    return at + 1 if steps[at] > max(CUT_STEP, CUT_FACTOR * usual) else None


def _shots(raw: RawLeRobot, key: str) -> Iterator[_Shot]:
    """The episodes of a camera whose files decode whole."""
    fps = float(raw.footage.fps)
    for (of, name), windows in raw.footage.by_file.items():
        facts = raw.footage.videos.facts(name) if of == key else None
        glances = raw.footage.glances(name) if facts is not None else None
        if facts is None or glances is None or len(glances.times) != facts.count:
            continue
        for window in windows:
            if np.isfinite(window.start):
                first = round(window.start * fps)
                rows = slice(first, first + window.length)
                if len(glances.grey[rows]):
                    yield _Shot(window.episode, glances.grey[rows], glances.checksums[rows])


def _longest_run(repeats: np.ndarray) -> int:
    """Pictures in the longest row of equal ones."""
    changes = np.flatnonzero(~repeats)
    return int(np.diff(np.append(changes, len(repeats))).max())


def _stored_colour(raw: RawLeRobot, key: str | None) -> np.ndarray | None:
    """(3,) mean red, green, blue of a camera, 0 to 1, by the stored statistics; None: they do not say."""
    try:
        return _mean(mapping(raw.stats.get(key or "")))
    except UnverifiableError:
        pass
    try:
        means = raw.episode_stats.values.get(key or "", {}).get("mean", np.empty((0, 3)))
    except UnverifiableError:
        return None
    sound = np.isfinite(means).all(axis=1) & (means <= 1).all(axis=1)
    return means[sound].mean(axis=0) if means.shape[1] == 3 and sound.any() else None


def _mean(stats: Mapping[str, Any]) -> np.ndarray | None:
    try:
        mean = np.array(stats.get("mean"), np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return mean if mean.shape == (3,) and np.isfinite(mean).all() and mean.max() <= 1 else None


def _rgb(values: np.ndarray) -> str:
    return "/".join(f"{value:.2f}" for value in values)


FAMILY = Family(
    "pictures",
    DEFECTS,
    (
        Check(("V09",), Depth.DECODE, undecodable),
        Check(("V12",), Depth.DECODE, poor_pictures),
        Check(("V12",), Depth.DECODE, exchanged_colours),
        Check(("V13",), Depth.DECODE, cuts),
    ),
)

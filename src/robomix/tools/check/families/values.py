"""Family T: the numbers themselves, of datasets of every format.

Only numbers that are none are more than information: recordings of real robots are full of standstill, constant joints
and clipped grippers, and thresholds here are so that these go by.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.recording import Recording
from robomix.tools.check.raw.values import number, some

FEW_ROWS = 50
"""Below, nothing statistical is said."""
CLIPPED = 0.5
"""Share of the rows at the ends of the range, beyond which values were probably clipped."""
STILL = 0.8
"""Share of an episode's steps without any change, beyond which it is told of."""
FROZEN_SECONDS, FROZEN_SHARE = 1.0, 0.05
"""Observations that stand still while actions change: longer than both, in seconds and as a share of the episode."""
JUMP = 0.25
"""Share of the whole range of an entry, from which on a step is a jump."""
CHATTER, CHATTER_PER_SECOND = 6, 1.0
"""Switches of a gripper in an episode, and in a second, from which on it chatters."""
LATE_SECONDS = 0.5
"""Lag of the state behind the action, from which on it is told of."""
ALIKE = 0.1
"""Share of the state's variance that may remain where actions are said to be shifted states."""

DEFECTS = defects(
    Defect(
        "T01",
        "numbers that are NaN or infinite",
        Verdict.FAIL,
        Depth.FILES,
        "One NaN in a batch makes the loss NaN, and from then on every weight of the policy.",
        Repair.FLAG,
        "drop_episodes",
    ),
    Defect(
        "T02",
        "entries that never change",
        Verdict.INFO,
        Depth.FILES,
        "Normalization divides by a standard deviation of about zero, which blows rounding errors up if done naively.",
    ),
    Defect(
        "T03",
        "most values lie at the ends of the range",
        Verdict.INFO,
        Depth.FILES,
        "Values were probably clipped when recorded, so the policy cannot learn how far beyond the robot went.",
    ),
    Defect(
        "T04",
        "standstill",
        Verdict.INFO,
        Depth.FILES,
        "The policy learns to wait, or sees a state that no longer follows the robot.",
    ),
    Defect(
        "T05",
        "jumps",
        Verdict.INFO,
        Depth.FILES,
        "A lost sample or an angle that wraps around: the policy is asked for motions the robot never made.",
    ),
    Defect(
        "T06",
        "gripper that chatters",
        Verdict.INFO,
        Depth.FILES,
        "The gripper opens and closes faster than a person would: noise around its threshold is learned as action.",
    ),
    Defect(
        "T08",
        "actions and states are shifted in time",
        Verdict.INFO,
        Depth.FILES,
        "The policy learns to act on what it will see later, or to repeat the state it is in.",
    ),
)


class Subject(Protocol):
    """What the checks of values are given: a dataset of any format."""

    root: Path

    @property
    def fps(self) -> float: ...

    @property
    def recording(self) -> Recording: ...


def not_finite(subject: Subject) -> Iterator[Finding]:
    for key, values in subject.recording.profile.values.items():
        if values.broken:
            rows = sum(values.broken.values())
            yield Finding(
                DEFECTS["T01"],
                found=f"{number(rows, 'row')} in {number(len(values.broken), 'episode')}",
                expected="finite numbers",
                key=key,
                episodes=tuple(sorted(values.broken)),
            )


def constant(subject: Subject) -> Iterator[Finding]:
    profile = subject.recording.profile
    for key, values in profile.values.items():
        if values.is_motion and values.rows >= FEW_ROWS:
            still = np.flatnonzero((values.span == 0) & (values.counts > 0)).tolist()
            if still:
                yield Finding(
                    DEFECTS["T02"],
                    found=f"{len(still)} of {values.width} entries never change: "
                    + some(values.entry(place) for place in still),
                    expected="values that change",
                    key=key,
                )


def clipped(subject: Subject) -> Iterator[Finding]:
    for key, values in subject.recording.profile.values.items():
        if not values.is_motion or values.rows < FEW_ROWS:
            continue
        share = (values.at_low + values.at_high) / np.maximum(values.counts, 1)
        # Of a switch, all values are at the ends; of a clipped signal, some lie between.
        places = np.flatnonzero((share > CLIPPED) & (share < 0.99) & (values.span > 0))
        if len(places):
            yield Finding(
                DEFECTS["T03"],
                found="; ".join(
                    f"{values.entry(place)}: {values.at_low[place] / values.counts[place]:.0%} at "
                    f"{values.low[place]:g}, {values.at_high[place] / values.counts[place]:.0%} at "
                    f"{values.high[place]:g}"
                    for place in places[:3].tolist()
                ),
                expected=f"at most {CLIPPED:.0%} of the values at the ends of their range",
                key=key,
            )


def standstill(subject: Subject) -> Iterator[Finding]:
    profile = subject.recording.profile
    fps = profile.fps or 30.0
    still = {e.episode: e.still for e in profile.episodes if e.still > STILL and e.length >= FEW_ROWS}
    if still:
        worst = max(still, key=lambda episode: still[episode])
        yield Finding(
            DEFECTS["T04"],
            found=f"in {number(len(still), 'episode')} neither actions nor observations change in more than "
            f"{STILL:.0%} of the steps; {still[worst]:.0%} in episode {worst}",
            expected="a robot that moves",
            episodes=tuple(sorted(still)),
        )
    frozen = {
        e.episode: e.frozen for e in profile.episodes if e.frozen > max(FROZEN_SECONDS * fps, FROZEN_SHARE * e.length)
    }
    if frozen:
        worst = max(frozen, key=lambda episode: frozen[episode])
        yield Finding(
            DEFECTS["T04"],
            found=f"in {number(len(frozen), 'episode')} observations stand still while actions change, for up to "
            f"{frozen[worst]:,} frames in episode {worst}",
            expected="observations that follow the robot",
            episodes=tuple(sorted(frozen)),
        )


def jumps(subject: Subject) -> Iterator[Finding]:
    for key, values in subject.recording.profile.values.items():
        if _RATE.search(key):
            continue
        span = values.span
        found = [jump for jump in values.jumps if jump[3] > JUMP * span[jump[2]]]
        if found:
            episode, frame, place, size = max(found, key=lambda jump: jump[3] / span[jump[2]])
            turn = next((f", a full turn ({unit})" for unit, full in _TURNS if abs(size - full) < 0.05 * full), "")
            yield Finding(
                DEFECTS["T05"],
                found=f"{values.entry(place)} changes by {size:.4g}{turn} of {span[place]:.4g} before frame {frame} of "
                f"episode {episode}, ten times its usual step",
                expected="steps that a robot can make",
                key=key,
                episodes=tuple(sorted({jump[0] for jump in found})),
            )


_RATE = re.compile(r"vel|delta|acc|force|torque|effort", re.IGNORECASE)
"""Features that may well change at once."""
_TURNS = (("radians", 2 * np.pi), ("degrees", 360.0), ("encoder steps", 4096.0))


def chatter(subject: Subject) -> Iterator[Finding]:
    profile = subject.recording.profile
    fps = profile.fps or 30.0
    found: dict[str, dict[int, int]] = {}
    for episode in profile.episodes:
        for name, switches in episode.switches.items() if episode.length >= FEW_ROWS else ():
            if switches > max(CHATTER, CHATTER_PER_SECOND * episode.length / fps):
                found.setdefault(name, {})[episode.episode] = switches
    for name, episodes in found.items():
        worst = max(episodes, key=lambda episode: episodes[episode])
        yield Finding(
            DEFECTS["T06"],
            found=f"{name} switches up to {episodes[worst]} times (episode {worst})",
            expected=f"at most {CHATTER_PER_SECOND:g} time a second",
            key=name.split(":")[0],
            episodes=tuple(sorted(episodes)),
        )


def shifted(subject: Subject) -> Iterator[Finding]:
    recording = subject.recording
    best = recording.profile.lags.best()
    if best is None or best[1] > ALIKE:
        return
    shift, left = best
    fps = recording.profile.fps or 30.0
    if shift < 0:
        what = f"actions are most like the states {-shift} frames before them: they were recorded late"
    elif shift > LATE_SECONDS * fps:
        what = f"states follow actions by {shift} frames, {shift / fps:.2f} s"
    else:
        return
    yield Finding(
        DEFECTS["T08"],
        found=f"{what} ({left:.1%} of the variance remains)",
        expected=f"states that follow actions within {LATE_SECONDS:g} s",
        key="action",
    )


FAMILY = Family(
    "values",
    DEFECTS,
    tuple(
        Check((id,), Depth.FILES, run)
        for id, run in (
            ("T01", not_finite),
            ("T02", constant),
            ("T03", clipped),
            ("T04", standstill),
            ("T05", jumps),
            ("T06", chatter),
            ("T08", shifted),
        )
    ),
)

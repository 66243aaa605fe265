"""What shows only when datasets are looked at together: copies, rates, and numbers that do not mean the same."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from robomix.tools.check.families import duplicates, meaning
from robomix.tools.check.families.values import FEW_ROWS, Subject
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, UnverifiableError, Verdict
from robomix.tools.check.raw import units
from robomix.tools.check.raw.profile import Values
from robomix.tools.check.raw.recording import Recording
from robomix.tools.check.raw.values import number, some

SCALE = 10.0
"""Ratio of two datasets' ranges of an entry, from which on they are told of."""
_QUARTERS = ((np.pi / 2, "radians"), (90.0, "degrees"))

DEFECTS = defects(
    Defect(
        "S07",
        "rates differ",
        Verdict.WARN,
        Depth.META,
        "A step of the policy lasts another time in each dataset, so the same action means another speed.",
    ),
    Defect(
        "T09",
        "ranges of the same entries do not meet",
        Verdict.INFO,
        Depth.FILES,
        "Normalized together, each dataset fills a part of the range only, and small motions vanish in one of them.",
    ),
)


def rates(subjects: Sequence[Subject]) -> Iterator[Finding]:
    known = {subject.root: fps for subject in subjects if (fps := _fps(subject)) is not None}
    if len(set(known.values())) > 1:
        yield Finding(
            DEFECTS["S07"],
            found=", ".join(f"{root.name}: {fps:g}" for root, fps in known.items()) + " frames per second",
            expected="one rate, or `fps` in the mixture file, by which robomix resamples",
            dataset=", ".join(map(str, known)),
        )


def _fps(subject: Subject) -> float | None:
    try:
        return subject.fps
    except UnverifiableError:
        return None


def copies(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """Episodes with equal actions, as `val_fraction` tells copies."""
    owners: dict[bytes, tuple[Recording, int]] = {}
    shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
    recordings = _recordings(subjects)
    for place, recording in enumerate(recordings):
        for episode in recording.profile.episodes:
            if not episode.length:
                continue
            owner = owners.setdefault(episode.actions, (recording, episode.episode))
            if owner[0] is not recording:
                shared.setdefault((recordings.index(owner[0]), place), []).append((owner[1], episode.episode))
    for (first, second), pairs in shared.items():
        yield Finding(
            duplicates.DEFECTS["T07"],
            found=f"{number(len(pairs), 'episode')} of {recordings[second].path} are in {recordings[first].path} too: "
            + some(f"{theirs} = {ours}" for ours, theirs in pairs),
            expected="every episode in one dataset",
            episodes=tuple(sorted(theirs for _, theirs in pairs)),
            dataset=str(recordings[second].path),
        )


def ranges(subjects: Sequence[Subject]) -> Iterator[Finding]:
    for one, two, a, b in _pairs(subjects):
        if _units(a, b):
            continue  # F09 tells
        odd: list[str] = []
        for left, right in _same_entries(a, b):
            spans = a.span[left], b.span[right]
            if min(spans) <= 0 or _turned(a, left, b, right):
                continue
            apart = max(a.low[left] - b.high[right], b.low[right] - a.high[left])
            ratio = max(spans) / min(spans)
            if ratio >= SCALE or apart > max(spans):
                odd.append(f"{a.entry(left)} {_range(a, left)} and {_range(b, right)}")
        if odd:
            yield _between(DEFECTS["T09"], one, two, a.key, some(odd), "ranges that overlap and are of one size")


def conventions(subjects: Sequence[Subject]) -> Iterator[Finding]:
    for one, two, a, b in _pairs(subjects):
        for found in (*_units(a, b), *_zeros(a, b), *_grippers(a, b)):
            yield _between(meaning.DEFECTS["F09"], one, two, a.key, found, "the same unit, zero and direction in both")


def _units(a: Values, b: Values) -> list[str]:
    said = units.angle_unit(a, units.joints(a)), units.angle_unit(b, units.joints(b))
    return [f"joints look like {said[0]} in the first and {said[1]} in the second"] if _differ(*said) else []


def _zeros(a: Values, b: Values) -> list[str]:
    """Joints whose ranges lie a quarter turn, or several, apart, or mirrored about zero."""
    joints = set(units.joints(a))
    found = [
        f"{a.entry(left)} is {turned}: {_range(a, left)} and {_range(b, right)}"
        for left, right in _same_entries(a, b)
        if left in joints and (turned := _turned(a, left, b, right))
    ]
    return [some(found)] if found else []


def _turned(a: Values, left: int, b: Values, right: int) -> str | None:
    overlap = min(a.high[left], b.high[right]) - max(a.low[left], b.low[right])
    spans = a.span[left], b.span[right]
    if min(spans) <= 0 or overlap > 0.2 * min(spans):
        return None
    mirrored = max(abs(a.low[left] + b.high[right]), abs(a.high[left] + b.low[right]))
    if mirrored < 0.1 * max(spans):
        return "mirrored"
    offset = abs((a.low[left] + a.high[left]) / 2 - (b.low[right] + b.high[right]) / 2)
    unit = units.angle_unit(a, units.joints(a))
    for quarter, name in _QUARTERS:
        turns = round(offset / quarter)
        if unit == name and 1 <= turns <= 4 and abs(offset - turns * quarter) < 0.1 * quarter:
            return f"shifted by about {turns * 90} degrees"
    return None


def _grippers(a: Values, b: Values) -> list[str]:
    found = []
    for left, right in _same_entries(a, b):
        if left not in a.grippers():
            continue
        said = units.gripper_unit(a, left), units.gripper_unit(b, right)
        if _differ(*said):
            found.append(f"{a.entry(left)} is {said[0]} in the first and {said[1]} in the second")
        elif None not in said:
            starts = units.starts_open(a, left), units.starts_open(b, right)
            if None not in starts and abs((starts[0] or 0) - (starts[1] or 0)) > 0.8:
                found.append(
                    f"episodes begin with {a.entry(left)} at one end of its range in the first, at the other in the "
                    "second: open and closed may be exchanged"
                )
    return found


def meanings(subjects: Sequence[Subject]) -> Iterator[Finding]:
    recordings = _recordings(subjects)
    said = [units.meaning_of_actions(recording.profile) for recording in recordings]
    known = [(recording, what) for recording, what in zip(recordings, said, strict=True) if what is not None]
    if len({"changes" in what for _, what in known}) > 1:
        yield Finding(
            meaning.DEFECTS["F10"],
            found="; ".join(f"{recording.path.name}: actions are {what}" for recording, what in known),
            expected="positions or changes in all of them",
            key="action",
            dataset=_together([recording for recording, _ in known]),
        )


def _recordings(subjects: Sequence[Subject]) -> list[Recording]:
    """Of the datasets whose numbers can be read; the checks of each say why others cannot."""
    found = []
    for subject in subjects:
        try:
            _ = subject.recording.profile  # reads the numbers
            found.append(subject.recording)
        except UnverifiableError:
            continue
    return found


def _pairs(subjects: Sequence[Subject]) -> Iterator[tuple[Recording, Recording, Values, Values]]:
    """Every two datasets with each feature that both have and that says what its entries are, or is of one robot."""
    for one, two in combinations(_recordings(subjects), 2):
        for key, a in one.profile.values.items():
            b = two.profile.values.get(key)
            if b is None or not a.is_motion or min(a.rows, b.rows) < FEW_ROWS:
                continue
            same_robot = one.robot_type is not None and one.robot_type == two.robot_type and a.width == b.width
            if (a.names and b.names) or same_robot:
                yield one, two, a, b


def _same_entries(a: Values, b: Values) -> list[tuple[int, int]]:
    """Positions of the entries of one name; by position where there are no names."""
    if not (a.names and b.names):
        return [(place, place) for place in range(min(a.width, b.width))]
    places = {name: place for place, name in enumerate(b.names)}
    return [(left, places[name]) for left, name in enumerate(a.names) if name in places]


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _between(defect: Defect, one: Recording, two: Recording, key: str, found: str, expected: str) -> Finding:
    where = f"{one.path.name} and {two.path.name}"
    return Finding(defect, found=f"{where}: {found}", expected=expected, key=key, dataset=_together([one, two]))


def _together(recordings: Sequence[Recording]) -> str:
    return ", ".join(str(recording.path) for recording in recordings)


def _range(values: Values, place: int) -> str:
    return f"{values.low[place]:.3g} to {values.high[place]:.3g}"


_CHECKS: tuple[tuple[str, Depth, Callable[[Sequence[Subject]], Iterator[Finding]]], ...] = (
    ("S07", Depth.META, rates),
    ("T07", Depth.FILES, copies),
    ("T09", Depth.FILES, ranges),
    ("F09", Depth.FILES, conventions),
    ("F10", Depth.FILES, meanings),
)
FAMILY = Family("across datasets", DEFECTS, tuple(Check((id,), depth, run) for id, depth, run in _CHECKS))

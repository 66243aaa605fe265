"""Family F, cameras: one camera under two names, and cameras whose names are exchanged, by what their pictures show.

Pictures are compared as averages over a dataset of 8 x 8 grey ones, so that only cameras that stand still in the same
room are told to be the same. A person must look before anything is renamed.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, UnverifiableError, Verdict
from robomix.tools.check.raw.lerobot import RawLeRobot

SAME, OTHER = 0.98, 0.8
"""Correlation of average pictures above which they show the same, and below which they do not."""

DEFECTS = defects(
    Defect(
        "F06",
        "one camera under two names, or names exchanged",
        Verdict.INFO,
        Depth.DECODE,
        "The policy is shown one camera in the place of another, or is told that it has no such view.",
    ),
)


def twice(raw: RawLeRobot) -> Iterator[Finding]:
    """Cameras of one dataset that have the same pictures."""
    seen = {key: found for key in raw.cameras if (found := _checksums(raw, key)) is not None}
    for one, other in combinations(seen, 2):
        if np.array_equal(seen[one], seen[other]) and len(np.unique(seen[one])) > 1:
            yield Finding(
                DEFECTS["F06"],
                found=f"all {len(seen[one]):,} pictures of {one} and {other} are the same",
                expected="another view by each camera",
                key=other,
                verdict=Verdict.WARN,
            )


def across(subjects: Sequence[object]) -> Iterator[Finding]:
    """Cameras of several LeRobot datasets."""
    averages = {raw: _averages(raw) for raw in subjects if isinstance(raw, RawLeRobot)}
    for one, two in combinations(averages, 2):
        yield from _exchanged(one, two, averages[one], averages[two])
        yield from _renamed(one, two, averages[one], averages[two])


def _exchanged(
    one: RawLeRobot, two: RawLeRobot, a: dict[str, np.ndarray], b: dict[str, np.ndarray]
) -> Iterator[Finding]:
    for left, right in combinations(sorted(a.keys() & b.keys()), 2):
        crossed = _alike(a[left], b[right]) > SAME and _alike(a[right], b[left]) > SAME
        if crossed and _alike(a[left], b[left]) < OTHER and _alike(a[right], b[right]) < OTHER:
            yield _finding(one, two, f"{left} and {right} look exchanged", left)


def _renamed(one: RawLeRobot, two: RawLeRobot, a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> Iterator[Finding]:
    for left, right in ((x, y) for x in a.keys() - b.keys() for y in b.keys() - a.keys()):
        others = [_alike(a[x], b[y]) for x, y in ((left, z) for z in b if z != right)]
        if _alike(a[left], b[right]) > SAME and max(others, default=0) < OTHER:
            yield _finding(one, two, f"{left} of the first looks like {right} of the second", left)


def _finding(one: RawLeRobot, two: RawLeRobot, what: str, key: str) -> Finding:
    return Finding(
        DEFECTS["F06"],
        found=f"{one.root.name} and {two.root.name}: {what}",
        expected="one name for one place of a camera; see feature_map",
        key=key,
        dataset=f"{one.root}, {two.root}",
    )


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures; 0 where one is a plain surface."""
    a, b = a.reshape(-1) - a.mean(), b.reshape(-1) - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 1e-6 and min(a.std(), b.std()) > 2 else 0.0


def _averages(raw: RawLeRobot) -> dict[str, np.ndarray]:
    """The average picture of each camera, (8, 8) float64, 0 to 255."""
    try:
        files = raw.footage.facts_by_key()
    except UnverifiableError:
        return {}
    found = {}
    for key, names in files.items():
        parts = [glances.grey for name in names if (glances := raw.footage.glances(name)) is not None]
        if key is not None and parts and sum(map(len, parts)):
            found[key] = np.concatenate(parts).mean(0, dtype=np.float64)
    return found


def _checksums(raw: RawLeRobot, key: str) -> np.ndarray | None:
    files = sorted(name for of, name in raw.footage.by_file if of == key)
    parts = [glances.checksums for name in files if (glances := raw.footage.glances(name)) is not None]
    return np.concatenate(parts) if parts and sum(map(len, parts)) else None


FAMILY = Family("cameras", DEFECTS, (Check(("F06",), Depth.DECODE, twice),))
ACROSS = Family("cameras across datasets", DEFECTS, (Check(("F06",), Depth.DECODE, across),))

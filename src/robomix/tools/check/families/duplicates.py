"""Family T, copies: episodes that a dataset has more than once."""

from collections.abc import Iterator

import numpy as np

from robomix.tools.check.families.values import FEW_ROWS, Subject
from robomix.tools.check.family import Check, Family, defects
from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.profile import EpisodeProfile
from robomix.tools.check.raw.values import some

NEAR = 1e-3
"""Share of the range of an entry, by which actions that are nearly equal may differ."""
_COORDINATES = 16
"""Numbers of an episode by which its neighbours are sought."""

DEFECTS = defects(
    Defect(
        "T07",
        "episodes that are there twice",
        Verdict.WARN,
        Depth.FILES,
        "Copies count twice in training, and a copy in the validation part makes the policy look better than it is.",
        Repair.FLAG,
        "drop_duplicates",
    ),
)


def copies_in(subject: Subject) -> list[tuple[int, ...]]:
    """The episodes of which all numbers are equal, by `episode_index`, each group rising."""
    return _groups((e.content, e.episode) for e in subject.recording.profile.episodes if e.length)


def duplicates(subject: Subject) -> Iterator[Finding]:
    episodes = [e for e in subject.recording.profile.episodes if e.length]
    copies = copies_in(subject)
    if copies:
        yield _copies(copies, "all numbers are equal", Verdict.WARN)
    alike = [group for group in _groups((e.actions, e.episode) for e in episodes) if group not in copies]
    if alike:
        yield _copies(alike, "the actions are equal, though other numbers are not", Verdict.INFO)
    near = _near([e for e in episodes if e.length >= FEW_ROWS])
    near = [pair for pair in near if not any(set(pair) <= set(group) for group in (*copies, *alike))]
    if near:
        yield _copies(near, "the actions are nearly equal", Verdict.INFO)


def _groups(pairs: Iterator[tuple[bytes, int]]) -> list[tuple[int, ...]]:
    """The episodes that share a digest, if more than one."""
    by_digest: dict[bytes, list[int]] = {}
    for digest, episode in pairs:
        by_digest.setdefault(digest, []).append(episode)
    return [tuple(group) for group in by_digest.values() if len(set(group)) > 1]


def _near(episodes: list[EpisodeProfile]) -> list[tuple[int, ...]]:
    """Episodes that move, each with the one most like it, where their sketches differ by less than `NEAR`."""
    sketched = [(e, e.sketch) for e in episodes if e.sketch is not None and np.isfinite(e.sketch).all()]
    if len(sketched) < 2 or len({sketch.shape for _, sketch in sketched}) != 1:
        return []
    sketches = np.stack([sketch for _, sketch in sketched]).astype(np.float64)
    span = np.ptp(sketches, axis=(0, 1))
    scaled = sketches[:, :, span > 0] / span[span > 0]
    moving = np.flatnonzero(np.ptp(scaled, axis=1).max(1, initial=0) > 0.1)
    if len(moving) < 2:
        return []
    points = scaled[moving].reshape(len(moving), -1)
    pairs = {tuple(sorted(moving[[a, b]].tolist())) for a, b in enumerate(_nearest(points)) if _alike(points, a, b)}
    found = [(sketched[a][0], sketched[b][0]) for a, b in sorted(pairs)]
    return [(a.episode, b.episode) for a, b in found if abs(a.length - b.length) <= 0.02 * a.length + 1]


def _nearest(points: np.ndarray) -> np.ndarray:
    """(n,) int64: for each point (n, D) another one near it, by a few of its coordinates; n if there is none."""
    from scipy.spatial import cKDTree  # importing it takes longer than many a command

    some_of = points[:, np.linspace(0, points.shape[1] - 1, min(_COORDINATES, points.shape[1])).astype(int)]
    _, found = cKDTree(some_of).query(some_of, k=2, p=np.inf, distance_upper_bound=NEAR)
    return np.where(found[:, 0] == np.arange(len(points)), found[:, 1], found[:, 0])


def _alike(points: np.ndarray, a: int, b: int) -> bool:
    return b < len(points) and bool(np.abs(points[a] - points[b]).max() < NEAR)


def _copies(groups: list[tuple[int, ...]], what: str, verdict: Verdict) -> Finding:
    shown = some((" = ".join(map(str, group[:5])) for group in groups), 5)
    return Finding(
        DEFECTS["T07"],
        found=f"{what} in episodes {shown}",
        expected="every episode once",
        episodes=tuple(sorted({episode for group in groups for episode in group})),
        verdict=verdict,
    )


FAMILY = Family("copies of episodes", DEFECTS, (Check(("T07",), Depth.FILES, duplicates),))

"""What the numbers of a dataset look like, gathered in one pass over its episodes.

Per feature: range, how often values lie at its ends, entries that never change. Per episode: numbers that are none,
standstill, jumps, switching of grippers, and a digest by which copies are told. The thresholds stand with the checks.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from robomix.tools.check.raw.lags import Lags
from robomix.tools.check.raw.stretch import Stretch

SKETCH = 16
"""Rows of an episode, evenly spread, by which episodes are told to be nearly the same."""
_GRIPPER = re.compile(r"grip|finger|jaw|claw", re.IGNORECASE)
_JUMP_SHARE, _JUMP_FACTOR, _JUMP_ROWS = 0.5, 10, 50
"""A jump is a step of at least this share of the episode's range, this many times the step that 95 % of the steps are
below; looked for in episodes of at least this many rows."""
_STILL = 1e-3
"""Share of the range; an entry most of whose steps are smaller stands still or switches, and does not jump."""


@dataclass
class Values:
    """One feature over the whole dataset; per entry of its vector where (D,) is said. Only finite numbers count."""

    key: str
    names: tuple[str, ...] | None
    width: int
    kind: str
    """numpy's letter for the kind of number: f, i, u or b."""
    rows: int = 0
    low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(D,) float64: smallest value; +inf where there is none."""
    high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    at_low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(D,): rows at the smallest value."""
    at_high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    total: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(D,): sum of all values."""
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(D,): finite values."""
    firsts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """(D,): sum of the values of all first frames."""
    episodes: int = 0
    broken: dict[int, int] = field(default_factory=dict)
    """Episode to the rows in which a number is NaN or infinite."""
    jumps: list[tuple[int, int, int, float]] = field(default_factory=list)
    """(episode, frame, entry, size) of each episode's and entry's largest jump."""

    @property
    def span(self) -> np.ndarray:
        """(D,) float64: largest minus smallest value; 0 where there is none."""
        return np.where(self.counts > 0, self.high - self.low, 0.0)

    @property
    def mean(self) -> np.ndarray:
        return self.total / np.maximum(self.counts, 1)

    @property
    def is_motion(self) -> bool:
        """Whether it is what a policy sees or does: floating-point, of the robot's own feature names."""
        return self.kind == "f" and self.key.startswith(("action", "observation", "state", "actions"))

    def entry(self, place: int) -> str:
        """The name of an entry, for people."""
        return self.names[place] if self.names and place < len(self.names) else f"entry {place}"

    def grippers(self) -> list[int]:
        """Entries that are grippers by their names, or by the feature's."""
        if _GRIPPER.search(self.key) and self.width <= 2:
            return list(range(self.width))
        return [place for place in range(self.width) if self.names and _GRIPPER.search(self.names[place])]

    def add(self, values: np.ndarray, stretch: Stretch) -> None:
        """(rows, width) numbers of some episodes."""
        finite = np.isfinite(values)
        if not finite.all():
            bad, counts = np.unique(stretch.owners[~finite.all(1)], return_counts=True)
            self.broken |= dict(zip(bad.tolist(), counts.tolist(), strict=True))
        if not self.rows:
            self.low, self.high = np.full(self.width, np.inf), np.full(self.width, -np.inf)
            self.at_low, self.at_high, self.total, self.counts, self.firsts = (np.zeros(self.width) for _ in range(5))
        self.firsts += np.nan_to_num(values[stretch.starts[:-1]].astype(np.float64)).sum(0)
        self.episodes += len(stretch.episodes)
        self.rows += len(values)
        kept = finite.all() or values.dtype.kind != "f"
        low = values.min(0) if kept else np.where(finite, values, np.inf).min(0)
        high = values.max(0) if kept else np.where(finite, values, -np.inf).max(0)
        self._extend("low", "at_low", values, low, low < self.low)
        self._extend("high", "at_high", values, high, high > self.high)
        self.total += (values if kept else np.where(finite, values, 0)).sum(0, dtype=np.float64)
        self.counts += finite.sum(0)

    def _extend(self, end: str, count: str, values: np.ndarray, here: np.ndarray, beyond: np.ndarray) -> None:
        """Move one end of the range, and count the values at it."""
        before, hits = getattr(self, end), (values == here).sum(0)
        setattr(self, count, np.where(beyond, hits, getattr(self, count) + np.where(here == before, hits, 0)))
        setattr(self, end, np.where(beyond, here, before).astype(np.float64))


@dataclass(frozen=True)
class EpisodeProfile:
    """One episode."""

    episode: int
    length: int
    content: bytes
    """Digest of all its numbers, in single precision."""
    actions: bytes
    """Digest of its actions alone; of all numbers where it has none or they never change."""
    sketch: np.ndarray | None
    """(16, A) float32: some of its actions; None where it has none."""
    still: float
    """Share of the steps in which neither actions nor observations change."""
    frozen: int
    """Longest run of rows with unchanged observations while the actions change."""
    switches: dict[str, int]
    """How often each gripper crosses the middle of its range, by feature and entry."""


@dataclass
class Profile:
    """What all numbers of a dataset look like."""

    fps: float | None
    values: dict[str, Values] = field(default_factory=dict)
    episodes: list[EpisodeProfile] = field(default_factory=list)
    lags: Lags = field(default_factory=Lags)

    @property
    def rows(self) -> int:
        return sum(episode.length for episode in self.episodes)


def profile(stretches: Iterator[Stretch], names: Mapping[str, tuple[str, ...] | None], fps: float | None) -> Profile:
    """One pass over all episodes."""
    made = Profile(fps)
    for stretch in stretches:
        for key, values in stretch.columns.items():
            if key not in made.values:
                made.values[key] = Values(key, names.get(key), values.shape[1], values.dtype.kind)
            if values.shape[1] == made.values[key].width:  # else F02 tells
                made.values[key].add(values, stretch)
        for episode, rows in stretch:
            columns = {key: values[rows] for key, values in stretch.columns.items()}
            made.episodes.append(_episode(episode, columns, made))
            made.lags.add(columns, names)
    return made


def _episode(episode: int, columns: Mapping[str, np.ndarray], made: Profile) -> EpisodeProfile:
    moving = {key: values for key, values in columns.items() if made.values[key].is_motion}
    actions = [values for key, values in sorted(moving.items()) if key.startswith("action")]
    length = len(next(iter(columns.values()))) if columns else 0
    changed = {key: (values[1:] != values[:-1]).any(1) for key, values in moving.items()}
    acting = [steps for key, steps in changed.items() if key.startswith("action")]
    seeing = [steps for key, steps in changed.items() if not key.startswith("action")]
    for key, values in moving.items():
        made.values[key].jumps += _jumps(episode, values)
    content = _digest(columns[key] for key in sorted(columns))
    return EpisodeProfile(
        episode,
        length,
        content,
        _digest(iter(actions)) if any(steps.any() for steps in acting) else content,
        _sketch(actions),
        float(1 - np.any([*acting, *seeing], axis=0).mean()) if changed and length > 1 else 0.0,
        _longest(~np.any(seeing, axis=0) & np.any(acting, axis=0)) if seeing and acting else 0,
        {
            f"{key}: {made.values[key].entry(place)}": _switches(values[:, place])
            for key, values in columns.items()
            for place in (made.values[key].grippers() if values.shape[1] == made.values[key].width else ())
        },
    )


def _digest(parts: Iterator[np.ndarray]) -> bytes:
    """Equal for equal numbers, of whatever precision; -0.0 counts as 0.0."""
    digest = hashlib.blake2b(digest_size=12)
    for values in parts:
        with np.errstate(over="ignore"):
            digest.update(np.ascontiguousarray(values.astype("<f4") + np.float32(0)))
        digest.update(repr(values.shape).encode())
    return digest.digest()


def _sketch(actions: list[np.ndarray]) -> np.ndarray | None:
    if not actions or len(actions[0]) < SKETCH:
        return None
    rows = np.linspace(0, len(actions[0]) - 1, SKETCH).round().astype(int)
    return np.concatenate([values[rows] for values in actions], axis=1).astype(np.float32)


def _jumps(episode: int, values: np.ndarray) -> list[tuple[int, int, int, float]]:
    if len(values) < _JUMP_ROWS:
        return []
    with np.errstate(invalid="ignore"):
        steps = np.abs(np.diff(values, axis=0))
        span = values.max(0) - values.min(0)
        usual = np.partition(steps, int(0.95 * len(steps)), axis=0)[int(0.95 * len(steps))]
        largest = steps.max(0)
        found = (largest > _JUMP_SHARE * span) & (largest > _JUMP_FACTOR * usual) & (usual > _STILL * span)
    return [
        (episode, int(steps[:, place].argmax()) + 1, int(place), float(largest[place]))
        for place in np.flatnonzero(found)
    ]


def _longest(flags: np.ndarray) -> int:
    """Length of the longest run of True in (n,) bool."""
    ends = np.flatnonzero(~np.concatenate([[False], flags, [False]]))
    return int(np.diff(ends).max()) - 1


def _switches(values: np.ndarray) -> int:
    """How often a signal crosses the middle of its range."""
    if not len(values) or not np.isfinite(values).all() or values.max() == values.min():
        return 0
    above = values > (values.max() / 2 + values.min() / 2)
    return int((above[1:] != above[:-1]).sum())

"""Each source's measured share against the one that the mixture file resolves to.

What is expected is worked out of the file's weights, not asked of the schedule that was drawn by. Two tests: Pearson's
chi-square, which finds shares that are wrong beyond chance, and the promise of docs/order.md, which leaves no room for
chance: at the end of every batch each source has been drawn within one of what it is due.

Where batches are of one source, or of sources with the same cameras, these sets are what is drawn: chance is judged by
their batches, and the promise is of batches, beyond which the sources of a set share out its samples.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats as scipy_stats

from robomix.mixture.resolve import stages as stages_of
from robomix.mixture.stages import WHOLE, Stage, segments
from robomix.tools.verify.result import Check
from robomix.tools.verify.subject import Subject

SIGNIFICANT = 1e-3
"""Probability below which shares are told to be wrong."""
_AT_MOST = 1000
"""Batches whose end is looked at, where shares move."""


class Shares:
    """How often each source was drawn, and how often it should have been."""

    def __init__(self, subject: Subject, source: np.ndarray) -> None:
        """`source` (N,): that of each draw, in the order of batches, of whole global batches."""
        self.names = [member.name for member in subject.mixture.sources]
        self.batches = len(source) // subject.batch_size
        self.counts = np.bincount(source, minlength=len(self.names))
        """(D,) int64."""
        self.sets = _sets(subject)
        """Names of sources that share batches with no others, to their positions; empty: all share every batch."""
        self._mixed = _mixed_batches(source.reshape(-1, subject.batch_size), list(self.sets.values()))
        stages = stages_of(subject.mixture.sources, subject.config)
        ends = _ends(self.batches, moving=len(stages) > 1)
        self.expected = expected_draws(stages, [self.batches], subject.batch_size)[0]
        """(D,) float64."""
        drawn = _counts_at(source, ends * subject.batch_size, len(self.names))
        off = drawn - expected_draws(stages, ends.tolist(), subject.batch_size)
        furthest = np.abs(off).argmax(axis=0)
        self.deviation = off[furthest, np.arange(len(self.names))]
        """(D,) float64: samples ahead of what is due, at the end of the batch where it was furthest off."""
        self._at = ends[furthest]
        self.bound = self._bounds(stages, subject)
        """(D,) float64: samples by which each source may be off at the end of a batch."""
        self._batch_size = subject.batch_size

    def chi_square(self) -> Check:
        """Whether the counts are likely under the resolved shares."""
        name = "shares"
        for i in np.flatnonzero((self.expected == 0) & (self.counts > 0)):
            return Check(name, "off", f"source {self.names[i]!r} has share 0 and was drawn {self.counts[i]:,} times")
        names, counts, expected = self._drawn_together()
        what, of = ("batches", "set of sources") if self.sets else ("draws", "source")
        asked = expected > 0
        names, counts, expected = [names[i] for i in np.flatnonzero(asked)], counts[asked], expected[asked]
        if len(expected) < 2:
            return Check(name, "ok", f"all {self.counts.sum():,} samples are of one {of}, as they should be")
        if expected.min() < 5:
            need = math.ceil(5 / expected.min() * self.counts.sum())
            text = (
                f"a chi-square test needs 5 {what} of each {of}, {names[expected.argmin()]!r} is due "
                f"{expected.min():.2g}; draw {need:,}"
            )
            return Check(name, "not checked", text)
        test = scipy_stats.chisquare(counts, expected * (counts.sum() / expected.sum()))
        worst = np.abs(self.counts - self.expected).argmax()
        text = (
            f"chi-square {test.statistic:.3g} of {len(expected) - 1} degrees of freedom, p = {test.pvalue:.3g}; "
            f"furthest off is {self.names[worst]!r}: {self.counts[worst]:,} drawn, {self.expected[worst]:,.1f} expected"
        )
        return Check(name, "off" if test.pvalue < SIGNIFICANT else "ok", text)

    def exact(self) -> Check:
        """Whether the counts keep the promise of the order."""
        name = "exact shares"
        if len(self._mixed):
            text = f"batch {self._mixed[0]:,} is not of one set of sources ({len(self._mixed):,} such batches)"
            return Check(name, "off", text)
        worst = int((np.abs(self.deviation) / self.bound).argmax())
        # Within one draw means less than one; a little is left for the float64 in which it is reported.
        is_off = abs(self.deviation[worst]) > self.bound[worst] + 1e-6
        promised = f"{self.bound[worst]:,.2f}".rstrip("0").rstrip(".")
        text = (
            f"at most {abs(self.deviation[worst]):.2f} samples off what is due, in {self.names[worst]!r} after batch "
            f"{self._at[worst] - 1:,}; promised are {promised}"
        )
        return Check(name, "off" if is_off else "ok", text)

    def _drawn_together(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """What is drawn as one, by name: how often, and how often it is due; sources, or batches of a set."""
        if not self.sets:
            return self.names, self.counts, self.expected
        of_sets = [[column[own].sum() for own in self.sets.values()] for column in (self.counts, self.expected)]
        counts, expected = np.array(of_sets) / self._batch_size
        return list(self.sets), counts, expected

    def _bounds(self, stages: Sequence[Stage], subject: Subject) -> np.ndarray:
        """(D,) float64: what docs/order.md promises each source."""
        begun, stays = _begun(stages, self.batches)
        if subject.config.batching != "per_camera_set":
            unit = subject.batch_size if self.sets else 1
            return np.full(len(self.names), float(unit * (1 if stays else begun * _halvings(len(self.names)))))
        batches = 0.5 if stays and len(self.sets) == 2 else begun * math.ceil(math.log2(len(self.sets)))
        part = np.ones(len(self.names))  # of what a set is off, what one of its sources may be; all of it, if they move
        for own in self.sets.values():
            if stays and (due := self.expected[own].sum()):
                part[own] = self.expected[own] / due
        return part * batches * subject.batch_size + begun * _halvings(len(self.names))


def expected_draws(stages: Sequence[Stage], batches: Sequence[int], batch_size: int) -> np.ndarray:
    """(len(batches), D) float64: samples each source is due in the first so many batches of a training."""
    parts = segments(stages)
    sources = range(len(stages[0].probabilities))
    due = np.zeros((len(batches), len(sources)))
    for row, end in enumerate(batches):
        for part in parts:
            steps = end - part.start if part.length is None else min(end - part.start, part.length)
            if steps > 0:
                due[row] += [part.due(i, i + 1, steps) / WHOLE for i in sources]
    return due * batch_size


def _begun(stages: Sequence[Stage], batches: int) -> tuple[int, bool]:
    """How many stages the first so many batches are of, and whether shares stayed the same in them."""
    begun = sum(stage.step < batches for stage in stages)
    return begun, begun == 1 and all(stage.interpolate == "hold" for stage in stages[1:2])


def _halvings(sources: int) -> int:
    """ceil(log2(sources)), and at least 1: draws by which a source may be off per stage (`mixture.moving`)."""
    return max(1, math.ceil(math.log2(sources)))


def _sets(subject: Subject) -> dict[str, np.ndarray]:
    """By name the sources, by position, that share batches with no others; empty where all share every batch."""
    mixture, batching = subject.mixture, subject.config.batching
    if batching == "per_source":
        return {source.name: np.array([i]) for i, source in enumerate(mixture.sources)}
    if batching != "per_camera_set":
        return {}
    sets: dict[tuple[str, ...], list[int]] = {}
    for i, source in enumerate(mixture.sources):
        sets.setdefault(tuple(key for key in mixture.schema.camera_keys if key in source.features), []).append(i)
    return {", ".join(cameras) or "no cameras": np.array(own) for cameras, own in sets.items()}


def _mixed_batches(source: np.ndarray, sets: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers of the batches `source` (T, B) that are of more than one of `sets`; none if there are no sets."""
    if not sets:
        return np.empty(0, dtype=np.int64)
    of_source = np.empty(sum(map(len, sets)), dtype=np.int64)
    for number, own in enumerate(sets):
        of_source[own] = number
    return np.flatnonzero(np.ptp(of_source[source], axis=1))


def _ends(batches: int, *, moving: bool) -> np.ndarray:
    """Numbers of batches after which counts are compared: all, or where shares move evenly spaced ones."""
    if not moving and batches <= _AT_MOST:
        return np.arange(1, batches + 1)
    return np.unique(np.linspace(1, batches, _AT_MOST).round().astype(int))


def _counts_at(source: np.ndarray, ends: np.ndarray, sources: int) -> np.ndarray:
    """(len(ends), D): of the first ends[r] draws, how many are of each source."""
    counts = np.zeros((len(ends), sources), dtype=np.int64)
    begin = 0
    for row, end in enumerate(ends):
        counts[row] = np.bincount(source[begin:end], minlength=sources)
        begin = end
    return counts.cumsum(axis=0)

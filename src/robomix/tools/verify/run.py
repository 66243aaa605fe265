"""One verification from beginning to end: draw, count, compare."""

import math
from collections import Counter

import numpy as np

from robomix.errors import ConfigError
from robomix.mixture.dataset import Batch
from robomix.mixture.source import Source
from robomix.statistics.table import labels
from robomix.tools.verify.coverage import coverage
from robomix.tools.verify.drawing import draw
from robomix.tools.verify.equality import FirstBatches
from robomix.tools.verify.mixing import mixing
from robomix.tools.verify.result import Check, FeatureSeen, SeenValues, SourceDraws, Verification
from robomix.tools.verify.shares import Shares
from robomix.tools.verify.subject import Subject
from robomix.tools.verify.tally import Tally

LISTED_TASKS = 1000
"""Tasks of a source that are listed, the most frequent ones."""


def verify(subject: Subject, samples: int, *, max_seconds: float | None = None) -> Verification:
    """Draws `samples` samples of `subject`, rounded up to whole global batches, and looks whether they are as promised.

    Memory grows by some ten bytes for each sample. Raises ConfigError for less than one sample, and RobomixError for
    what cannot be read.
    """
    if samples < 1:
        raise ConfigError(f"found {samples} samples to draw, expected 1 or more.")
    asked = math.ceil(samples / subject.batch_size)
    tally, first = Tally(subject.mixture), FirstBatches(subject, asked)

    def take(batch: Batch, step: int, rank: int) -> None:
        tally.add(batch, step, rank)
        first.add(batch, step)

    batches, timing = draw(subject, asked, take, max_seconds)
    tally.count()
    tally.content.compare(tally.findings, tally.place)
    equality = first.compared()
    index = tally.drawn()
    bounds = np.cumsum([0, *(source.frames.num_frames for source in subject.mixture.sources)])
    member = np.clip(np.searchsorted(bounds, index, side="right") - 1, 0, len(bounds) - 2)
    is_whole = len(index) == batches * subject.batch_size  # otherwise some batches were not what batches are
    sources, share_checks = _sources(subject, tally, index, member, bounds, is_whole)
    features = tuple(
        FeatureSeen(key, str(dtype).removeprefix("torch."), shape)
        for key, (dtype, shape) in tally.expected.entries.items()
    )
    return Verification(
        origin=subject.origin,
        samples=batches * subject.batch_size,
        asked=samples,
        batches=batches,
        batch_size=subject.batch_size,
        ranks=subject.ranks,
        seed=subject.schedule.seed,
        checks=(*_sample_checks(tally, batches * subject.batch_size), *share_checks, equality),
        sources=sources,
        features=(*features, FeatureSeen("task", "str", ())),
        values=_values(subject, tally),
        timing=timing,
        orders=mixing(subject),
    )


def _sample_checks(tally: Tally, samples: int) -> list[Check]:
    find = tally.findings.check
    entries, masks = len(tally.expected.entries) + 1, sum(key.endswith("_is_pad") for key in tally.expected.entries)
    return [
        find("shapes", f"all {samples:,} samples have the {entries} entries of the schema, in its dtypes and shapes"),
        find("numbers", "no number is NaN or infinite"),
        find("masks", f"all {masks} masks are as widths and lengths of episodes say; masked entries looked at are 0"),
        find("places", "dataset, episode, frame and time of each sample mean one frame, which may be drawn"),
        find("tasks", "task and task_index of each sample are those of its frame"),
        find("content", tally.content.fine),
    ]


def _sources(
    subject: Subject, tally: Tally, index: np.ndarray, member: np.ndarray, bounds: np.ndarray, is_whole: bool
) -> tuple[tuple[SourceDraws, ...], list[Check]]:
    """What was drawn of each source, and the checks of shares and repeats."""
    if not is_whole:
        text = "batches that are not what batches are (see shapes) cannot be counted"
        return (), [Check(name, "not checked", text) for name in ("shares", "exact shares", "repeats")]
    shares = Shares(subject, member)
    batch = np.arange(len(index)) // subject.batch_size
    made = []
    for i, source in enumerate(subject.mixture.sources):
        own = member == i
        covered = coverage(source, index[own] - bounds[i], batch[own], tally.findings)
        tasks = Counter({text: count for (s, text), count in tally.tasks.items() if s == i})
        made.append(
            SourceDraws(
                name=source.name,
                fps=source.fps,
                drawn=int(shares.counts[i]),
                expected=float(shares.expected[i]),
                resolved=float(shares.expected[i] / len(index)),
                measured=float(shares.counts[i] / len(index)),
                largest_deviation=float(shares.deviation[i]),
                frames=source.frames.num_drawable,
                frames_seen=covered.frames_seen,
                frames_seen_again=covered.frames_seen_again,
                epochs=float(shares.counts[i] / source.frames.num_drawable),
                episodes=len(source.frames.ids),
                episodes_seen=covered.episodes_seen,
                tasks=dict(tasks.most_common(LISTED_TASKS)),
                tasks_seen=len(tasks),
                tasks_total=_tasks_of(source),
                padded_steps=_padded(tally, i, "_is_pad"),
                padded_dims=_padded(tally, i, "_dim_is_pad"),
                lacks=tuple(key for key in subject.mixture.schema.features if key not in source.features),
            )
        )
    again = [f"{s.name} {s.frames_seen_again:,}" for s in made if s.frames_seen_again]
    fine = "no frame comes twice in an epoch of its source" + (
        f"; in later epochs: {', '.join(again)}" if again else ""
    )
    return tuple(made), [shares.chi_square(), shares.exact(), tally.findings.check("repeats", fine)]


def _padded(tally: Tally, source: int, suffix: str) -> dict[str, float]:
    """Feature to the share of its mask that is True, for masks named `suffix`."""
    dims = "_dim_is_pad"
    return {
        name.removesuffix(suffix): masked / total
        for (i, name), (masked, total) in tally.padded.items()
        if i == source and name.endswith(suffix) and (suffix == dims or not name.endswith(dims))
    }


def _tasks_of(source: Source) -> int:
    """How many tasks the episodes that are used have."""
    if source.config.lang is not None:
        return 1
    tasks, lengths = source.dataset.task_indices(), np.diff(source.frames.bounds)
    own = [np.unique(tasks[a : a + n]) for a, n in zip(source.frames.first_rows, lengths, strict=True)]
    return len(np.unique(np.concatenate(own)))


def _values(subject: Subject, tally: Tally) -> tuple[SeenValues, ...]:
    features, sources = subject.mixture.schema.features, subject.mixture.sources
    return tuple(
        SeenValues(
            source=sources[i].name,
            key=key,
            labels=tuple(labels(key, sources[i].features[key]))[: len(seen.mean)],
            count=seen.count,
            mean=seen.mean,
            std=seen.std,
            minimum=seen.minimum,
            maximum=seen.maximum,
            not_finite=seen.not_finite,
            sample=seen.sample,
        )
        for (i, key), seen in tally.values.items()
        if key in features
    )

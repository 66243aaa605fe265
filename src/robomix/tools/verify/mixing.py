"""What an order of samples costs to read, and how well it mixes: the mixture's, beside the shuffle of whole sources.

Nothing is decoded for it: which frames a decoder passes over on its way tell the key frames of the files. Costs are
those of a rank's slice of a batch, which one loader worker reads, by decoders that stand elsewhere; mixing is that of
global batches.

An order mixes well if a batch tells nothing about the next. The autocorrelation is that of episodes: how many pairs of
a sample of one batch and a sample of the next are of the same episode, beyond those that chance gives, over the pairs
of samples of one batch that are (each with itself included), beyond those that chance gives. Pairs are of one source,
in batches of which both have it. It is 0 if each batch is as new as by chance, and 1 if it has the episodes of the one
before it, as often.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from robomix.mixture.schedule import Draws, Schedule
from robomix.tools.verify.result import OrderSeen
from robomix.tools.verify.subject import Subject

BATCHES = 50
"""Global batches whose mixing is looked at."""
FRAMES = 512
"""Samples whose reading is looked at, at least; of whole slices, and at least two of them."""
_ROUNDING = 1e-6


def mixing(subject: Subject) -> tuple[OrderSeen, ...]:
    """The order of `subject`, and beside it that of whole sources where some are shuffled within windows.

    Raises FormatError for a video whose key frames cannot be told.
    """
    schedule = subject.schedule
    sizes = sorted({stream.window.size for stream in schedule.streams if stream.window is not None})
    if not sizes:
        return (_seen("each source as a whole", subject, schedule),)
    whole = Schedule(
        [replace(stream, window=None) for stream in schedule.streams],
        seed=schedule.seed,
        batch_size=schedule.batch_size,
        batching=schedule.batching,
        stages=schedule.stages[1:],
    )
    name = f"within windows of {' or '.join(map(str, sizes))} episodes"
    return _seen(name, subject, schedule), _seen("each source as a whole", subject, whole)


def _seen(name: str, subject: Subject, schedule: Schedule) -> OrderSeen:
    batches = [schedule.batch(t) for t in range(BATCHES)]
    size = schedule.batch_size // subject.ranks
    count = min(BATCHES, max(2, -(-FRAMES // size)))
    decoded, frames, files = np.sum([_cost(subject, batch.take(slice(size))) for batch in batches[:count]], axis=0)
    episodes = _episodes(subject, batches)
    return OrderSeen(
        order=name,
        decoded_per_frame=float(decoded / frames) if frames else None,
        files_per_batch=float(files / count) if frames else None,
        episodes_per_batch=float(np.mean([len(np.unique(of_batch)) for of_batch in episodes])),
        autocorrelation=_autocorrelation(subject, batches, episodes),
    )


def _cost(subject: Subject, draws: Draws) -> tuple[int, int, int]:
    """Frames decoded for a batch, camera frames asked for, and files that are opened."""
    mixture = subject.mixture
    decoded = frames = files = 0
    for i in np.unique(draws.source).tolist():
        source = mixture.sources[i]
        own = source.frames.from_drawable(draws.frame[draws.source == i])
        for key, rows in source.camera_rows(own, mixture.source_horizons[i], mixture.schema.features).items():
            groups = source.dataset.frame_groups(key, rows)
            decoded += sum(len(np.unique(rows[g.positions])) if g.decodes is None else g.decodes() for g in groups)
            files += len({id(g) if g.file is None else g.file for g in groups})
            frames += len(rows)
    return decoded, frames, files


def _episodes(subject: Subject, batches: Sequence[Draws]) -> list[np.ndarray]:
    """(B,) int64 for each batch: the episodes of its samples, counted through the mixture."""
    sources = subject.mixture.sources
    first = np.cumsum([0, *(len(source.frames.ids) for source in sources)])
    source, frame = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("source", "frame"))
    episode = np.empty(len(source), dtype=np.int64)
    for i in np.unique(source).tolist():
        own, frames = source == i, sources[i].frames
        episode[own] = first[i] + frames.locate(frames.from_drawable(frame[own]))[0]
    return np.split(episode, len(batches))


def _autocorrelation(subject: Subject, batches: Sequence[Draws], episodes: Sequence[np.ndarray]) -> float | None:
    """See the module's text; None where no two batches in a row have a source of several episodes in common."""
    tables = [source.frames for source in subject.mixture.sources]
    shares = [np.diff(table.drawable_of_episodes) / table.num_drawable for table in tables]
    chance = np.array([np.square(of_source).sum() for of_source in shares])  # that two of its frames share an episode
    following = own = 0.0
    for (now, of_now), (after, of_after) in pairwise(zip(batches, episodes, strict=True)):
        drawn, then = (np.bincount(batch.source, minlength=len(tables)) for batch in (now, after))
        both = (drawn > 0) & (then > 0)
        of_now, of_after = of_now[both[now.source]], of_after[both[after.source]]
        following += _same(of_now, of_after) - float((drawn * then) @ chance)
        own += _same(of_now, of_now) - float((drawn**2 * both) @ chance)
    return following / own if own > _ROUNDING else None


def _same(first: np.ndarray, second: np.ndarray) -> float:
    """Pairs of one of `first` and one of `second` that are equal."""
    values, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    counts = (np.bincount(part, minlength=len(values)) for part in (place[: len(first)], place[len(first) :]))
    return float(np.dot(*counts))

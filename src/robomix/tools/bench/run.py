"""A loader profile from beginning to end: one process alone, the policy, then more and more workers."""

import copy
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.mixture.dataset import Batch, Mixture
from robomix.mixture.materialized import RESIZE
from robomix.remote.urls import as_url
from robomix.tools.bench.result import Bench, Pace
from robomix.tools.plan.trial import Trial, try_policy
from robomix.tools.training_file import TrainingFile
from robomix.tools.verify.subject import Subject
from robomix.training.signals import signals_held
from robomix.video.pool import decoders

_ENOUGH = 1_000_000
"""Batches of which a measurement never draws all."""
_HELPS = 1.05
"""How many times as fast more workers must be to be worth trying still more."""
_AMPLE = 1.25
"""Reading so many times as fast as the policy takes samples needs no more workers."""


def bench(file: TrainingFile, subject: Subject, *, seconds: float = 4) -> Bench:
    """The profile of `file`'s training, whose loader is `subject`; each measurement takes about `seconds`.

    Writes no files, but columns that the cache lacks. Raises RobomixError for what cannot be opened, read or used.
    """
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--seconds: found {seconds}, expected a number of seconds, more than 0.")
    mixture, cores = subject.mixture, usable_cores()
    per_source = frames_of_sources(mixture)
    with tqdm(total=None, desc="measuring", unit="loader", leave=False, disable=None) as bar:
        bar.set_postfix_str("one process, one thread")
        alone, kept, decoded = _alone(subject, seconds)
        bar.update()
        trial, no_trial = _trial(file, mixture, kept, seconds)
        needed = None if trial is None else subject.batch_size / trial.step_s
        paces: list[Pace] = []
        for workers in worker_counts(cores):
            bar.set_postfix_str(f"{workers} workers")
            paces.append(pace(subject, workers, seconds))
            bar.update()
            if workers > 1 and not is_worth_more(paces, needed):
                break
    frames = float(np.mean([per_source[batch["dataset_index"].numpy()].mean() for batch in kept]))
    drawn = alone.samples * frames
    configs = [source.config for source in mixture.sources]
    return Bench(
        origin=subject.origin,
        batch_size=subject.batch_size,
        cores=cores,
        alone=alone,
        paces=tuple(paces),
        cameras=len(mixture.camera_keys),
        frames_per_sample=frames,
        decoded_per_frame=decoded / drawn if decoded and drawn else None,
        resizes=any(step.type == RESIZE for config in configs for step in config.transforms),
        windowed=any(window is not None for window in (subject.config.shuffle_window, *_windows(subject))),
        far=any(config.root is not None and as_url(config.root) is not None for config in configs),
        trial=trial,
        no_trial=no_trial,
    )


def pace(subject: Subject, workers: int, seconds: float) -> Pace:
    """How fast batches of `subject` come from `workers` workers, in rounds of one batch of each, for about `seconds`.

    The first two rounds do not count: workers open files, and the batches of the first round come all at once.
    """
    turn, batches_seen, phases = max(1, workers), 0, Counter[str]()
    with closing(subject.loader(0, _ENOUGH, workers=workers)) as loader:
        with signals_held():
            batches = iter(loader)  # starts the workers
        for _ in range(2 * turn):
            next(batches)
        started = now = time.perf_counter()
        while now - started < seconds:
            for _ in range(turn):
                phases.update(next(batches).seconds)
            batches_seen += turn
            now = time.perf_counter()
    threads = subject.mixture.threads or max(1, (os.cpu_count() or 1) // turn)
    return Pace(workers, threads, batches_seen * subject.batch_size, now - started, dict(phases))


def worker_counts(cores: int) -> Iterator[int]:
    """0, 1, 2, 4, 8 and so on, last one for each core."""
    yield 0
    count = 1
    while count < cores:
        yield count
        count *= 2
    yield cores


def is_worth_more(paces: list[Pace], needed: float | None) -> bool:
    """Whether still more workers are worth a try: the last ones helped, and the policy takes more than they give."""
    *before, last = paces
    if needed is not None and last.samples_per_s >= _AMPLE * needed:
        return False
    return last.samples_per_s >= _HELPS * max(pace.samples_per_s for pace in before)


def frames_of_sources(mixture: Mixture) -> np.ndarray:
    """(D,) int64: camera frames that a sample of each source has, of all steps of its windows."""
    steps = {
        key: len(mixture.horizons.get(key) or mixture.delta_timestamps.get(key) or (0,)) for key in mixture.camera_keys
    }
    return np.array([sum(n for key, n in steps.items() if key in source.features) for source in mixture.sources])


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _alone(subject: Subject, seconds: float) -> tuple[Pace, list[Batch], int]:
    """The pace of one process with one thread, two batches, and how many frames of video it decoded."""
    single = copy.copy(subject.mixture)
    single.threads = 1
    kept, phases, count = list[Batch](), Counter[str](), 0
    with closing(replace(subject, mixture=single).loader(0, _ENOUGH, workers=0)) as loader:
        batches = iter(loader)
        next(batches)
        before = decoders.decoded
        started = now = time.perf_counter()
        while now - started < seconds:
            batch = next(batches)
            phases.update(batch.seconds)
            count += 1
            now = time.perf_counter()
            kept = (kept + [batch])[:2]
        decoded = decoders.decoded - before
    return Pace(0, 1, count * subject.batch_size, now - started, dict(phases)), kept, decoded


def _trial(file: TrainingFile, mixture: Mixture, kept: list[Batch], seconds: float) -> tuple[Trial | None, str]:
    if file.training is None:
        return None, "the file names no policy, and no --policy.type is given"
    try:
        return try_policy(file.training, mixture, kept, seconds), ""
    except ConfigError as error:
        return None, str(error)


def _windows(subject: Subject) -> Iterator[int | None]:
    return (source.shuffle_window for source in subject.config.datasets)

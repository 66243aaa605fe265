"""The batches of a training, step by step, while those to come are read ahead."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from robomix.mixture.dataset import Batch, Mixture
from robomix.mixture.loader import make_loader
from robomix.mixture.read_ahead import ReadAhead
from robomix.mixture.schedule import Schedule
from robomix.training.config import TrainConfig
from robomix.training.signals import ignore_signals, signals_held

Fed = tuple[int, list[Batch], float]
"""A step, this rank's parts of its batch, and how many seconds they were waited for."""


@contextmanager
def feeding(
    config: TrainConfig, accelerator: Any, mixture: Mixture, schedule: Schedule, first: int
) -> Iterator[Iterator[Fed]]:
    """Inside, what each step from `first` on learns from. Workers and reading ahead end with it."""
    parts = accelerator.gradient_accumulation_steps
    loader = make_loader(
        mixture,
        schedule,
        start=first,
        stop=config.steps,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        parts=parts,
        num_workers=config.num_workers,
        prefetch_factor=config.prefetch_factor,
        pin_memory=accelerator.device.type == "cuda",
        worker_init_fn=ignore_signals,
    )
    with closing(loader), closing(ReadAhead(mixture, loader.requests())) as ahead:
        with signals_held():
            batches = iter(loader)  # starts the workers
        yield _fed(batches, ahead, range(first, config.steps), parts)


def _fed(batches: Iterator[Batch], ahead: ReadAhead, steps: range, parts: int) -> Iterator[Fed]:
    for step in steps:
        asked = time.perf_counter()
        drawn = [next(batches) for _ in range(parts)]
        waited = time.perf_counter() - asked
        ahead.received((step + 1 - steps.start) * parts)
        yield step, drawn, waited

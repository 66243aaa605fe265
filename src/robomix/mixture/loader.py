"""A torch DataLoader that follows the schedule, on any number of ranks and workers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from robomix.errors import ConfigError, RobomixError
from robomix.mixture.dataset import Batch, Mixture, Request, collate
from robomix.mixture.schedule import Schedule
from robomix.mixture.workers import EndsWithParent
from robomix.remote.counts import counts
from robomix.remote.places import told_by_url


class ScheduledBatches(Sampler[Any]):
    """A `batch_sampler`: this rank's slice of each global batch, from batch `start` to before `stop`, in `parts`.

    Iterating always begins at `start`: the sampler has no state to save, resuming is choosing `start`.
    """

    def __init__(
        self,
        mixture: Mixture,
        schedule: Schedule,
        *,
        start: int = 0,
        stop: int,
        rank: int = 0,
        world_size: int = 1,
        parts: int = 1,
    ) -> None:
        """Raises ConfigError where the global batch cannot be cut into equal parts of `world_size` equal slices."""
        if schedule.batch_size % (world_size * parts):
            of_parts = f", in {parts} parts each" if parts > 1 else ""
            raise ConfigError(
                f"a global batch of {schedule.batch_size} cannot be shared equally by {world_size} ranks{of_parts}"
            )
        self.mixture = mixture
        self.schedule = schedule
        self.start = start
        self.stop = stop
        size = schedule.batch_size // (world_size * parts)
        self._slices = [slice(at * size, (at + 1) * size) for at in range(rank * parts, (rank + 1) * parts)]

    def __len__(self) -> int:
        return max(0, self.stop - self.start) * len(self._slices)

    def __iter__(self) -> Iterator[Request]:
        for t in range(self.start, self.stop):
            of_all_ranks = self.schedule.batch(t)
            for own in self._slices:
                draws = of_all_ranks.take(own)
                yield Request(self.mixture.index_of(draws.source, draws.frame), draws.number)


class OrderedBatches(Sampler[Any]):
    """A `batch_sampler`: this rank's share of the batches of all drawable frames, each once, in order.

    Each batch is of one source, only the last of a source smaller than `batch_size`. Rank r of W takes the batches r,
    r + W, r + 2W, ...; which frames a batch has does not depend on the ranks.
    """

    def __init__(
        self, mixture: Mixture, batch_size: int, *, rank: int = 0, world_size: int = 1, even: bool = False
    ) -> None:
        """`even`: all ranks take as many batches; numbers from `total` on are the first batches, taken again."""
        self.mixture = mixture
        frames = [source.frames.num_drawable for source in mixture.sources]
        places = [(i, at, min(at + batch_size, n)) for i, n in enumerate(frames) for at in range(0, n, batch_size)]
        self.total = len(places)
        rounds = -(-self.total // world_size)
        self.numbers = range(rank, rounds * world_size if even else self.total, world_size)
        """Which of all the batches this rank takes."""
        self._places = [places[number % self.total] for number in self.numbers]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Request]:
        for source, start, stop in self._places:
            frames = np.arange(start, stop)
            yield Request(self.mixture.index_of(np.full(len(frames), source), frames), frames)


class Loader(DataLoader[Any]):
    """A DataLoader whose errors read the same whether a worker found them or not, and that can be closed."""

    _running: Any = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch names its private class here
        self._running = super().__iter__()
        return _without_errors(self._running)

    def requests(self) -> Iterator[Request]:
        """What will be asked of the mixture, from the first batch on."""
        batches: Any = self.batch_sampler
        return iter(batches)

    def close(self) -> None:
        """Ends the workers, even those that heed no signal: Python waits for them when it exits."""
        running, self._running, self._iterator = self._running, None, None
        if hasattr(running, "_shutdown_workers"):  # what torch calls when the iterator is freed; an error may hold it
            running._shutdown_workers()
        for worker in getattr(running, "_workers", ()):
            if worker.is_alive():
                worker.kill()
                worker.join()


def make_loader(
    mixture: Mixture,
    schedule: Schedule,
    *,
    start: int = 0,
    stop: int,
    rank: int = 0,
    world_size: int = 1,
    parts: int = 1,
    num_workers: int = 0,
    prefetch_factor: int | None = None,
    pin_memory: bool = False,
    worker_init_fn: Callable[[int], None] | None = None,
) -> Loader:
    """Collated batches `start` to `stop - 1` of the schedule, the slice of `rank`, read by `num_workers` processes.

    Each slice comes as `parts` batches, one after the other.

    Workers are spawned: a forked one would share the file positions of open decoders with its parent.
    """
    batches = ScheduledBatches(mixture, schedule, start=start, stop=stop, rank=rank, world_size=world_size, parts=parts)
    return load(
        batches,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor,
        pin_memory=pin_memory,
        worker_init_fn=worker_init_fn,
    )


def load(
    batches: ScheduledBatches | OrderedBatches,
    *,
    num_workers: int = 0,
    prefetch_factor: int | None = None,
    pin_memory: bool = False,
    worker_init_fn: Callable[[int], None] | None = None,
) -> Loader:
    """A loader of `batches`, in their order. The settings are those of `make_loader`."""
    mixture = batches.mixture
    return Loader(
        _Answers(mixture),
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor if num_workers else None,
        persistent_workers=num_workers > 0,
        multiprocessing_context="spawn" if num_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=EndsWithParent(worker_init_fn) if num_workers else None,
    )


class _Answers(TorchDataset[Any]):
    """Reads batches of a mixture; an error of robomix's is the answer, which torch would bury in a traceback."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    def __getitems__(self, request: Request) -> Batch | RobomixError:
        try:
            with told_by_url():
                return self.mixture.__getitems__(request)
        except RobomixError as error:
            return error


def _without_errors(answers: Iterator[Any]) -> Iterator[Batch]:
    for answer in answers:
        if isinstance(answer, RobomixError):
            raise answer
        counts.add(retries=answer.retries)
        yield answer

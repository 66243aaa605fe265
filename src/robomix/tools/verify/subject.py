"""What is verified: the samples of a training, their order, and the loader of each rank."""

from collections.abc import Callable
from dataclasses import dataclass

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.dataset import Mixture
from robomix.mixture.loader import Loader, make_loader
from robomix.mixture.schedule import Schedule
from robomix.tools.training_file import TrainingFile
from robomix.training.build import build_data
from robomix.training.signals import ignore_signals


@dataclass(frozen=True)
class Subject:
    """A loader as `robomix train` builds it, for all of its ranks, in this one process and its workers."""

    config: MixtureConfig
    """What the mixture file asks for: by this the draws are judged."""
    mixture: Mixture
    schedule: Schedule
    ranks: int = 1
    workers: int = 0
    """For each rank."""
    prefetch_factor: int | None = None
    origin: str = "the mixture"
    open: Callable[..., Loader] = make_loader
    """Makes the loader of a rank."""

    @property
    def batch_size(self) -> int:
        """Samples of a global batch."""
        return self.schedule.batch_size

    def loader(self, rank: int, stop: int, *, ranks: int | None = None, workers: int | None = None) -> Loader:
        """The batches 0 to `stop - 1` of `rank`; with other numbers of ranks and workers, if given."""
        workers = self.workers if workers is None else workers
        return self.open(
            self.mixture,
            self.schedule,
            stop=stop,
            rank=rank,
            world_size=ranks or self.ranks,
            num_workers=workers,
            prefetch_factor=self.prefetch_factor if workers else None,
            worker_init_fn=ignore_signals,
        )


def subject_of(
    file: TrainingFile, *, ranks: int, workers: int | None, batch_size: int | None, seed: int | None
) -> Subject:
    """The loader that a training of `file` has on `ranks` ranks; what is None is as the file says.

    `batch_size` is that of one rank. Raises RobomixError for what cannot be opened or does not fit.
    """
    for name, value, least in (("ranks", ranks, 1), ("workers", workers, 0), ("batch_size", batch_size, 1)):
        if value is not None and value < least:
            raise ConfigError(f"--{name}: found {value}, expected {least} or more.")
    if seed is not None and not 0 <= seed < 2**32:
        raise ConfigError(f"--seed: found {seed}, expected a number from 0 to 2^32 - 1.")
    mixture, schedule = build_data(
        file.dataset,
        file.policy,
        seed=file.seed if seed is None else seed,
        batch_size=(batch_size or file.batch_size) * ranks,
    )
    return Subject(
        file.dataset,
        mixture,
        schedule,
        ranks=ranks,
        workers=file.num_workers if workers is None else workers,
        prefetch_factor=file.prefetch_factor,
        origin=str(file.path),
    )

"""Opening the datasets of a mixture file."""

from collections.abc import Callable
from typing import Literal

from robomix.config import MixtureConfig, SourceConfig, resolve_root
from robomix.errors import ConfigError, RobomixError
from robomix.formats import Dataset, open_dataset
from robomix.formats.rate import as_rate
from robomix.formats.resampling.dataset import resampled


def opened(entry: SourceConfig) -> Dataset:
    """The dataset of an entry."""
    return open_dataset(resolve_root(entry), fps=entry.fps)


def open_each[T](
    config: MixtureConfig,
    make: Callable[[Dataset, SourceConfig], T],
    opened: Callable[[SourceConfig], Dataset] = opened,
) -> list[T]:
    """What `make` makes of each dataset of `config`, as `opened` opens it and at the mixture's rate, and its entry.

    Raises what is wrong with one of them, or one ConfigError for several.
    """
    made: list[T] = []
    errors: list[RobomixError] = []
    for entry in config.datasets:
        try:
            made.append(make(at_rate(opened(entry), config.rate, entry), entry))
        except RobomixError as error:
            errors.append(error)
    if len(errors) > 1:
        listing = "".join(f"\n  {error}" for error in errors)
        raise ConfigError(f"{len(errors)} of {len(config.datasets)} datasets cannot be used{listing}")
    if errors:
        raise errors[0]
    return made


def at_rate(dataset: Dataset, rate: float | Literal["native"], entry: SourceConfig) -> Dataset:
    """`dataset`, that of `entry`, at the mixture's `rate`. Raises ConfigError for a `resample` that does not fit it."""
    fps = dataset.fps if rate == "native" else as_rate(rate, "dataset.rate")
    return resampled(dataset, fps, entry.resample, f"source {entry.name!r}: resample")

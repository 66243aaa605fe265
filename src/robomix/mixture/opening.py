"""Opening the datasets of a mixture file."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from robomix.config import MixtureConfig, SourceConfig
from robomix.errors import ConfigError, RobomixError
from robomix.formats import Dataset, open_dataset
from robomix.formats.rate import as_rate
from robomix.formats.resampling.dataset import resampled
from robomix.mixture.fetching import Located, locate


def opened(config: MixtureConfig, entry: SourceConfig, found: Located) -> Dataset:
    """The dataset of an entry of `config`, which lies at `found`."""
    return open_dataset(found.path, fps=entry.fps, part=found.part, decode_device=config.decode_device)


def open_each[T](
    config: MixtureConfig,
    make: Callable[[Dataset, SourceConfig], T],
    opened: Callable[[MixtureConfig, SourceConfig, Located], Dataset] = opened,
) -> list[T]:
    """What `make` makes of each dataset of `config`, as `opened` opens it and at the mixture's rate, and its entry.

    The entry's `revision` is the commit that the Hub gave; None for a folder of which that is not known.
    Raises what is wrong with one of them, or one ConfigError for several.
    """
    made: list[T] = []
    errors: list[RobomixError] = []
    for entry in config.datasets:
        try:
            found = locate(entry)
            pinned = replace(entry, revision=found.resolved_revision)
            made.append(make(at_rate(opened(config, entry, found), config.rate, entry), pinned))
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

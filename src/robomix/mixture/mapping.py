"""What the features of a dataset are called in a mixture."""

from collections.abc import Mapping

from robomix.errors import ConfigError, did_you_mean
from robomix.features import BOOKKEEPING
from robomix.formats.base import Dataset
from robomix.mixture.padding import padding_columns


def mapped_keys(dataset: Dataset, names: Mapping[str, str | None], source: str) -> dict[str, str]:
    """Mixture key to dataset key, in the dataset's order, for numeric features and cameras.

    `names` is the source's `feature_map`. Columns that only say what is padding are left out, but where it names them.
    Raises ConfigError, naming the `source`, for a name there is not, and for two features of one name.
    """
    for old in names:
        if old not in dataset.features:
            known = ", ".join(dataset.features)
            hint = did_you_mean(old, dataset.features)
            if old in BOOKKEEPING:
                hint = " robomix derives it; it cannot be renamed."
            raise ConfigError(f"source {source!r}: feature_map names {old!r}, which is not there.{hint} Here: {known}")
    masks = {column for own in padding_columns(dataset.features).values() for column in own.names} - set(names)
    mapped: dict[str, str] = {}
    for old, feature in dataset.features.items():
        key = names.get(old, old)
        if key is None or old in masks or feature.kind not in ("numeric", "camera"):
            continue
        if key in mapped:
            raise ConfigError(
                f"source {source!r}: both {mapped[key]!r} and {old!r} would be called {key!r}. "
                f"Map one of them to another name, or to null to leave it out."
            )
        mapped[key] = old
    return mapped

"""Which episodes are held out for validation, by their content.

An episode is hashed to a number in [0, 1), and held out where that is below `val_fraction`. The number depends on
nothing but what was recorded: not on the episode's place, on its neighbours, on the seed of a training, or on what the
mixture makes of it. So episodes that are added, removed or reordered move no other one; a larger fraction holds out the
same episodes and more; and copies of one episode, in one dataset or in several, come to lie on one side. The fraction
is reached in expectation only: of a few episodes it may hold out none.

What is hashed are the actions as recorded, which copies in other formats, or with columns added, share: `action`, else
`actions`, else all columns whose names begin so. Where they do not move, as in recordings of people, it is all numbers
of the episode; where there are none, its episode_index.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from robomix.errors import ConfigError
from robomix.formats.base import Dataset
from robomix.mixture.padding import PaddingColumns, padding_columns

if TYPE_CHECKING:  # it takes torch, which those who only compare recordings can do without
    from robomix.mixture.source import Source

log = logging.getLogger(__name__)

_VERSION = b"robomix split 1"
"""Goes into every hash: a change of what is hashed in any way moves episodes, and needs a new number."""
_ACTIONS = ("action", "actions")
_SHOWN = 10


def split(sources: Sequence["Source"], val_fraction: float) -> list["Source"]:
    """`sources` without the episodes that are held out, which each has as `held_out`; as they are where none asks.

    A source's `val_episodes` or `val_fraction` wins over the mixture's `val_fraction`. What one source holds out is
    held out of all: a copy of an episode in another source is not trained on either.

    Raises ConfigError where a source would have no episode left to train on, where nothing at all is held out, or for
    `val_episodes` that are not among the chosen ones.
    """
    fractions = [_fraction(source, val_fraction) for source in sources]
    if not any(fraction is None or fraction > 0 for fraction in fractions):
        return list(sources)
    keys = [episode_keys(source.dataset, source.ordinals) for source in sources]
    asked = [_asked(*one) for one in zip(sources, keys, fractions, strict=True)]
    held_keys = np.concatenate([of_source[chosen] for of_source, chosen in zip(keys, asked, strict=True)])
    held = [np.isin(of_source, held_keys) for of_source in keys]
    _check(sources, fractions, asked, held)
    parted = [_parted(source, is_held) for source, is_held in zip(sources, held, strict=True)]
    if not any(source.held_out.frames.num_drawable for source in parted if source.held_out):
        raise ConfigError("no frame of the episodes held out for validation can start a sample. Hold out longer ones.")
    return parted


def episode_keys(dataset: Dataset, ordinals: np.ndarray) -> np.ndarray:
    """(E,) uint64: a hash of the content of each of the episodes at `ordinals` (E,), equal for copies of one.

    What the dataset itself says is padding is not content, so an episode has the same hash in a merged dataset.
    """
    recording = dataset.recording
    padding = padding_columns(recording.features)
    masks = {mask for columns in padding.values() for mask in columns.names}
    numeric = sorted(key for key, f in recording.features.items() if f.kind == "numeric" and key not in masks)
    exact = [key for key in _ACTIONS if key in numeric][:1]
    actions = exact or [key for key in numeric if key.startswith(_ACTIONS)]
    ids = recording.episodes.ids
    keys = np.empty(len(ordinals), dtype=np.uint64)
    for i, e in enumerate(ordinals):
        values = list(_recorded(recording, actions, padding, e))
        if not any((of_key != of_key[:1]).any() for of_key in values):
            values = list(_recorded(recording, numeric, padding, e))
        keys[i] = _hash(values or [np.array([ids[e]], dtype="<i8")])
    return keys


def recorded_values(dataset: Dataset, key: str, ordinal: int) -> np.ndarray | None:
    """(T, ...) float32: the column `key` of an episode as recorded, by its position, without entries that are padding;
    None where all is.
    """
    recording = dataset.recording
    return next(_recorded(recording, [key], padding_columns(recording.features), ordinal), None)


def _recorded(
    recording: Dataset, keys: Sequence[str], padding: Mapping[str, PaddingColumns], ordinal: int
) -> Iterator[np.ndarray]:
    rows = slice(*recording.episodes.starts[ordinal : ordinal + 2])
    for key in keys:
        values, said = _single(recording.column(key)[rows]), padding.get(key, PaddingColumns())
        if said.dims is not None:
            values = values[:, ~recording.column(said.dims)[rows].all(axis=0)]
        if values.size and (said.absent is None or not recording.column(said.absent)[rows].all()):
            yield values


def hash_of_numbers(arrays: Sequence[np.ndarray]) -> int:
    """A hash of 64 bits of `arrays`, taken in single precision: what `episode_keys` does with the recorded actions."""
    return _hash([_single(values) for values in arrays])


def _single(values: np.ndarray) -> np.ndarray:
    """`values` in single precision, with one zero and one NaN: formats differ in these."""
    with np.errstate(over="ignore"):
        single = values.astype("<f4") + np.float32(0)  # -0.0 + 0.0 is 0.0
    single[np.isnan(single)] = np.nan
    return single


def _hash(arrays: Sequence[np.ndarray]) -> int:
    digest = hashlib.blake2b(digest_size=8, person=_VERSION)
    for values in arrays:
        digest.update(repr(values.shape).encode())
        digest.update(np.ascontiguousarray(values).data)
    return int.from_bytes(digest.digest(), "little")


def _fraction(source: "Source", val_fraction: float) -> float | None:
    """The share that a source is to hold out; None where it lists episodes in place of it."""
    if source.config.val_episodes is not None:
        return None
    return val_fraction if source.config.val_fraction is None else source.config.val_fraction


def _asked(source: "Source", keys: np.ndarray, fraction: float | None) -> np.ndarray:
    """(E,) bool: the episodes that a source itself holds out."""
    if fraction is not None:
        return keys < np.float64(fraction) * 2.0**64
    listed = source.config.val_episodes or ()
    missing = sorted(set(listed) - set(source.frames.ids.tolist()))
    if missing:
        raise ConfigError(
            f"source {source.name!r}: val_episodes {missing[:_SHOWN]} are not among its {len(keys)} chosen episodes "
            f"({source.dataset.path}). What is held out is chosen first: by `episodes`, if the source has it, and the "
            "other filters."
        )
    return np.isin(source.frames.ids, listed)


def _check(
    sources: Sequence["Source"],
    fractions: Sequence[float | None],
    asked: Sequence[np.ndarray],
    held: Sequence[np.ndarray],
) -> None:
    """Says which sources hold out nothing, or copies; raises ConfigError where one trains on nothing, or all do."""
    for source, fraction, own, is_held in zip(sources, fractions, asked, held, strict=True):
        count = len(is_held)
        if is_held.all():
            wish = "" if fraction is None else f" (val_fraction is {fraction:g})"
            raise ConfigError(
                f"source {source.name!r}: all {count} of its episodes are held out for validation{wish}, and none is "
                "left to train on. Lower its `val_fraction`, to 0 if all shall be trained on, or list those to hold "
                "out in `val_episodes`."
            )
        if fraction and not is_held.any():
            log.warning("source %r: val_fraction %g holds out none of its %d episodes", source.name, fraction, count)
        if copies := int((is_held & ~own).sum()):
            log.info("source %r: %d episodes are copies of held-out ones, and held out too", source.name, copies)
    if not any(is_held.any() for is_held in held):
        raise ConfigError(
            f"val_fraction holds out none of the {sum(map(len, held))} episodes: it is reached in expectation only. "
            "Raise it, or list those to hold out in `val_episodes` of a dataset."
        )


def _parted(source: "Source", is_held: np.ndarray) -> "Source":
    training = source.of_episodes(source.ordinals[~is_held])
    training.check_drawable()
    training.held_out = source.of_episodes(source.ordinals[is_held])
    return training

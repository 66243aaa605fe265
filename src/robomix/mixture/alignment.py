"""One schema for all sources: which features samples have, of which shape, and what is padding in whose samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from robomix.errors import AlignmentError
from robomix.features import STATE, Feature
from robomix.mixture.condition import Condition
from robomix.mixture.padding import PaddingColumns


class Member(Protocol):
    """What is aligned: a source of a mixture, or a dataset that is to be merged."""

    @property
    def name(self) -> str: ...

    @property
    def features(self) -> Mapping[str, Feature]: ...

    @property
    def said_padding(self) -> Mapping[str, PaddingColumns]:
        """By feature, the columns in which it says itself what is padding."""


@dataclass(frozen=True)
class Schema:
    """What every sample of a mixture holds."""

    features: dict[str, Feature]
    """By mixture key; vectors are as wide as the widest source's."""
    lacking: dict[str, tuple[str, ...]]
    """Key to the names of the sources without it, for keys that some source lacks."""
    dropped: dict[str, tuple[str, ...]]
    """Under `intersection`: key left out to the names of the sources that have it."""
    condition: Condition | None = None
    """What tells where a sample is from, if anything does."""
    padded: frozenset[str] = frozenset()
    """Keys with a `{key}_is_pad` mask even without a window: those of `lacking`, and those of which some dataset says
    in a column of its own where it has none.
    """

    @property
    def camera_keys(self) -> list[str]:
        return [key for key, feature in self.features.items() if feature.is_camera]

    @property
    def vector_keys(self) -> list[str]:
        """Keys with a `{key}_dim_is_pad` mask."""
        return [key for key, feature in self.features.items() if feature.is_vector]

    def of_sources(self, key: str) -> Feature:
        """The feature `key` as wide as the widest source's, without what is in front."""
        feature, front = self.features[key], self.in_front(key)
        names = None if feature.names is None else feature.names[front:]
        return replace(feature, shape=(feature.shape[0] - front,), names=names) if front else feature

    def in_front(self, key: str) -> int:
        """How many entries of `key` come before those of the sources: they tell where the sample is from."""
        return self.condition.width if self.condition is not None and self.condition.key == key else 0


def align(sources: Sequence[Member], mode: str, condition: Condition | None = None) -> Schema:
    """The schema of `sources` under `mode`, `union` or `intersection`, with the entries of `condition`.

    Raises AlignmentError, naming sources, key, what each has and the fix, where features of one name do not fit
    together, where nothing is common, or where the condition has no place.
    """
    schema = _aligned(sources, mode)
    return schema if condition is None else _conditioned(schema, condition, sources)


def _aligned(sources: Sequence[Member], mode: str) -> Schema:
    owners: dict[str, list[Member]] = {}
    for source in sources:
        for key in source.features:
            owners.setdefault(key, []).append(source)
    shared = {key for key, having in owners.items() if len(having) == len(sources)}
    if mode == "intersection" and not shared:
        listing = "\n".join(f"  {s.name}: {', '.join(s.features) or 'no features'}" for s in sources)
        raise AlignmentError(
            f"the datasets have no feature in common:\n{listing}\n"
            "Give the same thing the same name with feature_map, or keep everything with `features: union`."
        )
    kept = [key for key in owners if mode == "union" or key in shared]
    names = {key: tuple(s.name for s in having) for key, having in owners.items()}
    lacking = {key: tuple(s.name for s in sources if key not in s.features) for key in kept if key not in shared}
    said = {key for source in sources for key, columns in source.said_padding.items() if columns.absent}
    return Schema(
        features={key: _common(key, owners[key]) for key in kept},
        lacking=lacking,
        dropped={key: names[key] for key in owners if key not in kept},
        padded=frozenset(lacking) | said.intersection(kept),
    )


def _conditioned(schema: Schema, condition: Condition, sources: Sequence[Member]) -> Schema:
    """`schema` with a state that begins with the entries of `condition`, or with these as one more feature."""
    key, found = condition.key, schema.features.get(condition.key)
    if condition.in_state and (found is None or not found.is_vector):
        here = f"is of shape {found.shape}" if found else "is not there"
        advice = "Map one to it with feature_map, or give `condition_key: observation.embodiment`."
        if lost := schema.dropped.get(key):
            here, advice = f"is only in {', '.join(lost)}", "Keep it with `features: union`."
        raise AlignmentError(f"condition_on puts its entries in front of {key!r}, a vector, which {here}. {advice}")
    owners = [source.name for source in sources if key in source.features]  # `intersection` may have dropped theirs
    if not condition.in_state and owners:
        has = "has" if len(owners) == 1 else "have"
        raise AlignmentError(
            f"condition_key is {key!r}, which {', '.join(owners)} {has} already. Choose another name, leave theirs out "
            f"with feature_map: {{{key}: null}}, or choose {STATE!r}: in front of that the entries are put."
        )
    features = schema.features | {key: condition.before(found)}
    lacking = {name: who for name, who in schema.lacking.items() if name != key}  # the entries all samples have
    return Schema(features, lacking, schema.dropped, condition, schema.padded - {key})


def _common(key: str, sources: Sequence[Member]) -> Feature:
    features = [source.features[key] for source in sources]
    kinds = {feature.kind for feature in features}
    ranks = {len(feature.shape) for feature in features}
    if len(kinds) > 1 or len(ranks) > 1:
        raise _clash(key, sources, "These are different things: give one of them another name with feature_map.")
    widest = max(features, key=lambda feature: feature.shape)
    if features[0].is_camera:
        if len({feature.shape for feature in features}) > 1:
            height, width = min(feature.shape[1:] for feature in features)
            raise _clash(
                key,
                sources,
                "Bring them to one size, for each of these sources, with "
                f"transforms: [{{type: resize_images, kwargs: {{height: {height}, width: {width}}}}}]",
            )
    elif not widest.is_vector and len({feature.shape for feature in features}) > 1:
        raise _clash(key, sources, "Only vectors can be padded: map or transform these to one shape.")
    dtype = np.result_type(*(np.dtype(feature.dtype) for feature in features))
    if dtype.kind not in "biuf":
        raise _clash(key, sources, "There is no common number type.")
    return replace(widest, dtype=dtype.name, real_dim=None)


def _clash(key: str, sources: Sequence[Member], fix: str) -> AlignmentError:
    listing = "\n".join(
        f"  {source.name}: {feature.kind}, {feature.dtype}, shape {feature.shape}"
        for source in sources
        for feature in [source.features[key]]
    )
    return AlignmentError(f"{key!r} does not fit together:\n{listing}\n{fix}")

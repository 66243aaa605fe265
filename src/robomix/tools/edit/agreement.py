"""What several datasets have alike, and why they do not fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.formats.lerobot.features import parse_features
from robomix.mixture.alignment import Schema, align
from robomix.mixture.padding import PaddingColumns, padding_columns
from robomix.tools.build.content import Content, Declared


@dataclass(frozen=True)
class Part:
    """One of the datasets, as `align` takes it."""

    name: str
    content: Content
    features: Mapping[str, Feature]
    """What samples hold of it."""
    said_padding: Mapping[str, PaddingColumns]
    """Its columns that say what of it is padding."""

    @classmethod
    def of(cls, content: Content, name: str) -> "Part":
        found, _ = parse_features(content.features, Path(name))
        columns = padding_columns(found)
        masks = {mask for own in columns.values() for mask in own.names}
        kept = {key: f for key, f in found.items() if f.kind in ("numeric", "camera") and key not in masks}
        return cls(name, content, kept, columns)

    @property
    def others(self) -> dict[str, Declared]:
        """Texts, depths and what else no sample holds."""
        masks = {mask for own in self.said_padding.values() for mask in own.names}
        return {key: spec for key, spec in self.content.features.items() if key not in {*self.features, *masks}}


def differing_rates(parts: Sequence[Part]) -> list[str]:
    if len({part.content.fps for part in parts}) == 1:
        return []
    told = ", ".join(f"{part.name} {float(part.content.fps):g}" for part in parts)
    return [f"frames per second differ: {told}. Give --fps to resample them all to one rate."]


def differing_robots(parts: Sequence[Part]) -> list[str]:
    if len({part.content.robot_type for part in parts}) == 1:
        return []
    told = ", ".join(f"{part.name} {part.content.robot_type!r}" for part in parts)
    return [f"robot types differ: {told}. Say what the new dataset's is with --robot_type."]


def shared_schema(parts: Sequence[Part]) -> tuple[Schema, list[str]]:
    """The union of all features, as a mixture has it, without those that do not fit together, and why these do not."""
    clashes, clashing = [], set()
    for key in dict.fromkeys(key for part in parts for key in part.features):
        own = [part for part in parts if key in part.features]
        storages = {part.content.features[key]["dtype"] for part in own if part.features[key].is_camera}
        if len(storages) > 1:
            told = ", ".join(f"{part.name} {part.content.features[key]['dtype']}" for part in own)
            clashes.append(f"{key!r} is kept in two ways: {told}. Give --storage=video or --storage=image.")
            clashing.add(key)
        try:
            align([replace(part, features={key: part.features[key]}, said_padding={}) for part in own], "union")
        except AlignmentError as error:
            clashes.append(str(error))
            clashing.add(key)
    fitting = [replace(p, features={k: f for k, f in p.features.items() if k not in clashing}) for p in parts]
    return align(fitting, "union"), clashes


def widened(parts: Sequence[Part], features: Mapping[str, Feature]) -> list[str]:
    """Vectors that are wider in the joined dataset, for people."""
    told = []
    for key, feature in features.items():
        own = [part for part in parts if key in part.features and part.features[key].shape != feature.shape]
        if own and feature.is_vector:
            widths = ", ".join(f"{part.name} {part.features[key].shape[0]}" for part in own)
            told.append(f"{key} to {feature.shape[0]} ({widths})")
    return told


def alike(parts: Sequence[Part]) -> tuple[dict[str, Declared], list[str]]:
    """What no sample holds: that which all have alike, and the names of the rest."""
    found = {key: spec for part in reversed(parts) for key, spec in part.others.items()}
    same = {
        key: spec
        for key, spec in found.items()
        if all(key in part.others and kind_of(part.others[key]) == kind_of(spec) for part in parts)
    }
    return same, [key for key in found if key not in same]


def kind_of(spec: Declared) -> tuple[str, tuple[Any, ...]]:
    return str(spec["dtype"]), tuple(spec["shape"])

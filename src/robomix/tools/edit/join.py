"""Several datasets as one: aligned as a mixture aligns them, with what is padding marked in columns of its own.

The columns are those that `mixture.padding` reads: whoever trains on the joined dataset gets the masks that a mixture
of the parts has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.formats.lerobot.features import parse_features
from robomix.mixture.alignment import Schema, align
from robomix.mixture.padding import DIM_IS_PAD, IS_PAD, PaddingColumns, padding_columns
from robomix.tools.build.content import Content, Declared, Drawn, Episode
from robomix.tools.edit.annotations import renumbered
from robomix.tools.edit.filling import Black, Filled

Keep = Literal["intersection", "union"]
_ADVICE = (
    "--keep=intersection drops them, --keep=union fills them with zeros and marks them; what is only called otherwise "
    "gets one name with --map."
)


@dataclass(frozen=True)
class Joined:
    """What became of the datasets."""

    content: Content
    notes: tuple[str, ...]
    """What was left out or filled, for the plan."""
    refusals: tuple[str, ...]
    """Why they do not fit together; then `content` is not to be written."""


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


def join(
    contents: Sequence[Content],
    names: Sequence[str],
    *,
    keep: Keep | None = None,
    robot_type: str | None = None,
    provenance: bool = False,
) -> Joined:
    """All episodes of `contents`, one dataset after another.

    Args:
        contents: what to join, at equal rates.
        names: how messages call them.
        keep: what becomes of features that not all have: `intersection` drops them, `union` fills them with zeros and
            says so in a column `KEY_is_pad`; None refuses. Vectors narrower than others are filled at the end, and a
            column `KEY_dim_is_pad` says so, either way.
        robot_type: of the new dataset; None where all have the same.
        provenance: whether the metadata of each episode shall say from which dataset and episode it comes.
    """
    tasks = tuple(dict.fromkeys(text for content in contents for text in content.tasks))
    number = {text: i for i, text in enumerate(tasks)}
    contents = [renumbered(content, [number[text] for text in content.tasks]) for content in contents]
    parts = [Part.of(content, name) for name, content in zip(names, contents, strict=True)]
    refusals = [*_rates(parts), *(_robots(parts) if robot_type is None else ())]
    union, clashes = _schema(parts)
    refusals += clashes
    lacking = {key: lacking for key, lacking in union.lacking.items() if key in union.features}
    told = {key: f"{key} (not in {', '.join(lack)})" for key, lack in lacking.items()}
    if told and keep is None:
        refusals.append(f"features that not all have: {'; '.join(told.values())}. {_ADVICE}")
    kept = {key: f for key, f in union.features.items() if keep == "union" or key not in lacking}
    if not kept and not clashes:
        refusals.append("no feature is in all of the datasets. Give the same thing one name with --map.")
    notes = [f"filled with zeros: {text}" if key in kept else f"dropped: {text}" for key, text in told.items()]
    notes += [f"filled with zeros at the end: {text}" for text in _narrow(parts, kept)]
    others, dropped = _others(parts)
    notes += [f"dropped: {key}, which not all have alike and nothing can be filled in for" for key in dropped]
    whole = _joined(parts, Schema(kept, {}, {}), others)
    episodes = [
        replace(episode, carried=dict(episode.carried) | _origin(part.name, episode) if provenance else episode.carried)
        for part, content in zip(parts, whole, strict=True)
        for episode in content.episodes
    ]
    info, files, left = _shared_metadata(contents)
    notes += [f"left out: meta/{name}, which not all have alike" for name in left]
    joined = Content(
        contents[0].fps,
        robot_type or contents[0].robot_type,
        whole[0].features,
        tuple(_with_all_columns(episodes)),
        info,
        files,
        tasks,
    )
    return Joined(joined, tuple(notes), tuple(refusals))


def _rates(parts: Sequence[Part]) -> list[str]:
    if len({part.content.fps for part in parts}) == 1:
        return []
    told = ", ".join(f"{part.name} {float(part.content.fps):g}" for part in parts)
    return [f"frames per second differ: {told}. Give --fps to resample them all to one rate."]


def _robots(parts: Sequence[Part]) -> list[str]:
    if len({part.content.robot_type for part in parts}) == 1:
        return []
    told = ", ".join(f"{part.name} {part.content.robot_type!r}" for part in parts)
    return [f"robot types differ: {told}. Say what the new dataset's is with --robot_type."]


def _schema(parts: Sequence[Part]) -> tuple[Schema, list[str]]:
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


def _narrow(parts: Sequence[Part], features: Mapping[str, Feature]) -> list[str]:
    """Vectors that are wider in the joined dataset, for people."""
    told = []
    for key, feature in features.items():
        own = [part for part in parts if key in part.features and part.features[key].shape != feature.shape]
        if own and feature.is_vector:
            widths = ", ".join(f"{part.name} {part.features[key].shape[0]}" for part in own)
            told.append(f"{key} to {feature.shape[0]} ({widths})")
    return told


def _others(parts: Sequence[Part]) -> tuple[dict[str, Declared], list[str]]:
    """What no sample holds: that which all have alike, and the names of the rest."""
    found = {key: spec for part in reversed(parts) for key, spec in part.others.items()}
    same = {
        key: spec
        for key, spec in found.items()
        if all(key in part.others and _kind(part.others[key]) == _kind(spec) for part in parts)
    }
    return same, [key for key in found if key not in same]


def _kind(spec: Declared) -> tuple[str, tuple[Any, ...]]:
    return str(spec["dtype"]), tuple(spec["shape"])


def _joined(parts: Sequence[Part], schema: Schema, others: Mapping[str, Declared]) -> list[Content]:
    """The parts, each with the features of `schema`, with `others`, and with all columns of padding that any needs."""
    features: dict[str, Declared] = {key: _declared(parts, key, f) for key, f in schema.features.items()}
    absent = [key for key in features if any(key not in p.features or _said(p, key).absent for p in parts)]
    narrow = [
        key
        for key, feature in schema.features.items()
        if feature.is_vector
        and any(p.features.get(key, feature).shape != feature.shape or _said(p, key).dims for p in parts)
    ]
    flag: Declared = {"dtype": "bool", "shape": [1], "names": None}
    masks = {f"{key}{IS_PAD}": flag for key in absent}
    masks |= {f"{key}{DIM_IS_PAD}": dict(features[key]) | {"dtype": "bool"} for key in narrow}
    made = []
    for part in parts:
        flags = {f"{key}{IS_PAD}": np.array(key not in part.features) for key in absent}
        for key in narrow:
            own = part.features[key].shape[0] if key in part.features else 0
            flags[f"{key}{DIM_IS_PAD}"] = np.arange(schema.features[key].shape[0]) >= own
        made.append(_filled(part, features, flags, {**features, **others, **masks}))
    return made


def _said(part: Part, key: str) -> PaddingColumns:
    return part.said_padding.get(key, PaddingColumns())


def _declared(parts: Sequence[Part], key: str, feature: Feature) -> Declared:
    """As the first of the parts with the whole feature declares it."""
    spec = next(p.content.features[key] for p in parts if key in p.features and p.features[key].shape == feature.shape)
    return spec if feature.is_camera else dict(spec) | {"dtype": feature.dtype}


def _filled(
    part: Part, features: Mapping[str, Declared], flags: Mapping[str, np.ndarray], whole: Mapping[str, Declared]
) -> Content:
    """The part with all of `features`, columns `flags`, and `whole` as what it declares."""
    own = part.content.features
    lacking = [key for key in features if key not in part.features]
    videos = [key for key in lacking if features[key]["dtype"] == "video"]
    columns = {key: spec for key, spec in features.items() if spec["dtype"] != "video"}
    changes = flags or any(key not in own or _kind(spec)[1] != _kind(own[key])[1] for key, spec in columns.items())

    def made(episode: Episode) -> Episode:
        black = {
            key: Drawn(Black(*_sides(features[key])), np.arange(episode.length), f"{key} is not there: black frames")
            for key in videos
        }
        return replace(
            episode,
            rows=Filled(episode.rows, own, columns, flags) if changes else episode.rows,
            videos={key: part for key, part in (dict(episode.videos) | black).items() if key in whole},
            camera_stats={key: stats for key, stats in episode.camera_stats.items() if key in whole},
        )

    return replace(part.content, features=whole, episodes=tuple(made(episode) for episode in part.content.episodes))


def _sides(spec: Declared) -> tuple[int, int]:
    """(height, width) of a camera."""
    found, _ = parse_features({"camera": spec}, Path("info.json"))
    return found["camera"].shape[1], found["camera"].shape[2]


def _shared_metadata(contents: Sequence[Content]) -> tuple[dict[str, Any], dict[str, Path], list[str]]:
    """Further keys of info.json and files below meta/ that all have alike, and the names of the other files."""
    first = contents[0]
    info = {key: value for key, value in first.info.items() if all(c.info.get(key) == value for c in contents)}
    names = dict.fromkeys(name for content in contents for name in content.meta_files)
    files = {}
    for name in names:
        paths = [content.meta_files.get(name) for content in contents]
        if all(path is not None for path in paths) and len({path.read_bytes() for path in paths if path}) == 1:
            files[name] = first.meta_files[name]
    return info, files, [name for name in names if name not in files]


def _with_all_columns(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes, each with every further column that any has; None where it has none."""
    names = dict.fromkeys(name for episode in episodes for name in episode.carried)
    return [replace(e, carried=dict.fromkeys(names) | dict(e.carried)) for e in episodes]


def _origin(name: str, episode: Episode) -> dict[str, Any]:
    return {"source": name, "source_episode_index": episode.origin.episode}

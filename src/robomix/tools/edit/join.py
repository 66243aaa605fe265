"""Several datasets as one: aligned as a mixture aligns them, with what is padding marked in columns of its own.

The columns are those that `mixture.padding` reads: whoever trains on the joined dataset gets the masks that a mixture
of the parts has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from robomix.features import Feature
from robomix.formats.lerobot.features import parse_features
from robomix.mixture.alignment import Schema
from robomix.mixture.padding import DIM_IS_PAD, IS_PAD, PaddingColumns
from robomix.tools.build.annotations import renumbered
from robomix.tools.build.content import Content, Declared, Drawn, Episode
from robomix.tools.edit.agreement import Part, alike, differing_rates, differing_robots, kind_of, shared_schema, widened
from robomix.tools.edit.filling import Black, Filled
from robomix.tools.edit.joined_metadata import shared_metadata, with_all_columns, with_origins

Keep = Literal["intersection", "union"]
_ADVICE = (
    "--keep=intersection drops them, --keep=union fills them with zeros and marks them; what is only called otherwise "
    "gets one name with --map."
)
_SUBTASKS = (
    "'subtask_index' names rows of meta/subtasks.parquet, which not all have alike: a number would mean one thing here "
    "and another there. Leave the column out, with robomix drop or {subtask_index: null} in --map."
)


@dataclass(frozen=True)
class Joined:
    """What became of the datasets."""

    content: Content
    notes: tuple[str, ...]
    """What was left out or filled, for the plan."""
    refusals: tuple[str, ...]
    """Why they do not fit together; then `content` is not to be written."""
    sources: tuple[Path, ...] = ()
    """Where all datasets lie that were asked for, also those of which nothing is in `content`."""


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
    contents = [renumbered(content, _numbers(content, number)) for content in contents]
    parts = [Part.of(content, name) for name, content in zip(names, contents, strict=True)]
    refusals = [*differing_rates(parts), *(differing_robots(parts) if robot_type is None else ())]
    union, clashes = shared_schema(parts)
    refusals += clashes
    lacking = {key: lacking for key, lacking in union.lacking.items() if key in union.features}
    told = {key: f"{key} (not in {', '.join(lack)})" for key, lack in lacking.items()}
    if told and keep is None:
        refusals.append(f"features that not all have: {'; '.join(told.values())}. {_ADVICE}")
    kept = {key: f for key, f in union.features.items() if keep == "union" or key not in lacking}
    if not kept and not clashes:
        refusals.append("no feature is in all of the datasets. Give the same thing one name with --map.")
    notes = [f"filled with zeros: {text}" if key in kept else f"dropped: {text}" for key, text in told.items()]
    notes += [f"filled with zeros at the end: {text}" for text in widened(parts, kept)]
    others, dropped = alike(parts)
    notes += [f"dropped: {key}, which not all have alike and nothing can be filled in for" for key in dropped]
    whole = _joined(parts, Schema(kept, {}, {}), others)
    episodes = [episode for content in whole for episode in content.episodes]
    if provenance:
        episodes = with_origins(episodes, [part.name for part in parts for _ in part.content.episodes])
    info, files, left = shared_metadata(contents)
    notes += [f"left out: meta/{name}, which not all have alike" for name in left]
    if "subtasks.parquet" in left and any("subtask_index" in content.features for content in contents):
        refusals.append(_SUBTASKS)
    joined = Content(
        contents[0].fps,
        robot_type or contents[0].robot_type,
        whole[0].features,
        tuple(with_all_columns(episodes)),
        info,
        files,
        tasks,
    )
    return Joined(joined, tuple(notes), tuple(refusals))


def _numbers(content: Content, number: Mapping[str, int]) -> dict[int, int]:
    """The new number of each of its tasks."""
    return {old: number[text] for old, text in enumerate(content.tasks)}


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
    changes = flags or any(key not in own or kind_of(spec)[1] != kind_of(own[key])[1] for key, spec in columns.items())

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

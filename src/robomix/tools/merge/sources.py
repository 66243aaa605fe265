"""What a source of a mixture contributes to a merged dataset: its chosen episodes, under its names, as content."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from robomix.formats.base import Dataset
from robomix.formats.gr00t import Gr00tDataset
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.formats.lerobot.features import parse_features
from robomix.formats.lerobot.part import WHOLE
from robomix.formats.lerobot.write_meta import declare
from robomix.mixture.padding import padding_columns
from robomix.tools.build.annotations import annotations
from robomix.tools.build.content import Content, Episode
from robomix.tools.build.foreign import content_of_dataset, is_lerobot_folder, tasks_of
from robomix.tools.build.rows import ColumnRows
from robomix.tools.build.source import read_content
from robomix.tools.edit.episodes import keep
from robomix.tools.edit.features import drop, rename
from robomix.tools.edit.tasks import set_task
from robomix.tools.merge.beside import Beside
from robomix.tools.merge.member import Member
from robomix.tools.merge.recorded import RecordedDataset
from robomix.video.encode import find_encoder


def content_of_member(member: Member, codec: str, *, with_parts: bool) -> Content:
    """The episodes that `member` has chosen, with all that its samples hold, and what else the dataset has.

    Numbers and frames are those of the samples, in the dataset's own files where these hold them. `with_parts`: the
    parts of GR00T's vectors become features of their own, as samples have them. Raises RobomixError for what is wrong
    with the dataset, AlignmentError for features that no dataset can hold.
    """
    content = keep(_recorded(member.dataset, codec, with_parts=with_parts), member.ids)
    content = _mapped(content, member.entry.feature_map)
    if member.entry.lang is not None:
        content = set_task(content, member.entry.lang)
    if member.entry.transforms:
        from robomix.tools.merge.transformed import transformed  # importing torch takes seconds

        content = transformed(content, member, codec)
    return content


def _recorded(dataset: Dataset, codec: str, *, with_parts: bool) -> Content:
    """All of the dataset that was opened, under its own names."""
    if isinstance(dataset, RecordedDataset):
        return dataset.content
    if dataset.recording is not dataset:
        before, after = float(dataset.recorded_fps), float(dataset.fps)
        return content_of_dataset(dataset, codec=codec, reason=f"it is resampled from {before:g} to {after:g} fps")
    if not is_lerobot_folder(dataset.path):
        return content_of_dataset(dataset, codec=codec)
    content = read_content(dataset.path, dataset.part if isinstance(dataset, LeRobotDataset) else WHOLE)
    return _with_parts(content, dataset) if with_parts and isinstance(dataset, Gr00tDataset) else content


def _with_parts(content: Content, dataset: Gr00tDataset) -> Content:
    """A GR00T dataset by the names that its meta/modality.json gives, which then is not needed any more.

    So are the tasks: where an annotation describes them, samples have its texts, whatever `task_index` says.
    """
    cameras = {stored: key for key, stored in dataset.stored_cameras.items() if stored in content.features}
    content = rename(content, cameras) if cameras else content
    parts = {key: f for key, f in dataset.features.items() if f.kind == "numeric" and key not in content.features}
    features = dict(content.features) | {key: declare(f, content.fps, find_encoder("h264")) for key, f in parts.items()}
    starts, columns = dataset.episodes.starts, {key: key for key in parts}
    ordinals = {int(number): i for i, number in enumerate(dataset.episodes.ids)}

    def made(episode: Episode) -> Episode:
        i = ordinals[episode.origin.episode]
        rows = np.arange(starts[i], starts[i + 1])
        tasks, task_of = tasks_of(dataset, rows)
        own = Beside(episode.rows, ColumnRows(dataset, rows, columns))
        return replace(episode, rows=own, tasks=tasks, task_of=task_of)

    files = {name: path for name, path in content.meta_files.items() if name != "modality.json"}
    named = [key for key in annotations(content) if not key.startswith("annotation.")]  # nothing tells them any more
    whole = replace(content, features=features, episodes=tuple(map(made, content.episodes)), meta_files=files)
    return drop(whole, named) if named else whole


def _mapped(content: Content, names: Mapping[str, str | None]) -> Content:
    """Features under the mixture's names, with the columns that say what of them is padding."""
    found, _ = parse_features(content.features, Path("info.json"))
    gone = {old for old, new in names.items() if new is None}
    renamed = {old: new for old, new in names.items() if new is not None}
    for key, columns in padding_columns(found).items():
        for column in columns.without(names).names:
            if key in gone:
                gone.add(column)
            elif key in renamed:
                renamed[column] = renamed[key] + column.removeprefix(key)
    gone &= set(content.features)
    renamed = {old: new for old, new in renamed.items() if old in content.features and new != old}
    content = drop(content, gone) if gone else content
    return rename(content, renamed) if renamed else content

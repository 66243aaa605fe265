"""A dataset as a member of a mixture: which episodes, under which names, through which transforms."""

import inspect
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from robomix.config import SourceConfig
from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import BOOKKEEPING, Feature
from robomix.formats.base import Dataset
from robomix.mixture.frames import FrameTable
from robomix.mixture.transforms import DatasetTransformStep, build_transform

Horizons = Mapping[str, Sequence[int]]
"""For a key, the frames of its window relative to the current one, such as (-1, 0) or (0, 1, ..., 49)."""


@dataclass
class Part:
    """What one source contributes to a batch, while it is being read."""

    values: dict[str, Any]
    """Mixture key to tensor (n, ...) or (n, T, ...), before the transforms; and `task`."""
    time_is_pad: dict[str, np.ndarray]
    """Key with a horizon to (n, T) bool: the step lies outside the episode, its value is the nearest one inside."""
    episode: np.ndarray
    """(n,) int64: position among the source's chosen episodes."""
    frame_index: np.ndarray
    """(n,) int64: place in the episode."""
    task: np.ndarray
    """(n,) int64: position in the dataset's `tasks`."""
    jobs: list[Callable[[], None]] = field(default_factory=list)
    """Camera frames still to be read into `values`; independent of each other."""


class Source:
    """One dataset of a mixture. `features` is what its samples hold after mapping and transforms."""

    def __init__(self, dataset: Dataset, config: SourceConfig, *, name: str, drop_n_last_frames: int = 0) -> None:
        """Raises AlignmentError or ConfigError where config and dataset do not fit, naming source, key and fix."""
        self.dataset = dataset
        self.config = config
        self.name = name
        self.frames = FrameTable.of(dataset.episodes, self._ordinals(), drop_n_last_frames)
        if not self.frames.num_drawable:
            raise AlignmentError(
                f"source {name!r}: no frame can be drawn. Its {len(self.frames.ids)} chosen episodes have "
                f"{self.frames.num_frames} frames, and the policy leaves out the last {drop_n_last_frames} of each."
            )
        self._dataset_key = self._mapped_keys()
        self._mapped = {key: dataset.features[old] for key, old in self._dataset_key.items()}
        self._transforms = self._build_transforms()
        self.features = self._transformed_features()

    @property
    def fps(self) -> float:
        return float(self.dataset.fps)

    def mapped_keys(self) -> dict[str, str]:
        """Mixture key to the dataset's own key, for the features the transforms are given."""
        return dict(self._dataset_key)

    def transforms_source(self) -> list[str]:
        """Program text of the transforms, so that what is cached of their results ends with their next change."""
        return [_program_text(step) for step in self._transforms]

    def begin(self, frames: np.ndarray, horizons: Horizons, keys: Collection[str]) -> Part:
        """Gathers `frames` (n,): numbers at once, camera frames as jobs. Run the jobs, then call `finish`.

        `keys` are the features the sample keeps; what neither they nor a transform need is not read.
        """
        needed = self._needed(frozenset(keys))
        episode, frame_index = self.frames.locate(frames)
        first = self.frames.first_rows[episode]
        length = self.frames.bounds[episode + 1] - self.frames.bounds[episode]
        rows = first + frame_index
        part = Part({}, {}, episode, frame_index, self.dataset.task_indices()[rows])
        for key, feature in self._mapped.items():
            if key not in needed:
                continue
            wanted = rows
            if key in horizons:
                steps = frame_index[:, None] + np.asarray(horizons[key], dtype=np.int64)
                inside = np.clip(steps, 0, length[:, None] - 1)
                part.time_is_pad[key] = inside != steps
                wanted = first[:, None] + inside
            self._gather(part, key, feature, wanted)
        return part

    def finish(self, part: Part) -> dict[str, Any]:
        """Applies the transforms to what was read: mixture key to tensor (n, ...), and `task` as a list of texts."""
        values = part.values | {"task": [self.dataset.tasks[t] for t in part.task]}
        for step in self._transforms:
            values = step(values) if step.batched else _one_by_one(step, values)
        return values

    def _needed(self, keys: frozenset[str]) -> frozenset[str]:
        for step in reversed(self._transforms):
            before = step.needs(keys)
            if before is None:
                return frozenset(self._mapped)
            keys = before
        return keys

    def _ordinals(self) -> np.ndarray:
        chosen = self.config.episodes
        ids = self.dataset.episodes.ids
        if chosen is None:
            return np.arange(len(ids))
        order = np.argsort(ids, kind="stable")
        place = np.searchsorted(ids, chosen, sorter=order)
        found = order[np.minimum(place, len(ids) - 1)]
        missing = [e for e, f in zip(chosen, found, strict=True) if ids[f] != e]
        if missing:
            raise ConfigError(
                f"source {self.name!r}: episodes {missing[:10]} do not exist; "
                f"{self.dataset.path} has {len(ids)} episodes, numbered {ids.min()} to {ids.max()}"
            )
        return found

    def _mapped_keys(self) -> dict[str, str]:
        """Mixture key to dataset key, in the dataset's order, for numeric features and cameras."""
        rename = self.config.feature_map
        for old in rename:
            if old not in self.dataset.features:
                known = ", ".join(self.dataset.features)
                hint = did_you_mean(old, self.dataset.features)
                if old in BOOKKEEPING:
                    hint = " robomix derives it; it cannot be renamed."
                raise ConfigError(
                    f"source {self.name!r}: feature_map names {old!r}, which is not there.{hint} Here: {known}"
                )
        mapped: dict[str, str] = {}
        for old, feature in self.dataset.features.items():
            key = rename.get(old, old)
            if key is None or feature.kind not in ("numeric", "camera"):
                continue
            if key in mapped:
                raise ConfigError(
                    f"source {self.name!r}: both {mapped[key]!r} and {old!r} would be called {key!r}. "
                    f"Map one of them to another name, or to null to leave it out."
                )
            mapped[key] = old
        return mapped

    def _build_transforms(self) -> list[DatasetTransformStep]:
        where = f"source {self.name!r}, transforms"
        return [build_transform(t.type, t.kwargs, f"{where}[{i}]") for i, t in enumerate(self.config.transforms)]

    def _transformed_features(self) -> dict[str, Feature]:
        features = {key: sample_feature(key, feature) for key, feature in self._mapped.items()}
        for i, step in enumerate(self._transforms):
            try:
                declared = step.features(features)
                features = declared if declared is not None else self._tried(i, features)
            except AlignmentError as error:
                kind = self.config.transforms[i].type
                raise AlignmentError(f"source {self.name!r}, transforms[{i}] ({kind}): {error}") from None
        return features

    def _tried(self, last: int, before: Mapping[str, Feature]) -> dict[str, Feature]:
        """Features after step `last`, found by running the steps up to it on the source's first frame."""
        part = self.begin(np.zeros(1, dtype=np.int64), {}, self._mapped)
        for job in part.jobs:
            job()
        values: dict[str, Any] = part.values | {"task": [self.dataset.tasks[t] for t in part.task]}
        for step in self._transforms[: last + 1]:
            values = step(values) if step.batched else _one_by_one(step, values)
        return {
            key: _feature_like(before.get(key), value[0]) for key, value in values.items() if torch.is_tensor(value)
        }

    def _gather(self, part: Part, key: str, feature: Feature, rows: np.ndarray) -> None:
        old = self._dataset_key[key]
        if not feature.is_camera:
            target = sample_feature(key, feature).dtype
            part.values[key] = torch.from_numpy(self.dataset.column(old)[rows].astype(target, copy=False))
            return
        pictures = np.empty((rows.size, *feature.shape), dtype=np.uint8)
        part.values[key] = torch.from_numpy(pictures).reshape(*rows.shape, *feature.shape)
        for group in self.dataset.frame_groups(old, rows.reshape(-1)):
            part.jobs.append(partial(group.read_into, pictures))


def sample_feature(key: str, feature: Feature) -> Feature:
    """The feature as samples hold it: observations and actions that are floating point come as float32."""
    is_float = feature.kind == "numeric" and np.issubdtype(np.dtype(feature.dtype), np.floating)
    return replace(feature, dtype="float32") if is_float and key.startswith(("observation", "action")) else feature


def _one_by_one(step: DatasetTransformStep, values: dict[str, Any]) -> dict[str, Any]:
    """Runs a step that takes single samples over a batch of them."""
    n = len(values["task"])
    samples = [step({key: value[i] for key, value in values.items()}) for i in range(n)]
    return {
        key: torch.stack([sample[key] for sample in samples])
        if torch.is_tensor(samples[0][key])
        else [sample[key] for sample in samples]
        for key in samples[0]
    }


def _program_text(step: DatasetTransformStep) -> str:
    try:
        return inspect.getsource(type(step))
    except OSError:  # a class typed into an interactive session has no text: nothing of its can be looked up again
        return uuid.uuid4().hex


def _feature_like(before: Feature | None, value: torch.Tensor) -> Feature:
    dtype = str(value.dtype).removeprefix("torch.")
    if before is None:
        return Feature("numeric", dtype, tuple(value.shape))
    same = before.shape == tuple(value.shape)
    return replace(
        before,
        dtype=dtype,
        shape=tuple(value.shape),
        names=before.names if same else None,
        real_dim=before.real_dim if same else None,
    )

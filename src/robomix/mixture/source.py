"""A dataset as a member of a mixture: which episodes, under which names, through which transforms."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from robomix.config import SourceConfig
from robomix.errors import AlignmentError
from robomix.features import Feature, sample_feature
from robomix.formats.base import Dataset
from robomix.mixture.episodes import chosen_episodes
from robomix.mixture.filters import idle_rows
from robomix.mixture.frames import FrameTable
from robomix.mixture.groups import group_name
from robomix.mixture.mapping import mapped_keys
from robomix.mixture.padding import PaddingColumns, StoredPadding
from robomix.mixture.prompts import prompt_of
from robomix.mixture.steps import feature_like, run_step
from robomix.mixture.transforms import DatasetTransformStep, SampleError, Window, Windows, build_transform
from robomix.mixture.transforms.program import program_text

log = logging.getLogger(__name__)

Horizons = Mapping[str, Sequence[int]]
"""For a key, the frames of its window relative to the current one, such as (-1, 0) or (0, 1, ..., 49)."""


@dataclass
class Part:
    """What one source contributes to a batch, while it is being read."""

    values: dict[str, Any]
    """Mixture key to tensor (n, ...) or (n, T, ...), before the transforms."""
    is_pad: dict[str, np.ndarray]
    """Key with a horizon to (n, T) bool: the step lies outside the episode, its value is the nearest one inside; or
    the dataset says that the frame has none. Key of which it says so, without a horizon, to (n,) bool.
    """
    dim_is_pad: dict[str, np.ndarray]
    """Key to (n, D) bool, for vectors of which the dataset says which entries are padding."""
    episode: np.ndarray
    """(n,) int64: position among the source's chosen episodes."""
    frame_index: np.ndarray
    """(n,) int64: place in the episode."""
    task: np.ndarray
    """(n,) int64: position in the source's `tasks`."""
    text: np.ndarray
    """(n,) uint64: which of the texts of its prompt each sample has."""
    windows: Sequence[Windows]
    """Which windows each transform is given, in their order; last those that samples hold."""
    jobs: list[Callable[[], None]] = field(default_factory=list)
    """Camera frames still to be read into `values`; independent of each other."""


class Source:
    """One dataset of a mixture. `features` is what its samples hold after mapping and transforms."""

    def __init__(
        self,
        dataset: Dataset,
        config: SourceConfig,
        *,
        name: str,
        normalize_by: str,
        drop_n_last_frames: int = 0,
    ) -> None:
        """`normalize_by` is the mixture's (`groups.group_name`).

        Raises AlignmentError or ConfigError where config and dataset do not fit, naming source, key and fix.
        """
        self.dataset = dataset
        self.config = config
        self.name = name
        self.group = group_name(config, name, dataset.robot_type, normalize_by)
        """Its normalization group, and by it all that asks which sources are normalized together."""
        self.prompt = prompt_of(config, dataset, tasks=self.tasks, name=name, group=self.group)
        """How its tasks are put; None: as recorded."""
        self.is_drawn = config.weight > 0
        """Whether anything is drawn from it; under a `weight_schedule`, at some step."""
        self.held_out: Source | None = None
        """The same source with the episodes that are held out for validation, perhaps none; None: nothing was split."""
        self._drop_n_last_frames = drop_n_last_frames
        self._idle = idle_rows(dataset, config.idle, name)
        self._use(chosen_episodes(dataset, config, name))
        if config.idle is not None:
            log.info("source %r: idle leaves out %d of %d frames", name, self.num_idle, self.frames.num_frames)
        self.check_drawable()
        self._dataset_key = mapped_keys(dataset, config.feature_map, name)
        self._mapped = {key: dataset.features[old] for key, old in self._dataset_key.items()}
        self.padding = StoredPadding.of(dataset, self._dataset_key, config.feature_map)
        """What the dataset itself says is padding."""
        self._transforms = self._build_transforms()
        self._before: list[dict[str, Feature]] = []  # what each transform is given
        self.features = self._transformed_features()
        self.padding.check(self.features, f"source {name!r}")
        self.relative = self._relative_keys()

    def of_episodes(self, ordinals: np.ndarray) -> "Source":
        """The same source with the episodes at `ordinals` (E,) of its dataset, perhaps none; nothing is opened anew."""
        made = copy(self)
        made._use(ordinals)
        return made

    @property
    def num_idle(self) -> int:
        """Frames of the chosen episodes that the filter `idle` leaves out."""
        return self.counted.num_frames - self.counted.num_drawable

    @property
    def said_padding(self) -> Mapping[str, PaddingColumns]:
        """By feature, the columns in which the dataset says what of it is padding."""
        return self.padding.columns

    def padded_shares(self, key: str) -> np.ndarray:
        """(D,) float64: in which share of the frames that count each entry of its `key` is padding by that word."""
        feature, table = self.features[key], self.counted
        entries = feature.valid_dim if feature.is_vector else 1
        if key not in self.padding.columns:
            return np.zeros(entries)
        rows = table.rows(table.from_drawable(np.arange(table.num_drawable)))
        return self.padding.shares(key, rows, entries)

    @property
    def fps(self) -> float:
        return float(self.dataset.fps)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The dataset's task texts, or the one that `lang` puts in their place; before the `prompt`."""
        return self.dataset.tasks if self.config.lang is None else (self.config.lang,)

    @property
    def transforms(self) -> tuple[DatasetTransformStep, ...]:
        return tuple(self._transforms)

    def windows_for(self, after: Windows) -> list[Windows]:
        """What each transform must be given, in their order, so that the windows `after` come out; last, `after`."""
        return self._windows(len(self._transforms), after)

    def windows_before(self, i: int, after: Windows) -> Windows:
        """What transform `i` must be given so that the windows `after` come out of it."""
        asked = self._transforms[i].windows(after)
        if asked is None:
            return {key: after.get(key) for key in self._before[i]}
        return {key: window for key, window in asked.items() if key in self._before[i]}

    def mapped_keys(self) -> dict[str, str]:
        """Mixture key to the dataset's own key, for the features the transforms are given."""
        return dict(self._dataset_key)

    def transforms_source(self) -> list[str]:
        """Program text of the transforms, so that what is cached of their results ends with their next change."""
        return [program_text(step) for step in self._transforms]

    def begin(
        self, frames: np.ndarray, horizons: Horizons, keys: Collection[str], texts: np.ndarray | None = None
    ) -> Part:
        """Gathers `frames` (n,): numbers at once, camera frames as jobs. Run the jobs, then call `finish`.

        `keys` are the features the sample keeps; what neither they nor a transform need is not read. `texts` (n,)
        uint64 are the numbers of the samples' texts (`Prompt.text`); None: the first for all.
        """
        after = {key: _window(horizons.get(key)) for key in self.features if key in keys}
        part = self._read(frames, self.windows_for(after), texts)
        for key, window in after.items():
            self._mask(part, key, window)
        return part

    def finish(self, part: Part) -> dict[str, Any]:
        """Applies the transforms to what was read: mixture key to tensor (n, ...), and `task` as a list of texts."""
        values = part.values | {"task": self._texts(part)}
        for i in range(len(self._transforms)):
            values = self.transformed(i, values, part.windows, part)
        return values

    def transformed(
        self, i: int, values: dict[str, Any], windows: Sequence[Windows], part: Part | None = None
    ) -> dict[str, Any]:
        """What transform `i` makes of `values` (n, ...), which have `windows[i]`; `part` is where they were read."""
        step, before, after = self._transforms[i], windows[i], windows[i + 1]
        try:
            return run_step(lambda sample: step.in_windows(sample, before, after), values, batched=step.batched)
        except AlignmentError as error:
            place = self._place(error, part, before) if part is not None else ""
            raise AlignmentError(f"{self.place_of(i)}: {error}{place}") from None

    def _place(self, error: AlignmentError, part: Part, windows: Windows) -> str:
        if not isinstance(error, SampleError):
            return ""
        at = part.frame_index[error.sample] + (windows.get(error.key) or (0,))[error.step]
        episode = part.episode[error.sample]
        frame = np.clip(at, 0, self.frames.bounds[episode + 1] - self.frames.bounds[episode] - 1)
        return f", in episode {self.frames.ids[episode]}, frame {frame} ({self.dataset.path})"

    def _windows(self, count: int, after: Windows) -> list[Windows]:
        """What the first `count` transforms must be given, each in turn, so that `after` comes out; last, `after`."""
        windows = [after]
        for i in reversed(range(count)):
            windows.insert(0, self.windows_before(i, windows[0]))
        return windows

    def text_of(self, task: str, number: int = 0) -> str:
        """What the policy reads for the recorded `task`; `number` chooses where there are several texts."""
        return task if self.prompt is None else self.prompt.text(task, number)

    def _texts(self, part: Part) -> list[str]:
        return [self.text_of(self.tasks[t], number) for t, number in zip(part.task, part.text.tolist(), strict=True)]

    def _read(self, frames: np.ndarray, windows: Sequence[Windows], texts: np.ndarray | None = None) -> Part:
        """Gathers what the first of `windows` asks for."""
        episode, frame_index = self.frames.locate(frames)
        rows = self.frames.first_rows[episode] + frame_index
        task = self.dataset.task_indices()[rows] if self.config.lang is None else np.zeros(len(rows), np.int64)
        texts = np.zeros(len(rows), np.uint64) if texts is None else texts
        part = Part({}, {}, {}, episode, frame_index, task, texts, windows)
        for key, feature in self._mapped.items():
            if key in windows[0]:
                window = windows[0][key]
                self._gather(part, key, feature, rows if window is None else self._rows(part, window)[0])
        return part

    def _rows(self, part: Part, window: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(n, T) dataset rows of a window, those outside the episode replaced by the nearest inside; and which are."""
        length = self.frames.bounds[part.episode + 1] - self.frames.bounds[part.episode]
        steps = part.frame_index[:, None] + np.asarray(window, dtype=np.int64)
        inside = np.clip(steps, 0, length[:, None] - 1)
        return self.frames.first_rows[part.episode][:, None] + inside, inside != steps

    def _mask(self, part: Part, key: str, window: Window) -> None:
        """Notes what of `key` is padding: outside of episodes, or by the dataset's own word."""
        steps = self.frames.first_rows[part.episode] + part.frame_index
        if self.features[key].is_vector:
            dims = self.padding.dims(key, steps, self.features[key].valid_dim)
            part.dim_is_pad |= {} if dims is None else {key: dims}
        if window is not None:
            steps, part.is_pad[key] = self._rows(part, window)
        if (absent := self.padding.absent(key, steps)) is not None:
            part.is_pad[key] = part.is_pad.get(key, False) | absent

    def _use(self, ordinals: np.ndarray) -> None:
        """Takes the episodes at `ordinals` of the dataset."""
        episodes = self.dataset.episodes
        self.ordinals = ordinals
        """(E,) int64: the chosen episodes, by position in the dataset."""
        self.frames = FrameTable.of(episodes, ordinals, self._drop_n_last_frames, self._idle)
        self.counted = FrameTable.of(episodes, ordinals, 0, self._idle)
        """Of the same episodes, with all frames drawable that no filter leaves out: those that statistics count."""

    def check_drawable(self) -> None:
        """Raises AlignmentError where no frame can start a sample."""
        frames, idle, drop_n_last_frames = self.frames.num_frames, self.num_idle, self._drop_n_last_frames
        if not self.frames.num_drawable:
            reasons = [f"`idle` leaves out {idle}"] if idle else []
            reasons += [f"the policy the last {drop_n_last_frames} of each episode"] if drop_n_last_frames else []
            left_out = f", of which {', and '.join(reasons)}" if reasons else ""
            raise AlignmentError(
                f"source {self.name!r}: no frame can be drawn. Its {len(self.frames.ids)} chosen episodes have "
                f"{frames} frames{left_out}."
            )

    def place_of(self, i: int) -> str:
        """Transform `i`, for errors."""
        return f"source {self.name!r}, transforms[{i}] ({self.config.transforms[i].type})"

    def _build_transforms(self) -> list[DatasetTransformStep]:
        where = f"source {self.name!r}, transforms"
        return [build_transform(t.type, t.kwargs, f"{where}[{i}]") for i, t in enumerate(self.config.transforms)]

    def _transformed_features(self) -> dict[str, Feature]:
        features = {key: sample_feature(key, feature) for key, feature in self._mapped.items()}
        for i, step in enumerate(self._transforms):
            self._before.append(features)
            try:
                declared = step.features(features)
            except AlignmentError as error:
                raise AlignmentError(f"{self.place_of(i)}: {error}") from None
            features = declared if declared is not None else self._tried(i)
        return features

    def _relative_keys(self) -> frozenset[str]:
        """Features whose value at a frame depends on the sample it is in (`DatasetTransformStep.relative`)."""
        keys: frozenset[str] = frozenset()
        for step in self._transforms:
            keys = step.relative(keys)
        return keys.intersection(self.features)

    def _tried(self, last: int) -> dict[str, Feature]:
        """Features after step `last`, found by running the steps up to it on the source's first frame."""
        before = self._before[last]
        part = self._read(np.zeros(1, dtype=np.int64), self._windows(last, dict.fromkeys(before)))
        for job in part.jobs:
            job()
        values: dict[str, Any] = part.values | {"task": self._texts(part)}
        for i in range(last):
            values = self.transformed(i, values, part.windows, part)
        step = self._transforms[last]
        try:
            values = run_step(step, values, batched=step.batched)
        except AlignmentError as error:
            raise AlignmentError(f"{self.place_of(last)}: {error}") from None
        return {key: feature_like(before.get(key), value[0]) for key, value in values.items() if torch.is_tensor(value)}

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


def _window(steps: Sequence[int] | None) -> Window:
    return None if steps is None else tuple(int(step) for step in steps)

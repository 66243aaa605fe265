"""A dataset as a member of a mixture: which episodes, under which names, through which transforms."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np

from robomix.config import SourceConfig
from robomix.errors import AlignmentError
from robomix.features import sample_feature
from robomix.formats.base import Dataset
from robomix.mixture.chain import Chain, Place
from robomix.mixture.episodes import chosen_episodes
from robomix.mixture.filters import idle_rows
from robomix.mixture.frames import FrameTable
from robomix.mixture.groups import group_name
from robomix.mixture.mapping import mapped_keys
from robomix.mixture.padding import PaddingColumns, StoredPadding
from robomix.mixture.prompts import prompt_of
from robomix.mixture.reading import Part, Reader
from robomix.mixture.steps import Values
from robomix.mixture.transforms import DatasetTransformStep, Window, Windows

log = logging.getLogger(__name__)

Horizons = Mapping[str, Sequence[int]]
"""For a key, the frames of its window relative to the current one, such as (-1, 0) or (0, 1, ..., 49)."""


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
        names = mapped_keys(dataset, config.feature_map, name)
        self.padding = StoredPadding.of(dataset, names, config.feature_map)
        """What the dataset itself says is padding."""
        self._reader = Reader(dataset, names, self.padding, self.frames, has_one_task=config.lang is not None)
        mapped = {key: sample_feature(key, feature) for key, feature in self._reader.recorded().items()}
        self._chain = Chain(config.transforms, name, mapped, self._first)
        self.features = self._chain.features
        self.padding.check(self.features, f"source {name!r}")
        self.relative = self._chain.relative
        """Features whose value at a frame depends on the sample it is in (`DatasetTransformStep.relative`)."""

    def of_episodes(self, ordinals: np.ndarray) -> "Source":
        """The same source with the episodes at `ordinals` (E,) of its dataset, perhaps none; nothing is opened anew."""
        made = copy(self)
        made._use(ordinals)
        made._reader = replace(self._reader, frames=made.frames)
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
        return self._chain.steps

    def windows_for(self, after: Windows) -> list[Windows]:
        """What each transform must be given, in their order, so that the windows `after` come out; last, `after`."""
        return self._chain.windows_for(after)

    def windows_before(self, i: int, after: Windows) -> Windows:
        """What transform `i` must be given so that the windows `after` come out of it."""
        return self._chain.windows_before(i, after)

    def mapped_keys(self) -> dict[str, str]:
        """Mixture key to the dataset's own key, for the features the transforms are given."""
        return dict(self._reader.names)

    def transforms_source(self) -> list[str]:
        """Program text of the transforms, so that what is cached of their results ends with their next change."""
        return self._chain.programs()

    def begin(
        self, frames: np.ndarray, horizons: Horizons, keys: Collection[str], texts: np.ndarray | None = None
    ) -> Part:
        """Gathers `frames` (n,): numbers at once, camera frames as jobs. Run the jobs, then call `finish`.

        `keys` are the features the sample keeps; what neither they nor a transform need is not read. `texts` (n,)
        uint64 are the numbers of the samples' texts (`Prompt.text`); None: the first for all.
        """
        after = {key: _window(horizons.get(key)) for key in self.features if key in keys}
        part = self._reader.read(frames, self.windows_for(after), texts)
        for key, window in after.items():
            self._reader.mask(part, key, self.features[key], window)
        return part

    def fetches(self, frames: np.ndarray, horizons: Horizons, keys: Collection[str]) -> list[Callable[[], int]]:
        """Jobs that bring near what `begin` of the same will read from far away; see `Dataset.fetches`."""
        rows = self.camera_rows(frames, horizons, keys)
        return [job for key, wanted in rows.items() for job in self.dataset.fetches(key, wanted)]

    def camera_rows(self, frames: np.ndarray, horizons: Horizons, keys: Collection[str]) -> dict[str, np.ndarray]:
        """The dataset's cameras, and (m,) int64 rows of each, that `begin` of the same reads."""
        windows = self.windows_for({key: _window(horizons.get(key)) for key in self.features if key in keys})
        return self._reader.camera_rows(frames, windows)

    def finish(self, part: Part) -> Values:
        """Applies the transforms to what was read: mixture key to tensor (n, ...), and `task` as a list of texts."""
        return self._chain(self._values(part), part.windows, partial(self._reader.place, part))

    def transformed(self, i: int, values: Values, windows: Sequence[Windows]) -> Values:
        """What transform `i` makes of `values` (n, ...), which have `windows[i]`."""
        return self._chain.transformed(i, values, windows)

    def place_of(self, i: int) -> str:
        """Transform `i`, for errors."""
        return self._chain.place_of(i)

    def text_of(self, task: str, number: int = 0) -> str:
        """What the policy reads for the recorded `task`; `number` chooses where there are several texts."""
        return task if self.prompt is None else self.prompt.text(task, number)

    def _values(self, part: Part) -> Values:
        """What was read, with the texts, as the first transform is given it."""
        texts = [self.text_of(self.tasks[t], number) for t, number in zip(part.task, part.text.tolist(), strict=True)]
        return part.values | {"task": texts}

    def _first(self, windows: Sequence[Windows]) -> tuple[Values, Place]:
        """The source's first frame, read with the first of `windows` (`chain.First`)."""
        part = self._reader.read(np.zeros(1, dtype=np.int64), windows)
        for job in part.jobs:
            job()
        return self._values(part), partial(self._reader.place, part)

    def _use(self, ordinals: np.ndarray) -> None:
        """Takes the episodes at `ordinals` of the dataset."""
        episodes = self.dataset.episodes
        self.ordinals = ordinals
        """(E,) int64: the chosen episodes, by position in the dataset."""
        self.frames = FrameTable.of(episodes, ordinals, self._drop_n_last_frames, self._idle)
        self.counted = self.frames
        if self._drop_n_last_frames:
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


def _window(steps: Sequence[int] | None) -> Window:
    return None if steps is None else tuple(int(step) for step in steps)

"""Reading samples as a dataset records them: numbers at once, camera frames as jobs, masks of what is padding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from robomix.features import Feature, sample_feature
from robomix.formats.base import Dataset
from robomix.mixture.frames import FrameTable
from robomix.mixture.padding import StoredPadding
from robomix.mixture.transforms import SampleError, Window, Windows


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


@dataclass(frozen=True)
class Reader:
    """Reads the chosen episodes of a dataset, under the mixture's names."""

    dataset: Dataset
    names: Mapping[str, str]
    """Mixture key to the dataset's own key."""
    padding: StoredPadding
    """What the dataset itself says is padding."""
    frames: FrameTable
    """Of the chosen episodes."""
    has_one_task: bool
    """Whether all frames are of task 0, whatever the dataset says."""

    def recorded(self) -> dict[str, Feature]:
        """The features that can be read, by mixture key, as the dataset has them."""
        return {key: self.dataset.features[own] for key, own in self.names.items()}

    def read(self, frames: np.ndarray, windows: Sequence[Windows], texts: np.ndarray | None = None) -> Part:
        """Gathers of `frames` (n,) what the first of `windows` asks for; the part keeps all of them, and `texts`."""
        rows, part = self._located(frames, windows, texts)
        for key, feature in self.recorded().items():
            if key in windows[0]:
                window = windows[0][key]
                self._gather(part, key, feature, rows if window is None else self._rows(part, window)[0])
        return part

    def camera_rows(self, frames: np.ndarray, windows: Sequence[Windows]) -> dict[str, np.ndarray]:
        """The dataset's cameras, and (m,) int64 rows of each, that `read` of the same reads."""
        rows, part = self._located(frames, windows, None)
        wanted = {}
        for key, feature in self.recorded().items():
            if feature.is_camera and key in windows[0]:
                window = windows[0][key]
                wanted[self.names[key]] = rows if window is None else self._rows(part, window)[0].reshape(-1)
        return wanted

    def mask(self, part: Part, key: str, feature: Feature, window: Window) -> None:
        """Notes what of `key`, after all transforms a `feature`, is padding: outside of episodes, or by the dataset's
        own word.
        """
        steps = self.frames.first_rows[part.episode] + part.frame_index
        if feature.is_vector:
            dims = self.padding.dims(key, steps, feature.valid_dim)
            part.dim_is_pad |= {} if dims is None else {key: dims}
        if window is not None:
            steps, part.is_pad[key] = self._rows(part, window)
        if (absent := self.padding.absent(key, steps)) is not None:
            part.is_pad[key] = part.is_pad.get(key, False) | absent

    def place(self, part: Part, error: SampleError, windows: Windows) -> str:
        """Where the sample of `error`, which has `windows`, is recorded; for messages."""
        at = part.frame_index[error.sample] + (windows.get(error.key) or (0,))[error.step]
        episode = part.episode[error.sample]
        frame = np.clip(at, 0, self.frames.bounds[episode + 1] - self.frames.bounds[episode] - 1)
        return f", in episode {self.frames.ids[episode]}, frame {frame} ({self.dataset.path})"

    def _located(
        self, frames: np.ndarray, windows: Sequence[Windows], texts: np.ndarray | None
    ) -> tuple[np.ndarray, Part]:
        """The rows of `frames`, and the part they are of, with nothing read into it yet."""
        episode, frame_index = self.frames.locate(frames)
        rows = self.frames.first_rows[episode] + frame_index
        task = np.zeros(len(rows), np.int64) if self.has_one_task else self.dataset.task_indices()[rows]
        texts = np.zeros(len(rows), np.uint64) if texts is None else texts
        return rows, Part({}, {}, {}, episode, frame_index, task, texts, windows)

    def _rows(self, part: Part, window: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(n, T) dataset rows of a window, those outside the episode replaced by the nearest inside; and which are."""
        length = self.frames.bounds[part.episode + 1] - self.frames.bounds[part.episode]
        steps = part.frame_index[:, None] + np.asarray(window, dtype=np.int64)
        inside = np.clip(steps, 0, length[:, None] - 1)
        return self.frames.first_rows[part.episode][:, None] + inside, inside != steps

    def _gather(self, part: Part, key: str, feature: Feature, rows: np.ndarray) -> None:
        own = self.names[key]
        if not feature.is_camera:
            target = sample_feature(key, feature).dtype
            part.values[key] = torch.from_numpy(self.dataset.column(own)[rows].astype(target, copy=False))
            return
        pictures = np.empty((rows.size, *feature.shape), dtype=np.uint8)
        part.values[key] = torch.from_numpy(pictures).reshape(*rows.shape, *feature.shape)
        for group in self.dataset.frame_groups(own, rows.reshape(-1)):
            part.jobs.append(partial(group.read_into, pictures))

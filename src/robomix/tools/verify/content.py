"""Whether samples hold the numbers and pictures of the frames they mean: some are read again, row by row.

The rows of each sample's frame, with its windows, are taken straight from the dataset, put through the transforms of
the source where there are any, and compared with what came out of the loader.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from robomix.features import sample_feature
from robomix.mixture.dataset import Batch, Mixture
from robomix.mixture.source import Source
from robomix.mixture.transforms import Window
from robomix.tools.verify.expected import Expected
from robomix.tools.verify.findings import Findings

SAMPLES = 64
"""Samples that are read again, of all sources together; one of each source where there are more."""


class Content:
    """The first samples of each source, as they were drawn."""

    def __init__(self, mixture: Mixture, expected: Expected) -> None:
        self._mixture = mixture
        self._expected = expected
        self._each = max(1, SAMPLES // len(mixture.sources))
        self._kept: list[list[dict[str, np.ndarray]]] = [[] for _ in mixture.sources]
        self._cameras = [] if _are_augmented(mixture) else mixture.schema.camera_keys
        self._numbers = [key for key, feature in mixture.schema.features.items() if not feature.is_camera]

    @property
    def fine(self) -> str:
        """What was compared."""
        samples, pictured = sum(map(len, self._kept)), sum(map(bool, self._kept)) if self._cameras else 0
        pictures = f", the cameras of {pictured:,} of them" if pictured else ", without cameras"
        return f"the numbers of {samples:,} samples{pictures} are those of their frames, read again row by row"

    def add(self, batch: Batch) -> None:
        """Keeps those samples of a slice that are among the first of their source."""
        if all(len(kept) >= self._each for kept in self._kept):
            return
        for at, source in enumerate(batch["dataset_index"].tolist()):
            if not 0 <= source < len(self._kept) or len(self._kept[source]) >= self._each:
                continue
            keys = self._numbers if self._kept[source] else [*self._numbers, *self._cameras]
            names = (*keys, "dataset_index", "index", "episode_index", "frame_index", "timestamp")
            self._kept[source].append({name: batch[name][at].numpy().copy() for name in names})

    def compare(self, findings: Findings, place: Callable[[int, int, int], str]) -> None:
        """Reads the samples again, and notes what differs; `place` says which sample it is.

        Raises RobomixError for what cannot be read.
        """
        for i, kept in enumerate(self._kept):
            for sample in kept:
                if self._expected.misplaced({name: np.array([value]) for name, value in sample.items()})[0]:
                    continue  # it is told already, and means no frame
                episode, frame = int(sample["episode_index"]), int(sample["frame_index"])
                again = self._read(i, episode, frame, [key for key in sample if key in self._mixture.schema.features])
                exactly = not self._mixture.sources[i].transforms
                for key, value in again.items():
                    if not _are_equal(sample[key], value, exactly=exactly):
                        text = f"{key!r} is not what the dataset holds in {place(i, episode, frame)}"
                        findings.add("content", f"{key} {i}", text)

    def _read(self, i: int, episode: int, frame: int, keys: list[str]) -> dict[str, np.ndarray]:
        """`keys` of the sample at `frame` of `episode`, which counts through the mixture, by docs/samples.md."""
        source, schema = self._mixture.sources[i], self._mixture.schema
        first = int(self._expected.first_row(i, np.array([episode]))[0])
        length = int(self._expected.lengths[episode])
        windows = {
            key: tuple(self._mixture.source_horizons[i][key]) if key in self._expected.windows else None
            for key in keys
            if key in source.features
        }
        own = _through_transforms(source, windows, first, frame, length)
        sample: dict[str, np.ndarray] = {}
        for key in keys:
            lead = (self._expected.windows[key],) if key in self._expected.windows else ()
            value = np.zeros((*lead, *schema.features[key].shape), dtype=schema.features[key].dtype)
            front = schema.in_front(key)
            if front and schema.condition is not None:
                value[..., :front] = schema.condition.values(source.name)
            if key in own and schema.features[key].is_vector:
                value[..., front : front + own[key].shape[-1]] = own[key]
            elif key in own:
                value[...] = own[key]
            sample[key] = value
        return sample


def _through_transforms(
    source: Source, after: dict[str, Window], first: int, frame: int, length: int
) -> dict[str, np.ndarray]:
    """The features `after`, with their windows, of the frame `frame` of an episode of `length` rows from `first` on."""
    windows = source.windows_for(after)
    names, values = source.mapped_keys(), {}
    for key, window in windows[0].items():
        steps = np.clip(frame + np.array((0,) if window is None else window, dtype=np.int64), 0, length - 1)
        read = _rows(source, names[key], key, first + steps)
        values[key] = torch.from_numpy(read if window is None else read[None])  # one sample
    task = 0 if source.config.lang is not None else int(source.dataset.task_indices()[first + frame])
    sample: dict[str, Any] = values | {"task": [source.text_of(source.tasks[task])]}
    for i in range(len(source.transforms)):
        sample = source.transformed(i, sample, windows)
    return {key: sample[key][0].numpy() for key in after}


def _rows(source: Source, name: str, key: str, rows: np.ndarray) -> np.ndarray:
    """(n, ...): the dataset's feature `name` at `rows` (n,), in the dtype that samples have of it."""
    feature = source.dataset.features[name]
    if feature.is_camera:
        return source.dataset.read_frames(name, rows)
    return np.asarray(source.dataset.column(name)[rows]).astype(sample_feature(key, feature).dtype)


def _are_augmented(mixture: Mixture) -> bool:
    """Whether images are changed at random, so that they are not those of the dataset."""
    return mixture.image_transform is not None and mixture.seed is not None


def _are_equal(found: np.ndarray, expected: np.ndarray, *, exactly: bool) -> bool:
    """Bit for bit, or as near as transforms come to it that are given one sample in place of many."""
    if exactly:
        return np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")
    if found.dtype.kind != "f":
        return bool((np.abs(found.astype(np.float64) - expected) <= 1).all())
    return bool(np.allclose(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True))

"""Putting what several sources have read into one batch, under one schema, with all masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.mixture.alignment import Schema
from robomix.mixture.reading import Part
from robomix.mixture.source import Horizons, Source

Places = Mapping[int, np.ndarray]
"""Source, by position, to where its samples go in the batch."""


class Assembly:
    """Makes batches of the parts of `sources`. What samples hold is described in docs/samples.md.

    Of the windows `horizons`, only their numbers of steps matter here: these are the same in all sources.
    """

    def __init__(self, sources: Sequence[Source], schema: Schema, horizons: Horizons, tasks: Sequence[str]) -> None:
        self.sources = sources
        self.schema = schema
        self.horizons = horizons
        self._first_episode = np.cumsum([0, *(len(source.frames.ids) for source in sources)])
        position = {task: i for i, task in enumerate(tasks)}
        condition = schema.condition
        self._told = [np.empty(0) if condition is None else condition.values(source.name) for source in sources]
        self._task_index = [np.array([position[task] for task in s.tasks], dtype=np.int64) for s in sources]

    def __call__(
        self, size: int, places: Places, parts: Mapping[int, Part], values: Mapping[int, dict[str, Any]]
    ) -> dict[str, Any]:
        """The batch of `size` samples whose `parts` have been read, and transformed to `values`: key to tensor
        (size, ...), `task` to a list.
        """
        batch: dict[str, Any] = {}
        for key, feature in self.schema.features.items():
            horizon = self.horizons.get(key)
            lead = (size,) if horizon is None else (size, len(horizon))
            batch[key] = self._joined(key, feature, lead, places, values)
            if horizon is not None or key in self.schema.padded:
                batch[f"{key}_is_pad"] = self._time_mask(key, lead, places, parts)
            if feature.is_vector:
                batch[f"{key}_dim_is_pad"] = self._dim_mask(key, feature.shape[0], size, places, parts)
        return batch | self._indices(size, places, parts) | {"task": _tasks(size, places, values)}

    def _joined(
        self, key: str, feature: Feature, lead: tuple[int, ...], places: Places, values: Mapping[int, dict[str, Any]]
    ) -> Tensor:
        """All sources' values of `key` in one tensor after what tells the source; zeros where one has none or fewer."""
        shape = (*lead, *feature.shape)
        only = next(iter(values.values())).get(key) if len(values) == 1 else None
        if only is not None and only.dtype == getattr(torch, feature.dtype) and tuple(only.shape) == shape:
            return only
        joined = np.zeros(shape, dtype=feature.dtype)  # numpy's: torch cannot assign to uint16, uint32 and uint64
        front = self.schema.in_front(key)
        for i, where in places.items():
            if front:
                joined[where, ..., :front] = self._told[i]
            value = values[i].get(key)
            if value is None:
                continue
            if value.ndim != joined.ndim:
                raise AlignmentError(
                    f"source {self.sources[i].name!r}: a transform returned {key!r} of shape {tuple(value.shape[1:])}, "
                    f"but samples hold {shape[1:]}, with a window of {lead[1:]} in front. Let it return the window too."
                )
            if feature.is_vector:
                joined[where, ..., front : front + value.shape[-1]] = value.numpy()
            else:
                joined[where] = value.numpy()
        return torch.from_numpy(joined)

    def _time_mask(self, key: str, lead: tuple[int, ...], places: Places, parts: Mapping[int, Part]) -> Tensor:
        mask = np.zeros(lead, dtype=bool)
        for i, where in places.items():
            if key not in self.sources[i].features and not self.schema.in_front(key):
                mask[where] = True
            elif key in parts[i].is_pad:
                mask[where] = parts[i].is_pad[key]
        return torch.from_numpy(mask)

    def _dim_mask(self, key: str, width: int, size: int, places: Places, parts: Mapping[int, Part]) -> Tensor:
        mask = np.ones((size, width), dtype=bool)
        front = self.schema.in_front(key)
        mask[:, :front] = False
        for i, where in places.items():
            feature = self.sources[i].features.get(key)
            if feature is not None:
                mask[where, front : front + feature.valid_dim] = parts[i].dim_is_pad.get(key, False)
        return torch.from_numpy(mask)

    def _indices(self, size: int, places: Places, parts: Mapping[int, Part]) -> dict[str, Tensor]:
        columns = {key: np.empty(size, dtype=np.int64) for key in ("frame_index", "episode_index", "task_index")}
        timestamp = np.empty(size, dtype=np.float32)
        for i, where in places.items():
            part = parts[i]
            columns["frame_index"][where] = part.frame_index
            columns["episode_index"][where] = part.episode + self._first_episode[i]
            columns["task_index"][where] = self._task_index[i][part.task]
            timestamp[where] = part.frame_index / self.sources[i].fps
        return {key: torch.from_numpy(column) for key, column in (columns | {"timestamp": timestamp}).items()}


def _tasks(size: int, places: Places, values: Mapping[int, dict[str, Any]]) -> list[str]:
    tasks = np.empty(size, dtype=object)
    for i, where in places.items():
        tasks[where] = values[i]["task"]
    return list(tasks)

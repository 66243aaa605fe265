"""What samples must look like by docs/samples.md, worked out of schema and episodes, apart from how they are made."""

import numpy as np
import torch

from robomix.mixture.dataset import Mixture

INDICES = ("dataset_index", "index", "episode_index", "frame_index", "task_index")


class Expected:
    """Shapes and masks of the samples of `mixture`."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture
        self.lengths = np.concatenate([np.diff(source.frames.bounds) for source in mixture.sources])
        self.first_episode = np.cumsum([0, *(len(source.frames.ids) for source in mixture.sources)])
        self._first_frame = np.cumsum([0, *(source.frames.num_frames for source in mixture.sources)])
        self.windows = {key: len(window) for key, window in mixture.source_horizons[0].items()}
        """Key to the number of steps of its window."""
        self.entries = self._entries()
        """Key to the dtype and shape of each tensor of a sample."""

    def dim_mask(self, key: str, source: int, episode: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n, W) bool: which entries of the vector `key` are padding, for samples of `source`; as in `time_mask`."""
        width, own = self._mixture.schema.features[key].shape[0], self._mixture.sources[source]
        front = self._mixture.schema.in_front(key)
        valid = own.features[key].valid_dim if key in own.features else 0
        entry = np.arange(width) - front
        mask = np.tile((entry >= valid), (len(frame), 1))
        said = own.padding.dims(key, self.first_row(source, episode) + frame, valid)
        if said is not None:
            mask[:, front : front + valid] = said
        return mask

    def time_mask(self, key: str, source: int, episode: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """(n,) or (n, T) bool: which steps of `key` are padding, for samples of `source` at `frame` of their episode.

        `episode` (n,) counts through the mixture.
        """
        own, is_windowed = self._mixture.sources[source], key in self.windows
        is_lacking = key not in own.features and not self._mixture.schema.in_front(key)
        window = np.array(self._mixture.source_horizons[source][key] if is_windowed else (0,))
        mask = np.full((len(frame), len(window)), is_lacking)
        if not is_lacking:
            length = self.lengths[episode]
            edge = np.flatnonzero((frame + window.min() < 0) | (frame + window.max() >= length))
            steps = frame[edge, None] + window
            mask[edge] = (steps < 0) | (steps >= length[edge, None])
            inside = np.clip(frame[:, None] + window, 0, length[:, None] - 1)
            said = own.padding.absent(key, self.first_row(source, episode)[:, None] + inside)
            mask = mask if said is None else mask | said
        return mask if is_windowed else mask[:, 0]

    def first_row(self, source: int, episode: np.ndarray) -> np.ndarray:
        """(n,) int64: the dataset's row of the first frame of episodes of `source`."""
        return self._mixture.sources[source].frames.first_rows[episode - self.first_episode[source]]

    def misplaced(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        """(n,) bool: samples whose `INDICES`, and time, do not all mean one and the same frame that may be drawn."""
        member = columns["dataset_index"]
        wrong = (member < 0) | (member >= len(self._mixture.sources))
        for i in np.unique(member[~wrong]):
            own = np.flatnonzero(member == i)
            frames, fps = self._mixture.sources[i].frames, self._mixture.sources[i].fps
            frame, place = columns["index"][own] - self._first_frame[i], columns["frame_index"][own]
            episode = columns["episode_index"][own] - self.first_episode[i]
            known = np.clip(episode, 0, len(frames.ids) - 1)
            run = np.searchsorted(frames.run_frames, frame, side="right") - 1
            into_run = frame - frames.run_frames[run]
            wrong[own] = (
                (episode != known)
                | (place < 0)
                | (frames.bounds[known] + place != frame)
                | (frame >= frames.bounds[known + 1])
                | (run < 0)
                | (into_run >= frames.drawable_bounds[run + 1] - frames.drawable_bounds[run])
                | (columns["timestamp"][own] != (place / fps).astype(np.float32))
            )
        return wrong

    def _entries(self) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
        entries: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
        for key, feature in self._mixture.schema.features.items():
            lead = (self.windows[key],) if key in self.windows else ()
            entries[key] = (getattr(torch, feature.dtype), (*lead, *feature.shape))
            if key in self.windows or key in self._mixture.schema.padded:
                entries[f"{key}_is_pad"] = (torch.bool, lead)
            if feature.is_vector:
                entries[f"{key}_dim_is_pad"] = (torch.bool, feature.shape)
        return entries | dict.fromkeys(INDICES, (torch.int64, ())) | {"timestamp": (torch.float32, ())}

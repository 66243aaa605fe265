"""The mixture: all sources behind one schema, as a map-style torch dataset that reads whole batches at once."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import get_worker_info

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.mixture.alignment import Schema
from robomix.mixture.assembly import Assembly
from robomix.mixture.horizons import in_frames, in_steps, windows_of
from robomix.mixture.laps import Laps
from robomix.mixture.meta import MixtureMeta
from robomix.mixture.permutation import key_of, subkeys
from robomix.mixture.source import Horizons, Source
from robomix.remote.counts import counts

ImageTransform = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Request:
    """A batch to be read: which samples, and the number of the draw that keys each one's randomness."""

    index: np.ndarray
    """(B,) int64: sample indices of the mixture."""
    draw: np.ndarray
    """(B,) int64."""

    def __len__(self) -> int:
        return len(self.index)


class Batch(dict[str, Any]):
    """A collated batch: key to tensor with a leading batch axis; `task` is a list of texts."""

    seconds: Mapping[str, float] = MappingProxyType({})
    """What reading it took, by phase (`laps.PHASES`); in the worker that read it."""
    retries: int = 0
    """How often a worker process had to ask again for what it read from far away; 0 if this process read it."""

    def __missing__(self, key: object) -> Any:
        if isinstance(key, int):
            raise TypeError("batches of a mixture are collated already: give the DataLoader collate_fn=robomix.collate")
        raise KeyError(key)


def collate(batch: Any) -> Batch:
    """The `collate_fn` for a DataLoader over a Mixture: its batches come collated, so it hands them on."""
    made: Batch = batch
    return made


class Mixture(TorchDataset[dict[str, Any]]):
    """Several datasets as one. Every sample has the same keys, shapes and dtypes, described in docs/samples.md.

    Sample i of the mixture is a frame: sources in order, their chosen episodes in order. `mixture[i]` reads one sample,
    `mixture.__getitems__([...])` a collated batch, many times faster per sample; a torch DataLoader calls it by
    itself when given `collate_fn=robomix.collate`.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        schema: Schema,
        *,
        horizons: Horizons | None = None,
        delta_timestamps: Mapping[str, Sequence[float]] | None = None,
        keys: Collection[str] | None = None,
        image_transform: ImageTransform | None = None,
        seed: int | None = 0,
        threads: int | None = None,
    ) -> None:
        """Puts `sources` behind `schema`.

        Args:
            sources: with distinct names.
            schema: what `alignment.align` made of them.
            horizons: windows by mixture key, in frames at each source's own rate.
            delta_timestamps: windows of other keys, in seconds: each source has the frames nearest to them.
            keys: the features samples keep; None keeps all. Cameras left out are not decoded.
            image_transform: applied to each camera image (..., C, H, W) of each sample; its randomness is keyed by
                (seed, draw).
            seed: of that randomness, and of the choice among the texts of a source's prompt; None: nothing is random,
                samples have the first text and images as they are.
            threads: that decode camera frames; None: all cores, divided among DataLoader workers.

        Raises:
            AlignmentError: where `keys` or the windows name what the schema lacks.
            ConfigError: for a window given both ways, without a step, or in what are no frames or seconds.
        """
        self.sources = list(sources)
        self.schema = _only(schema, keys)
        known = self.schema.features
        self.horizons = in_steps(windows_of({} if horizons is None else horizons, "delta_indices", known))
        timed = {} if delta_timestamps is None else delta_timestamps
        self.delta_timestamps = windows_of(timed, "delta_timestamps", known)
        self.source_horizons = [self._horizons_of(source) for source in self.sources]
        """For each source the windows of all keys, in its own frames; of as many steps in all sources."""
        self.image_transform = image_transform
        self.seed = seed
        self.threads = threads
        self._first = np.concatenate([[0], np.cumsum([s.frames.num_frames for s in self.sources])])
        tasks = tuple(dict.fromkeys(task for source in self.sources for task in source.tasks))
        self._assembly = Assembly(self.sources, self.schema, self.source_horizons[0], tasks)
        self.meta = MixtureMeta.of(self.sources, self.schema, tasks)
        self._pool: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return self.num_frames

    def __repr__(self) -> str:
        lines = [f"Mixture of {len(self.sources)} datasets, {self.num_episodes} episodes, {self.num_frames} frames"]
        lines += [f"  {key}: {feature.dtype} {feature.shape}" for key, feature in self.schema.features.items()]
        return "\n".join(lines)

    @property
    def num_frames(self) -> int:
        return int(self._first[-1])

    @property
    def num_episodes(self) -> int:
        return self.meta.total_episodes

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """As LeRobot's `dataset.features`."""
        return self.meta.features

    @property
    def camera_keys(self) -> list[str]:
        return self.schema.camera_keys

    @property
    def dataset_weights(self) -> list[float]:
        """The weights of the mixture file, one per source; what they come to is `resolve`'s table."""
        return [source.config.weight for source in self.sources]

    @property
    def repo_id_to_index(self) -> dict[str, int]:
        """Source name to `dataset_index`."""
        return {source.name: i for i, source in enumerate(self.sources)}

    @property
    def repo_index_to_id(self) -> dict[int, str]:
        """`dataset_index` to source name."""
        return {i: source.name for i, source in enumerate(self.sources)}

    def only(self, keys: Collection[str]) -> "Mixture":
        """The same mixture with only the features `keys` in its samples; nothing else is read any more."""
        return Mixture(
            self.sources,
            self.schema,
            keys=keys,
            horizons={key: steps for key, steps in self.horizons.items() if key in keys},
            delta_timestamps={key: times for key, times in self.delta_timestamps.items() if key in keys},
            image_transform=self.image_transform,
            seed=self.seed,
            threads=self.threads,
        )

    def held_out(self) -> "Mixture | None":
        """The samples of the episodes that are held out for validation, with the same features and the same
        `dataset_index`, but nothing random in them; None where none are held out.
        """
        sources = [source.held_out for source in self.sources if source.held_out is not None]
        if not sources:
            return None
        return Mixture(
            sources,
            self.schema,
            horizons=self.horizons,
            delta_timestamps=self.delta_timestamps,
            seed=None,
            threads=self.threads,
        )

    def index_of(self, source: np.ndarray, drawable: np.ndarray) -> np.ndarray:
        """Sample indices of drawable frames (m,) of sources (m,): how the schedule's draws become samples."""
        index = np.empty(len(source), dtype=np.int64)
        for i in np.unique(source):
            where = source == i
            index[where] = self._first[i] + self.sources[i].frames.from_drawable(drawable[where])
        return index

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One sample: key to tensor, `task` to text. Raises IndexError outside -len..len-1."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of a mixture of {len(self)}")
        batch = self.__getitems__([index % len(self)])
        return {key: value[0] for key, value in batch.items()}

    def __getitems__(self, request: Request | Sequence[int]) -> Batch:
        """The samples of `request` as one collated batch: key to (B, ...) tensor, `task` to a list of B texts.

        Raises IndexError for an index outside 0..len-1.
        """
        if not isinstance(request, Request):
            index = np.asarray(request, dtype=np.int64)
            request = Request(index, index)
        if outside := [int(i) for i in request.index if not 0 <= i < len(self)]:
            raise IndexError(f"sample {outside[0]} of a mixture of {len(self)}")
        laps, retries = Laps(), counts.retries
        member = np.searchsorted(self._first, request.index, side="right") - 1
        places = {int(i): np.flatnonzero(member == i) for i in np.unique(member)}
        texts = np.zeros(len(request), np.uint64) if self.seed is None else self._random("prompt", request.draw)
        parts = {
            i: self.sources[i].begin(
                request.index[where] - self._first[i], self.source_horizons[i], self.schema.features, texts[where]
            )
            for i, where in places.items()
        }
        laps.lap("tables")
        self._run([job for part in parts.values() for job in part.jobs])
        laps.lap("decode")
        values = {i: self.sources[i].finish(part) for i, part in parts.items()}
        laps.lap("transforms")
        batch = Batch(self._assembly(len(request), places, parts, values))
        batch["dataset_index"] = torch.from_numpy(member)
        batch["index"] = torch.from_numpy(request.index)
        laps.lap("collate")
        if self.image_transform is not None and self.seed is not None:
            self._augment(batch, request.draw, self.image_transform)
            laps.lap("image transforms")
        batch.seconds = laps.seconds
        if get_worker_info() is not None:
            batch.retries = counts.retries - retries
        return batch

    def fetches(self, request: Request) -> list[Callable[[], int]]:
        """Jobs that bring near what reading `request` will need of datasets far away; see `Dataset.fetches`."""
        member = np.searchsorted(self._first, request.index, side="right") - 1
        jobs: list[Callable[[], int]] = []
        for i in np.unique(member).tolist():
            if self.sources[i].dataset.is_far:
                frames = request.index[member == i] - self._first[i]
                jobs += self.sources[i].fetches(frames, self.source_horizons[i], self.schema.features)
        return jobs

    def _horizons_of(self, source: Source) -> Horizons:
        both = self.horizons.keys() & self.delta_timestamps.keys()
        if both:
            raise ConfigError(f"the window of {sorted(both)[0]!r} is given in frames and in seconds. Keep one of them.")
        return self.horizons | in_frames(self.delta_timestamps, source.dataset.fps)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    def _run(self, jobs: Sequence[Callable[[], None]]) -> None:
        threads = min(len(jobs), self._num_threads())
        if threads <= 1:
            for job in jobs:
                job()
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._num_threads(), thread_name_prefix="robomix-decode")
        for done in [self._pool.submit(job) for job in jobs]:
            done.result()

    def _num_threads(self) -> int:
        if self.threads is not None:
            return self.threads
        worker = get_worker_info()
        return max(1, (os.cpu_count() or 1) // (worker.num_workers if worker else 1))

    def _random(self, purpose: str, draw: np.ndarray) -> np.ndarray:
        """(B,) uint64: random numbers for `purpose`, one for each of the draws (B,), the same wherever it is read."""
        return subkeys(key_of(self.seed, purpose), draw)

    def _augment(self, batch: Batch, draw: np.ndarray, transform: ImageTransform) -> None:
        seeds = self._random("image transform", draw) >> np.uint64(1)
        with torch.random.fork_rng(devices=[]):
            for key in self.camera_keys:
                images = []
                for image, seed in zip(batch[key], seeds, strict=True):
                    torch.manual_seed(int(seed))
                    images.append(transform(image))
                batch[key] = torch.stack(images)


def _only(schema: Schema, keys: Collection[str] | None) -> Schema:
    if keys is None:
        return schema
    for key in keys:
        if key not in schema.features:
            here = ", ".join(schema.features)
            raise AlignmentError(f"the mixture has no {key!r}.{did_you_mean(key, schema.features)} It has: {here}")
    features = {key: feature for key, feature in schema.features.items() if key in keys}
    lacking = {key: names for key, names in schema.lacking.items() if key in keys}
    return Schema(features, lacking, schema.dropped, schema.condition, schema.padded.intersection(keys))

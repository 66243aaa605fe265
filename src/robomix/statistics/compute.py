"""Statistics of a mixture: what its numbers look like after mapping and transforms, per normalization group.

They are always computed from the data, never taken from the statistics a dataset brings along, whose quantiles are
not quantiles in most versions that wrote them. Every chosen frame counts once. Entries that are padding, and features
a source lacks, are left out. Each source is summarized once and cached (`cache`); groups merge the summaries.
"""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from robomix.errors import FormatError
from robomix.mixture.alignment import Schema
from robomix.mixture.dataset import Mixture
from robomix.mixture.source import Source
from robomix.statistics.cache import load_summaries, save_summaries, source_key
from robomix.statistics.cameras import camera_stats, histogram, sampled_frames, summarize_histogram, with_imagenet
from robomix.statistics.groups import group_names
from robomix.summaries import EMPTY, Summary, merge, stats_of_entries, summarize

Stats = dict[str, dict[str, np.ndarray]]
"""Key to LeRobot's statistics: min, max, mean, std, count, q01, q10, q50, q90, q99, shaped as the feature."""
Entries = dict[str, list[Summary]]
"""Key to one Summary per entry of the flattened feature, or per channel of a camera."""

_BLOCK_ROWS = 1 << 18
_CAMERA_BLOCK = 16


def mixture_stats(mixture: Mixture, normalize_by: str = "global", *, use_imagenet: bool = False) -> dict[str, Stats]:
    """Statistics of `mixture` for each normalization group: group name to Stats over the mixture's schema.

    Vectors are as wide as the schema; entries that are padding in all of a group's sources get the neutral statistics
    of `summaries.stats_of_entries`. `use_imagenet` replaces mean and std of colour cameras. Raises FormatError for NaN
    or infinite numbers, naming source, key and frame.
    """
    entries = [source_summaries(source) for source in tqdm(mixture.sources, "statistics", delay=2, leave=False)]
    groups = group_names(mixture.sources, normalize_by)
    members: dict[str, list[Entries]] = {}
    for group, one in zip(groups, entries, strict=True):
        members.setdefault(group, []).append(one)
    return {group: _group_stats(parts, mixture.schema, use_imagenet) for group, parts in members.items()}


def source_summaries(source: Source) -> Entries:
    """Summaries of all features of `source` after mapping and transforms, from the cache where it has them."""
    key = source_key(source)
    cached = load_summaries(key)
    if cached is None:
        cached = {
            name: _camera(source, name) if f.is_camera else _numbers(source, name)
            for name, f in source.features.items()
        }
        save_summaries(key, cached)
    return cached


def _numbers(source: Source, key: str) -> list[Summary]:
    feature = source.features[key]
    entries = feature.valid_dim if feature.is_vector else int(np.prod(feature.shape, dtype=np.int64))
    blocks = []
    for start in range(0, source.frames.num_frames, _BLOCK_ROWS):
        values = _read(source, np.arange(start, min(start + _BLOCK_ROWS, source.frames.num_frames)), key)
        values = values.reshape(len(values), -1)[:, :entries]
        try:
            blocks.append([summarize(column) for column in np.ascontiguousarray(values.T)])
        except ValueError:
            bad = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0]) + start
            episode, frame = (int(x[0]) for x in source.frames.locate(np.array([bad])))
            raise FormatError(
                f"source {source.name!r}: {key!r} is NaN or infinite in episode {source.frames.ids[episode]}, frame "
                f"{frame} ({source.dataset.path}). Leave the episode out with `episodes`, or repair the data."
            ) from None
    return [merge([block[d] for block in blocks]) for d in range(entries)]


def _camera(source: Source, key: str) -> list[Summary]:
    frames = sampled_frames(source.frames.num_frames)
    counts = sum(
        histogram(_read(source, frames[i : i + _CAMERA_BLOCK], key)) for i in range(0, len(frames), _CAMERA_BLOCK)
    )
    return summarize_histogram(np.asarray(counts))


def _read(source: Source, frames: np.ndarray, key: str) -> np.ndarray:
    part = source.begin(frames, {}, [key])
    for job in part.jobs:
        job()
    return source.finish(part)[key].numpy()


def _group_stats(sources: Sequence[Entries], schema: Schema, use_imagenet: bool) -> Stats:
    stats: Stats = {}
    for key, feature in schema.features.items():
        shape = feature.shape[:1] if feature.is_camera else feature.shape
        entries = int(np.prod(shape, dtype=np.int64))
        parts = [one[key] for one in sources if key in one]
        merged = [merge([p[d] for p in parts if d < len(p)]) if parts else EMPTY for d in range(entries)]
        if feature.is_camera:
            of_camera = camera_stats(merged)
            stats[key] = with_imagenet(of_camera) if use_imagenet else of_camera
        else:
            of_entries = stats_of_entries(merged)
            stats[key] = {n: v if n == "count" else v.reshape(shape or (1,)) for n, v in of_entries.items()}
    return stats

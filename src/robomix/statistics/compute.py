"""Statistics of a mixture: what its numbers look like after mapping and transforms, per normalization group.

They are always computed from the data, never taken from the statistics a dataset brings along, whose quantiles are
not quantiles in most versions that wrote them. Every chosen frame counts once. What a filter leaves out counts not at
all, though windows may hold some of it; nor do sources of weight 0, but in groups that have no others; nor entries that
are padding, nor features a source lacks. Each source is summarized once and cached (`cache`); groups merge the
summaries.

Where a value depends on the sample it is in, as an action relative to the state at its chunk's start does, what counts
is what training sees: every step, within its episode, of the windows of all frames that can be drawn.
"""

from collections.abc import Collection, Sequence

import numpy as np
from tqdm import tqdm

from robomix.errors import FormatError
from robomix.mixture.alignment import Schema
from robomix.mixture.dataset import Mixture
from robomix.mixture.source import Horizons, Source
from robomix.mixture.transforms import Window, Windows
from robomix.statistics.cache import load_summaries, save_summaries, source_key
from robomix.statistics.cameras import camera_stats, histogram, sampled_frames, summarize_histogram, with_imagenet
from robomix.statistics.groups import group_names
from robomix.summaries import EMPTY, Summary, merge, stats_of_entries, summarize

Stats = dict[str, dict[str, np.ndarray]]
"""Key to LeRobot's statistics: min, max, mean, std, count, q01, q10, q50, q90, q99, shaped as the feature."""
Entries = dict[str, list[Summary]]
"""Key to one Summary per entry of the flattened feature, or per channel of a camera."""

_BLOCK_ROWS = 1 << 18
_READ_BYTES = 1 << 26
_CAMERA_BLOCK = 16
_MAX_STEPS = 1 << 24
"""Of windows, per source: beyond that, only every second (third, ...) drawable frame starts one. Windows overlap."""


def mixture_stats(mixture: Mixture, normalize_by: str = "global", *, use_imagenet: bool = False) -> dict[str, Stats]:
    """Statistics of `mixture` for each normalization group: group name to Stats over the mixture's schema.

    Vectors are as wide as the schema; entries that are padding in all of a group's sources get the neutral statistics
    of `summaries.stats_of_entries`. `use_imagenet` replaces mean and std of colour cameras. Raises FormatError for NaN
    or infinite numbers, naming source, key and frame.
    """
    sources = tqdm(mixture.sources, "statistics", delay=2, leave=False, disable=None)
    entries = [
        source_summaries(source, mixture.schema.features, horizons)
        for source, horizons in zip(sources, mixture.source_horizons, strict=True)
    ]
    groups = group_names(mixture.sources, normalize_by)
    drawn = {group for group, source in zip(groups, mixture.sources, strict=True) if source.config.weight > 0}
    members: dict[str, list[Entries]] = {}
    for group, source, one in zip(groups, mixture.sources, entries, strict=True):
        if source.config.weight > 0 or group not in drawn:
            members.setdefault(group, []).append(one)
    return {group: _group_stats(parts, mixture.schema, use_imagenet) for group, parts in members.items()}


def source_summaries(source: Source, keys: Collection[str], horizons: Horizons) -> Entries:
    """Summaries of those of `keys` that `source` has, after mapping and transforms; from the cache where they are.

    `horizons` are those the mixture has for it; they matter for the features `source.relative` names.
    """
    windows: Windows = {key: tuple(horizons[key]) for key in sorted(source.relative) if key in horizons}
    wanted = {key: feature for key, feature in source.features.items() if key in keys}
    cache_key = source_key(source, windows)
    summaries = load_summaries(cache_key) or {}
    missing = {key: feature for key, feature in wanted.items() if key not in summaries}
    for key, feature in missing.items():
        summaries[key] = _camera(source, key) if feature.is_camera else _numbers(source, key, windows.get(key))
    if missing:
        save_summaries(cache_key, summaries)
    return {key: summaries[key] for key in wanted}


def _numbers(source: Source, key: str, window: Window) -> list[Summary]:
    feature = source.features[key]
    entries = feature.valid_dim if feature.is_vector else int(np.prod(feature.shape, dtype=np.int64))
    table = source.counted if window is None else source.frames
    count = table.num_drawable
    size = max(1, min(_BLOCK_ROWS // len(window or (0,)), _READ_BYTES // _bytes_per_frame(source, key, window)))
    blocks = []
    every = 1 if window is None else -(-count * len(window) // _MAX_STEPS)
    for start in range(0, count, size * every):
        frames = table.from_drawable(np.arange(start, min(start + size * every, count), every))
        values, is_pad = _read(source, frames, key, window)
        values = values.reshape(is_pad.size, -1)[:, :entries]
        try:
            inside = values[~is_pad.reshape(-1)]
            blocks.append([summarize(column) for column in np.ascontiguousarray(inside.T)])
        except ValueError:
            bad = int(np.flatnonzero(~np.isfinite(values).all(axis=1) & ~is_pad.reshape(-1))[0])
            row, step = divmod(bad, is_pad.shape[1])
            episode, frame = (int(x[0]) for x in source.frames.locate(frames[[row]]))
            raise FormatError(
                f"source {source.name!r}: {key!r} is NaN or infinite in episode {source.frames.ids[episode]}, frame "
                f"{frame + (window or (0,))[step]} ({source.dataset.path}). Leave the episode out with `episodes`, or "
                "repair the data."
            ) from None
    return [merge([block[d] for block in blocks]) for d in range(entries)]


def _bytes_per_frame(source: Source, key: str, window: Window) -> int:
    """What must be read for one frame of `key`: a transform may ask for camera images along with the numbers."""
    part = source.begin(np.zeros(1, dtype=np.int64), {} if window is None else {key: window}, [key])
    return max(1, sum(value.nbytes for value in part.values.values()))


def _camera(source: Source, key: str) -> list[Summary]:
    frames = source.counted.from_drawable(sampled_frames(source.counted.num_drawable))
    counts = sum(
        histogram(_read(source, frames[i : i + _CAMERA_BLOCK], key)[0]) for i in range(0, len(frames), _CAMERA_BLOCK)
    )
    return summarize_histogram(np.asarray(counts))


def _read(source: Source, frames: np.ndarray, key: str, window: Window = None) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, ...) or (n, T, ...) of `key`, and which of the window's steps (n, T) lie outside the episode."""
    part = source.begin(frames, {} if window is None else {key: window}, [key])
    for job in part.jobs:
        job()
    values = source.finish(part)[key].numpy()
    return values, part.time_is_pad.get(key, np.zeros((len(frames), 1), dtype=bool))


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

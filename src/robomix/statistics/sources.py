"""Summaries of one source: of its numbers over all frames that count, of its cameras over a sample. Cached.

Numbers are seen as samples hold them, after mapping and transforms. Where a value depends on the sample it is in, as an
action relative to the state at its chunk's start does, what counts is what training sees: every step, within its
episode, of the windows of all frames that can be drawn; together (`source_summaries`), or each step of the window for
itself (`step_summaries`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import numpy as np

from robomix.errors import FormatError
from robomix.mixture.source import Horizons, Source
from robomix.mixture.transforms import Window, Windows
from robomix.statistics.cache import load_summaries, save_summaries, source_key
from robomix.statistics.cameras import histogram, sampled_frames, summarize_histogram
from robomix.summaries import Summary, merge, summarize

Entries = dict[str, list[Summary]]
"""Key to one Summary per entry of the flattened feature, or per channel of a camera."""

_BLOCK_ROWS = 1 << 18
_READ_BYTES = 1 << 26
_CAMERA_BLOCK = 16
_MAX_STEPS = 1 << 24
"""Of windows, per source: beyond that, only every second (third, ...) drawable frame starts one. Windows overlap."""


def source_summaries(source: Source, keys: Collection[str], horizons: Horizons) -> Entries:
    """Summaries of those of `keys` that `source` has, after mapping and transforms; from the cache where they are.

    `horizons` are those the mixture has for it; they matter for the features `source.relative` names. Raises
    FormatError for NaN or infinite numbers, naming source, key, episode and frame.
    """
    windows: Windows = {key: tuple(horizons[key]) for key in sorted(source.relative) if key in horizons}
    work = {
        key: partial(_camera, source, key) if feature.is_camera else partial(_numbers, source, key, windows.get(key))
        for key, feature in source.features.items()
        if key in keys
    }
    return _cached(source_key(source, windows), work)


def step_summaries(source: Source, key: str, window: Sequence[int]) -> list[list[Summary]]:
    """For each step of `window`, one Summary per entry of the vector `key`: what samples hold of it at that step."""
    work = {f"{key}[{step}]": partial(_numbers, source, key, (step,)) for step in window}
    return list(_cached(source_key(source, {key: tuple(window)}, by_step=True), work).values())


def _cached(cache_key: str, work: Mapping[str, Callable[[], list[Summary]]]) -> Entries:
    """The result of each piece of `work`, from the cache where it is."""
    summaries = load_summaries(cache_key) or {}
    missing = [name for name in work if name not in summaries]
    for name in missing:
        summaries[name] = work[name]()
    if missing:
        save_summaries(cache_key, summaries)
    return {name: summaries[name] for name in work}


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
        values, is_pad, dim_is_pad = _read(source, frames, key, window)
        values = values.reshape(is_pad.size, -1)[:, :entries]
        try:
            blocks.append(_summarized(values, is_pad, dim_is_pad))
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


def _summarized(values: np.ndarray, is_pad: np.ndarray, dim_is_pad: np.ndarray | None) -> list[Summary]:
    """One Summary per entry of `values` (n * T, D), without those that `is_pad` (n, T) or `dim_is_pad` (n, D) mask."""
    inside = ~is_pad.reshape(-1)
    if dim_is_pad is None:
        return [summarize(column) for column in np.ascontiguousarray(values[inside].T)]
    real = inside[:, None] & ~np.repeat(dim_is_pad[:, : values.shape[1]], is_pad.shape[1], axis=0)
    return [summarize(column[of_column]) for column, of_column in zip(values.T, real.T, strict=True)]


def _bytes_per_frame(source: Source, key: str, window: Window) -> int:
    """What must be read for one frame of `key`: a transform may ask for camera images along with the numbers."""
    part = source.begin(np.zeros(1, dtype=np.int64), {} if window is None else {key: window}, [key])
    return max(1, sum(value.nbytes for value in part.values.values()))


def _camera(source: Source, key: str) -> list[Summary]:
    drawable = _drawable(source, key)
    frames = source.counted.from_drawable(drawable[sampled_frames(len(drawable))])
    counts = sum(
        (histogram(_read(source, frames[i : i + _CAMERA_BLOCK], key)[0]) for i in range(0, len(frames), _CAMERA_BLOCK)),
        start=np.zeros((source.features[key].shape[0], 256), np.int64),
    )
    return summarize_histogram(np.asarray(counts))


def _drawable(source: Source, key: str) -> np.ndarray:
    """Those of the drawable frames that have the camera `key`: all, but where the dataset says otherwise."""
    drawable = np.arange(source.counted.num_drawable)
    absent = source.padding.absent(key, source.counted.rows(source.counted.from_drawable(drawable)))
    return drawable if absent is None else drawable[~absent]


def _read(
    source: Source, frames: np.ndarray, key: str, window: Window = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Values (n, ...) or (n, T, ...) of `key`, which of the window's steps (n, T) are padding, as those outside the
    episode, and which entries of the vectors (n, D), where the dataset says so.
    """
    part = source.begin(frames, {} if window is None else {key: window}, [key])
    for job in part.jobs:
        job()
    values = source.finish(part)[key].numpy()
    is_pad = part.is_pad.get(key, np.zeros(len(frames), dtype=bool)).reshape(len(frames), -1)
    return values, is_pad, part.dim_is_pad.get(key)

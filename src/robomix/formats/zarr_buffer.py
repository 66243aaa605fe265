"""Replay buffers of Diffusion Policy: a zarr store with arrays `data/*` (N, ...) and `meta/episode_ends` (E,).

Names: `action` and `actions` become `action`, `action_x` becomes `action.x`; `state` becomes `observation.state`;
`reward` and `done` become `next.reward` and `next.done`; any other `x` becomes `observation.x`. Arrays (N, H, W, 3) or
(N, 3, H, W) of bytes or floats are cameras, `observation.images.x`. Float pictures hold 0 to 255, or 0 to 1.
Everything is copied into the column cache, pictures as raw bytes; `raw_frames` says why.
The layout is that of diffusion_policy/common/replay_buffer.py, https://github.com/real-stanford/diffusion_policy.
"""

import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.cached import CachedDataset, Camera
from robomix.formats.columns import Builder, build, entry_folder, lookup
from robomix.formats.filling import complete
from robomix.formats.rate import settled_rate
from robomix.formats.raw_frames import RawCamera, frames_array, new_frames
from robomix.formats.zarr_spec import ArraySpec
from robomix.formats.zarr_store import ZarrStore, array_spec, blocks, read_store

READER = "zarr-1"
"""Version of what is put into the cache; a new one makes every store be read again."""
_ENDS = "meta/episode_ends"
_KNOWN = {
    "action": "action",
    "actions": "action",
    "state": "observation.state",
    "reward": "next.reward",
    "done": "next.done",
}


def is_zarr_buffer(path: Path) -> bool:
    """Whether the path looks like a zarr store, of whatever content and health."""
    if path.is_dir():
        return any((path / name).exists() for name in (".zgroup", "zarr.json", _ENDS))
    return path.name.endswith(".zarr.zip") or (path.suffix == ".zip" and _has_ends(path))


def _has_ends(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith(_ENDS + "/") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


class ZarrBuffer(CachedDataset):
    """Lies in the cache entirely. Its one task is named after the folder; `fps` must be given."""

    @classmethod
    def opened(cls, path: Path, fps: float | None = None) -> Self:
        settled_rate(None, fps, path)  # before anything is read
        store = read_store(path.resolve())
        folder = entry_folder(store.root, store.key(READER))
        return cls(path, lookup(folder) or build(folder, partial(_fill_cache, store)), fps)

    def camera(self, key: str) -> Camera:
        return RawCamera(key, self._entry)


def feature_key(name: str, *, camera: bool) -> str:
    """The feature that the array `data/<name>` becomes."""
    if camera:
        return f"observation.images.{name}"
    for mark in ("action_", "action."):
        if name.startswith(mark) and name != mark:
            return f"action.{name.removeprefix(mark)}"
    return _KNOWN.get(name, f"observation.{name}")


def _fill_cache(store: ZarrStore, cache: Builder) -> None:
    specs = [array_spec(store, name) for name in store.names("data")]
    lengths = _lengths(store, specs)
    features: dict[str, Feature] = {}
    arrays: dict[str, np.ndarray] = {}
    notes = []
    for spec in specs:
        axis = _channel_axis(spec)
        key = feature_key(spec.name.removeprefix("data/"), camera=axis is not None)
        if key in features:
            raise FormatError(f"{store.root}: {spec.name!r} and another array both mean {key!r}. Delete one of them.")
        if axis is not None:
            frames = arrays[frames_array(key)] = _read_frames(store, spec, axis, key, cache)
            features[key] = Feature("camera", "uint8", frames.shape[1:], storage="array")
        else:
            column = arrays[f"column {key}"] = cache.array(f"column {key}", spec.dtype, spec.shape)
            for start, values in blocks(store, spec):
                column[start : start + len(values)] = values
            features[key] = Feature("numeric", spec.dtype.name, spec.shape[1:])
        if spec.missing:
            notes.append(
                f"{spec.missing} of {spec.chunks} chunks of {spec.name!r} are not stored and read as its fill value; "
                "if that was not recorded, copy the dataset again"
            )
    complete(
        cache,
        arrays,
        format=f"zarr v{specs[0].version} replay buffer",
        features=features,
        lengths=lengths,
        tasks=[store.root.name.removesuffix(".zip").removesuffix(".zarr")],
        warnings=notes,
    )


def _lengths(store: ZarrStore, specs: Sequence[ArraySpec]) -> np.ndarray:
    """(E,) int64: rows of each episode, after checking that all arrays have their sum."""
    if not specs or _ENDS not in store.documents:
        lack = f"no array {_ENDS!r}" if specs else "no arrays below 'data'"
        found = ", ".join(sorted(store.documents)) or "none"
        raise FormatError(
            f"{store.root} is a zarr store, but no replay buffer: it has {lack}. Arrays below data and meta: {found}. "
            "If others lie deeper, open the folder that holds data and meta; else copy the dataset again."
        )
    spec = array_spec(store, _ENDS)
    if len(spec.shape) != 1 or spec.dtype.kind not in "iu" or not spec.shape[0]:
        raise FormatError(
            f"{store.root}: {_ENDS} has shape {list(spec.shape)} and type {spec.dtype}, expected one whole number for "
            "each episode, at least one."
        )
    ends = np.concatenate([values for _, values in blocks(store, spec)]).astype(np.int64)
    lengths = np.diff(ends, prepend=0)
    if (lengths <= 0).any() or (np.abs(ends) > 1 << 48).any():
        wrong = int(np.flatnonzero(lengths <= 0)[0]) if (lengths <= 0).any() else len(ends) - 1
        raise FormatError(
            f"{store.root}: {_ENDS} says that episode {wrong} ends at row {ends[wrong]}, and the one before at "
            f"{ends[wrong - 1] if wrong else 0}, expected rising numbers. Restore it from the source of the dataset."
        )
    for spec in specs:
        if spec.shape[0] != ends[-1]:
            raise FormatError(
                f"{store.root}: {spec.name!r} has {spec.shape[0]} rows, but {_ENDS} ends at {ends[-1]}. "
                "Copy the dataset again, or cut both to the same episodes."
            )
    return lengths


def _channel_axis(spec: ArraySpec) -> int | None:
    """Which axis of an array of pictures has the colours; None if it holds no pictures."""
    if len(spec.shape) != 4 or not (spec.dtype == np.uint8 or spec.dtype.kind == "f"):
        return None
    return next((axis for axis in (3, 1) if spec.shape[axis] == 3), None)


def _read_frames(store: ZarrStore, spec: ArraySpec, axis: int, key: str, cache: Builder) -> np.ndarray:
    """Copy pictures to a new array (N, 3, H, W) uint8 of the cache."""
    n, *sides = spec.shape
    height, width = sides[:2] if axis == 3 else sides[1:]
    frames = new_frames(cache, key, (n, 3, height, width))
    scale = 1 if spec.dtype == np.uint8 else 255
    if not _copy_frames(store, spec, axis, scale, frames):
        _copy_frames(store, spec, axis, 1, frames)
    return frames


def _copy_frames(store: ZarrStore, spec: ArraySpec, axis: int, scale: int, frames: np.ndarray) -> bool:
    """Copy pictures times `scale`, rounded. False where scale 255 was tried and values above 1 came up."""
    for start, values in blocks(store, spec):
        if values.dtype.kind == "f":
            low, high = float(values.min()), float(values.max())
            if scale == 255 and 1 < high <= 255:
                return False
            if not 0 <= low <= high <= 255 // scale:
                raise FormatError(
                    f"{store.root}: {spec.name!r} has the shape of pictures, but values from {low:g} to {high:g} in "
                    f"rows {start} to {start + len(values) - 1}, expected 0 to 255 or 0 to 1. Rescale or delete it."
                )
            values = np.rint(values * scale).astype(np.uint8)
        frames[start : start + len(values)] = values.transpose(0, 3, 1, 2) if axis == 3 else values
    return True

"""Whether what was materialized is the mixture: the same samples in the same order, and frames as far as said."""

from dataclasses import dataclass, replace
from math import inf, log10
from typing import Any

import numpy as np
import torch

from robomix.config import MixtureConfig
from robomix.errors import FormatError
from robomix.features import Feature
from robomix.mixture.factory import open_sources
from robomix.mixture.frames import FrameTable
from robomix.mixture.materialized import with_resize
from robomix.mixture.source import Source
from robomix.mixture.split import split
from robomix.mixture.transforms.pictures import resized
from robomix.tools.materialize.plan import Plan

_SAMPLED = 64
"""Frames of each camera of a source that are compared."""


@dataclass(frozen=True)
class Likeness:
    """How near the stored frames of a camera are to those that decoding and resizing gives."""

    source: str
    camera: str
    frames: int
    """How many were compared, evenly spaced."""
    psnr_db: float
    """10 * log10(255^2 / mean squared difference) over all of their pixels; infinite where they are equal."""

    def record(self) -> dict[str, Any]:
        """As plain data; null for infinite."""
        return vars(self) | {"psnr_db": None if self.psnr_db == inf else round(self.psnr_db, 2)}


def sampled(frames: int) -> np.ndarray:
    """(n,) int64: numbers of frames that are compared, first and last among them."""
    return np.unique(np.linspace(0, frames - 1, min(frames, _SAMPLED)).round().astype(np.int64))


def likeness(camera: str, original: Source, stored: Source, height: int, width: int) -> Likeness:
    """Compares frames of a camera, by its dataset's name, with those that decoding and resizing gives."""
    places, squares, values = sampled(original.frames.num_frames), 0, 0
    rows, stored_rows = _rows(original)[places], _rows(stored)[places]
    for row, stored_row in zip(rows, stored_rows, strict=True):
        recorded = torch.from_numpy(original.dataset.read_frames(camera, row[None]))
        frame = resized(recorded, height, width).numpy().astype(np.int64)
        squares += int(((frame - stored.dataset.read_frames(camera, stored_row[None])) ** 2).sum())
        values += frame.size
    return Likeness(original.name, camera, len(rows), 10 * log10(255**2 * values / squares) if squares else inf)


def expect_same_samples(plan: Plan, made: MixtureConfig) -> list[Likeness]:
    """How near the frames of the mixture `made` are to those of the plan's.

    Raises FormatError where anything else is different: sources, frames and their order, what is held out, numbers,
    tasks, features.
    """
    entries = tuple(with_resize(entry, plan.height, plan.width) for entry in plan.config.datasets)
    config = replace(plan.config, datasets=entries)
    pairs = list(zip(*(split(open_sources(c), c.val_fraction) for c in (config, made)), strict=True))
    found: list[Likeness] = []
    for part, (original, stored) in zip(plan.parts, pairs, strict=True):
        _expect(original, stored)
        found += [likeness(key, original, stored, plan.height, plan.width) for key in part.small.cameras]
    return found


def _expect(original: Source, stored: Source) -> None:
    differences = [] if original.name == stored.name else ["name"]
    if _features(original) != _features(stored):
        differences.append("features")
    for name, one, other in (("frames", original, stored), ("held_out", original.held_out, stored.held_out)):
        if not _same_tables(one, other):
            differences.append(name)
        elif one is not None and other is not None:
            differences += _different_values(one, other)
    if differences:
        raise FormatError(
            f"source {original.name!r}, as it was materialized in {stored.dataset.path}, is not what it was: "
            f"{', '.join(dict.fromkeys(differences))} differ. Did its files change meanwhile? Materialize it again."
        )


def _features(source: Source) -> dict[str, Feature]:
    return {key: replace(feature, storage="column") for key, feature in source.features.items()}


def _same_tables(original: Source | None, stored: Source | None) -> bool:
    """The same frames in the same order, the same of them drawable; nothing is held out where there is nothing."""
    tables = [source.frames if source is not None and len(source.ordinals) else None for source in (original, stored)]
    if tables[0] is None or tables[1] is None:
        return tables[0] is tables[1]
    return all(np.array_equal(one, other) for one, other in zip(_order(tables[0]), _order(tables[1]), strict=True))


def _order(table: FrameTable) -> tuple[np.ndarray, ...]:
    """What fixes which frames are drawn, and when."""
    return table.bounds, table.run_frames, table.drawable_bounds


def _different_values(original: Source, stored: Source) -> list[str]:
    """Numeric features, by the dataset's name, and `tasks`, that are not the same in all frames."""
    rows = [_rows(source) for source in (original, stored)]
    different = []
    for key, recorded in original.mapped_keys().items():
        if original.dataset.features[recorded].is_camera:
            continue
        one, other = (s.dataset.column(s.mapped_keys()[key]) for s in (original, stored))
        values = one[rows[0]], other[rows[1]]
        if values[0].dtype != values[1].dtype or not np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"):
            different.append(recorded)
    texts = [np.array(s.dataset.tasks)[s.dataset.task_indices()[_rows(s)]] for s in (original, stored)]
    return different if np.array_equal(texts[0], texts[1]) else [*different, "tasks"]


def _rows(source: Source) -> np.ndarray:
    """(N,) int64: the dataset's rows of all frames of a source, in their order."""
    table = source.frames
    return np.repeat(table.first_rows - table.bounds[:-1], np.diff(table.bounds)) + np.arange(table.num_frames)

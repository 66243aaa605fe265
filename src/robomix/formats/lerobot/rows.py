"""The rows of a dataset, streamed from its files together with the place each belongs to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from robomix.errors import FormatError
from robomix.formats.lerobot.layout import Layout
from robomix.formats.parquet import batches

Piece = tuple[slice, slice]
"""Rows of a batch, and the rows of the dataset they are."""


class Rows:
    """All rows of a dataset in episode order; row starts[e] + i is frame i of the e-th episode."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.root = root
        self.layout = layout
        self.starts = np.concatenate([[0], np.cumsum(layout.lengths)])
        """(E + 1,) int64, as `Episodes.starts`."""

    @property
    def total(self) -> int:
        return int(self.starts[-1])

    def stream(self, columns: Sequence[str], at_once: int) -> Iterator[tuple[Path, pa.RecordBatch, list[Piece]]]:
        """Each file's `columns`, at most `at_once` rows at a time, with the places of these rows."""
        if not columns:
            return
        files = self.layout.data
        progress = tqdm(files, desc=f"Reading {self.root.name} once", unit="file", delay=2, disable=None)
        for file in progress:
            path, seen = self.root / file.name, 0
            for batch in batches(path, columns, at_once):
                yield path, batch, self._pieces(file.spans, seen, seen + len(batch))
                seen += len(batch)
            held = int(file.spans[:, 1].sum()) + file.passed_over
            if seen != held:
                raise FormatError(f"{path} gave {seen} rows, and {held} before: it changed meanwhile. Try again.")

    def _pieces(self, spans: np.ndarray, begin: int, end: int) -> list[Piece]:
        """Where rows begin to end - 1 of a file go; neighbours that stay neighbours make one piece."""
        first, count, ordinal, frame = spans[(spans[:, 0] < end) & (spans[:, 0] + spans[:, 1] > begin)].T
        sources = np.maximum(first, begin)
        lengths = np.minimum(first + count, end) - sources
        targets = self.starts[ordinal] + frame + sources - first
        breaks = np.flatnonzero(targets[1:] != targets[:-1] + lengths[:-1]) + 1
        pieces = []
        for group in np.split(np.arange(len(sources)), breaks):
            if len(group):
                source, target, size = sources[group[0]] - begin, targets[group[0]], lengths[group].sum()
                pieces.append((slice(source, source + size), slice(target, target + size)))
        return pieces

"""Counting what comes out of the loader, batch by batch.

Looking at a batch must not take longer than a small part of reading one. So what is looked at is copied out of each
batch (places, masks, of a window one step in turn, of a camera a grid of pixels), and counted once for thousands of
samples. Only shapes, and whether there is a NaN anywhere, are asked of all numbers of each batch at once.
"""

from collections import Counter

import numpy as np
import torch

from robomix.features import Feature
from robomix.mixture.dataset import Batch, Mixture
from robomix.tools.verify.content import Content
from robomix.tools.verify.expected import INDICES, Expected
from robomix.tools.verify.findings import Findings
from robomix.tools.verify.tasks import Tasks
from robomix.tools.verify.values import RunningValues

BLOCK = 4096
"""Samples that are counted at once."""
GRID = 8
"""Pixels of a camera image that are looked at, in each direction; from batch to batch they move on."""
_PLACES = (*INDICES, "timestamp")


class Tally:
    """What has been drawn so far."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.findings = Findings()
        self.expected = Expected(mixture)
        self.content = Content(mixture, self.expected)
        """The samples that are read again."""
        self._said = Tasks(mixture, self.expected)
        self.tasks: Counter[tuple[int, str]] = Counter()
        """(source, text) to samples."""
        self.values: dict[tuple[int, str], RunningValues] = {}
        """(source, key) to the numbers of the features that the source has."""
        self.padded: dict[tuple[int, str], list[int]] = {}
        """(source, name of a mask) to how many of its entries are True, and how many it has."""
        self._drawn: list[np.ndarray] = []
        self._held: dict[str, list[np.ndarray]] = {}
        self._texts: list[str] = []
        for i, source in enumerate(mixture.sources):
            for key, feature in mixture.schema.features.items():
                if key in source.features:
                    self.values[i, key] = RunningValues(_width(source.features[key], feature))

    def add(self, batch: Batch, step: int, rank: int) -> None:
        """Takes the slice of `rank` of global batch `step`; to be called in the order of steps, then ranks."""
        if not self._fits(batch, step, rank):
            return
        self.content.add(batch)
        for key, feature in self.mixture.schema.features.items():
            if torch.is_floating_point(batch[key]) and not bool(torch.isfinite(batch[key].sum())):
                self._note_not_finite(key, batch)
            self._hold(key, self._rows(key, feature, batch, step))
            for mask in (f"{key}_is_pad", f"{key}_dim_is_pad"):
                if mask in batch:
                    self._hold(mask, batch[mask].numpy())
            if key in self.expected.windows:
                self._hold(f"{key} step", np.full(len(batch["index"]), step % self.expected.windows[key]))
        for key in _PLACES:
            self._hold(key, batch[key].numpy())
        self._texts += batch["task"]
        if len(self._texts) >= BLOCK:
            self.count()

    def count(self) -> None:
        """Counts what was held back. To be called at the end."""
        if not self._texts:
            return
        block = {name: np.concatenate(parts) for name, parts in self._held.items()}
        source = block["dataset_index"]
        self.tasks.update(zip(source.tolist(), self._texts, strict=True))
        texts = np.array(self._texts, dtype=object)
        self._held, self._texts = {}, []
        self._drawn.append(block["index"])
        placed = self._placed(block)
        members = {int(i): np.flatnonzero(placed & (source == i)) for i in np.unique(source[placed])}
        for i, rows in members.items():
            self._check_tasks(i, block, rows, texts[rows])
        for key, feature in self.mixture.schema.features.items():
            self._count_masks(key, feature, block, members)
            for i, rows in members.items():
                if (i, key) in self.values:
                    self._count_values(i, key, feature, block, rows)

    def drawn(self) -> np.ndarray:
        """(N,) int64: the samples drawn, by their index in the mixture, in the order of batches."""
        return np.concatenate(self._drawn) if self._drawn else np.empty(0, dtype=np.int64)

    def _hold(self, name: str, values: np.ndarray) -> None:
        self._held.setdefault(name, []).append(values.copy())  # a view would keep the whole batch

    def _fits(self, batch: Batch, step: int, rank: int) -> bool:
        """Whether the batch has all entries, in the dtypes and shapes of the schema; notes what differs."""
        size, entries, fits = len(batch["task"]), self.expected.entries, True
        for key, (dtype, shape) in entries.items():
            value = batch.get(key)
            if torch.is_tensor(value) and value.dtype is dtype and value.shape == (size, *shape):
                continue
            found = f"{value.dtype} {tuple(value.shape)}" if torch.is_tensor(value) else type(value).__name__
            place = f"batch {step}, rank {rank}: {key!r} is {found}, not {dtype} {(size, *shape)}"
            self.findings.add("shapes", key, place)
            fits = False
        if len(batch) != len(entries) + 1:
            extra = ", ".join(map(repr, batch.keys() - entries.keys() - {"task"}))
            self.findings.add("shapes", extra, f"batch {step}, rank {rank}: has {extra or 'too little'}")
        return fits

    def _rows(self, key: str, feature: Feature, batch: Batch, step: int) -> np.ndarray:
        """(n, ...): of each sample the numbers of `key` that are looked at."""
        value = batch[key]
        if key in self.expected.windows:
            value = value[:, step % self.expected.windows[key]]
        if feature.is_camera:
            down, right = (max(1, side // GRID) for side in feature.shape[1:])
            value = value[:, :, step % down :: down, step % right :: right][:, :, :GRID, :GRID]
        rows: np.ndarray = value.numpy()
        return rows

    def _note_not_finite(self, key: str, batch: Batch) -> None:
        bad = ~torch.isfinite(batch[key]).flatten(1)
        for at in torch.nonzero(bad.any(dim=1)).flatten().tolist():  # none, where only the sum was too large
            i, count = int(batch["dataset_index"][at]), int(bad[at].sum())
            if (i, key) in self.values:
                self.values[i, key].not_finite += count
            place = self.place(i, int(batch["episode_index"][at]), int(batch["frame_index"][at]))
            self.findings.add("numbers", f"{i} {key}", f"{key!r} is NaN or infinite in {place}", count)

    def _placed(self, block: dict[str, np.ndarray]) -> np.ndarray:
        """(n,) bool: samples that are of a frame; the others are noted, and nothing more can be said of them."""
        misplaced = self.expected.misplaced(block)
        if misplaced.any():
            first = ", ".join(f"{name} {block[name][misplaced][0]}" for name in _PLACES)
            text = f"a sample whose numbers are not those of one frame that may be drawn: {first}"
            self.findings.add("places", "places", text, int(misplaced.sum()))
        return ~misplaced

    def _count_masks(
        self, key: str, feature: Feature, block: dict[str, np.ndarray], members: dict[int, np.ndarray]
    ) -> None:
        """Compares the masks of `key` with those that `Expected` works out, and counts what they mask."""
        for i, rows in members.items():
            masks: dict[str, np.ndarray] = {}
            episode, frame = block["episode_index"][rows], block["frame_index"][rows]
            if f"{key}_is_pad" in block:
                masks[f"{key}_is_pad"] = self.expected.time_mask(key, i, episode, frame)
            if feature.is_vector:
                masks[f"{key}_dim_is_pad"] = self.expected.dim_mask(key, i, episode, frame)
            for name, expected in masks.items():
                found = block[name][rows]
                totals = self.padded.setdefault((i, name), [0, 0])
                totals[0] += int(np.count_nonzero(found))
                totals[1] += found.size
                if not np.array_equal(found, expected):
                    off = (found != expected).reshape(len(found), -1).any(axis=1)
                    self._note_samples("masks", f"{name!r} is not as it should be", block, rows[off])

    def _count_values(self, i: int, key: str, feature: Feature, block: dict[str, np.ndarray], rows: np.ndarray) -> None:
        mask = block.get(f"{key}_is_pad")
        if mask is not None:
            steps = block.get(f"{key} step")
            padded = mask[rows] if steps is None else mask[rows, steps[rows]]
            rows = rows[~padded]
        values, width = block[key][rows], len(self.values[i, key].mean)
        if feature.is_camera:
            values = np.moveaxis(values, 1, -1).reshape(-1, width)
        else:
            values = values.reshape(len(rows), int(np.prod(feature.shape)))
            front = self.mixture.schema.in_front(key)
            if (filled := np.flatnonzero(values[:, front + width :].any(axis=1))).size:
                self._note_samples("masks", f"{key!r} is not 0 where it is masked", block, rows[filled])
            values = values[:, front : front + width]
            finite = np.isfinite(values).all(axis=1)
            values = values if finite.all() else values[finite]
        self.values[i, key].add(values)

    def _check_tasks(self, i: int, block: dict[str, np.ndarray], rows: np.ndarray, texts: np.ndarray) -> None:
        """Compares the tasks of the samples `rows`, of source `i`, with those of the frames they mean."""
        task = self._said.of(i, block["episode_index"][rows], block["frame_index"][rows])
        other = rows[block["task_index"][rows] != self._said.index(i)[task]]
        if len(other):
            self._note_samples("tasks", "'task_index' is not that of the frame", block, other)
        known = self._said.are_known(i, task, texts)
        if not known.all():
            what = f"'task' is {texts[~known][0]!r}, which is not that of the frame,"
            self._note_samples("tasks", what, block, rows[~known])

    def _note_samples(self, check: str, what: str, block: dict[str, np.ndarray], at: np.ndarray) -> None:
        """Notes `what` of the samples `at` of a block, by source."""
        for i, first, count in zip(
            *np.unique(block["dataset_index"][at], return_index=True, return_counts=True), strict=True
        ):
            row = at[first]
            place = self.place(int(i), int(block["episode_index"][row]), int(block["frame_index"][row]))
            self.findings.add(check, f"{what} {i}", f"{what} in {place}", int(count))

    def place(self, source: int, episode: int, frame: int) -> str:
        """A sample for people: its episode by the number that its dataset gives it."""
        if not 0 <= source < len(self.mixture.sources):
            return f"source number {source}, which there is not"
        name, ids = self.mixture.sources[source].name, self.mixture.sources[source].frames.ids
        own = episode - self.expected.first_episode[source]
        return f"source {name!r}, episode {ids[own] if 0 <= own < len(ids) else '?'}, frame {frame}"


def _width(own: Feature, feature: Feature) -> int:
    """How many numbers of a feature are looked at: those that carry data in the source, or a camera's channels."""
    if feature.is_camera:
        return feature.shape[0]
    return own.valid_dim if feature.is_vector else int(np.prod(feature.shape))

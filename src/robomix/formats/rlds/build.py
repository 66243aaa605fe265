"""Fill the column cache from an RLDS dataset, in two passes over its records.

The first pass checks every record and counts its steps, the second copies them to their places: numbers as columns,
pictures as they are encoded. Memory holds one record at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from robomix.errors import FormatError
from robomix.features import Feature
from robomix.formats.columns import Builder
from robomix.formats.filling import complete
from robomix.formats.rlds.example import MalformedError, parse_example
from robomix.formats.rlds.features import Leaf, parse_leaves, task_leaf
from robomix.formats.rlds.shards import Shard
from robomix.formats.rlds.tfrecord import mapped, record_spans
from robomix.formats.rlds.values import Record
from robomix.video.pictures import picture_size


@dataclass(frozen=True)
class Episode:
    """Where an episode lies."""

    shard: Shard
    number: int
    """Of the record in its file."""
    begin: int
    end: int
    steps: int


def fill_cache(
    root: Path, info: Mapping[str, Any], declared: dict[str, Any], shards: Sequence[Shard], cache: Builder
) -> None:
    """Read a dataset into `cache`; `declared` is its features.json. Raises FormatError for what cannot be read."""
    leaves, warnings = parse_leaves(declared, root / "features.json")
    task = task_leaf(leaves)
    read = [leaf for leaf in leaves if leaf.per_step and leaf.kind != "text"]
    needed = [*read, *([task] if task else [])]
    found = [episode for shard in shards for episode in _episodes(root, shard, needed)]
    episodes = [episode for episode in found if episode.steps]
    warnings += [f"left out record {e.number} of {e.shard.name}: it has no steps" for e in found if not e.steps]
    if not episodes:
        raise FormatError(f"{root} has no episode with steps in its {len(shards)} shards, so there is nothing to read.")
    copy = _Copy(cache, read, task, sum(episode.steps for episode in episodes))
    for episode, record in _records(root, episodes):
        with _understood(record.where):
            copy.add(record, episode.steps)
    complete(
        cache,
        copy.arrays,
        format=f"RLDS {info.get('version', '')}".strip(),
        features=copy.features(leaves, warnings),
        lengths=[episode.steps for episode in episodes],
        tasks=list(copy.tasks) if task else [str(info.get("name") or root.name)],
        task_of_row=copy.task_of_row,
        subsets=_subsets(shards, episodes),
        warnings=warnings,
    )


class _Copy:
    """The arrays of the cache while episode after episode is copied into them."""

    def __init__(self, cache: Builder, leaves: Sequence[Leaf], task: Leaf | None, rows: int) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.tasks: dict[str, int] = {}
        self.task_of_row = np.zeros(rows, np.int64)
        self._cache, self._leaves, self._task, self._next = cache, leaves, task, 0
        self._sizes: dict[str, tuple[int, int]] = {}
        for leaf in leaves:
            if leaf.kind == "image":
                for name in (f"start {leaf.key}", f"size {leaf.key}"):
                    self.arrays[name] = cache.array(name, np.dtype(np.int64), (rows,))
            else:
                name = f"column {leaf.key}"
                self.arrays[name] = cache.array(name, leaf.dtype.newbyteorder("="), (rows, *(leaf.shape or ())))

    def add(self, record: Record, steps: int) -> None:
        rows = slice(self._next, self._next + steps)
        self._next += steps
        for leaf in self._leaves:
            if leaf.kind == "image":
                self._add_pictures(record, leaf, rows)
            else:
                self.arrays[f"column {leaf.key}"][rows] = record.array(leaf)
        if self._task is not None:
            texts = [_text(blob, record, self._task) for blob in record.blobs(self._task)]
            self.task_of_row[rows] = [self.tasks.setdefault(text, len(self.tasks)) for text in texts]

    def _add_pictures(self, record: Record, leaf: Leaf, rows: slice) -> None:
        pictures = record.blobs(leaf)
        if not all(pictures):
            raise FormatError(f"{record.where}: {leaf.path!r} has a step without a picture. Leave the episode out.")
        lengths = np.array([len(picture) for picture in pictures], np.int64)
        begin = self._cache.append(f"bytes {leaf.key}", b"".join(pictures))
        self.arrays[f"start {leaf.key}"][rows] = begin + np.cumsum(lengths) - lengths
        self.arrays[f"size {leaf.key}"][rows] = lengths
        if leaf.key not in self._sizes:
            where = f"{record.where}: the first picture of {leaf.path!r}"
            self._sizes[leaf.key] = picture_size(bytes(pictures[0]), where)

    def features(self, leaves: Sequence[Leaf], warnings: list[str]) -> dict[str, Feature]:
        """The dataset's features; pictures have the size of the first, which the declaration may miss."""
        features = {}
        for leaf in leaves:
            if not leaf.per_step:
                continue
            if leaf.kind == "text":
                features[leaf.key] = Feature("text", "str", ())
            elif leaf.kind == "numeric":
                features[leaf.key] = Feature("numeric", leaf.dtype.name, leaf.shape or ())
            else:
                height, width = self._sizes[leaf.key]
                if leaf.shape and leaf.shape[:2] != (height, width):
                    declared = f"{leaf.shape[1]} x {leaf.shape[0]}"
                    warnings.append(f"frames of {leaf.path!r} are {width} x {height}, not {declared} as declared")
                shape = (leaf.shape[2] if leaf.shape else 3, height, width)
                features[leaf.key] = Feature("camera", "uint8", shape, storage="image")
        return features


def _episodes(root: Path, shard: Shard, leaves: Sequence[Leaf]) -> Iterator[Episode]:
    """All records of a file, checked: framing, checksums, and that all quantities have one number of steps."""
    number = 0
    data = mapped(root / shard.name)
    for begin, end in record_spans(data, root / shard.name):
        where = _where(root, shard, number)
        with _understood(where):
            steps = _count_steps(Record(parse_example(data[begin:end]), where), leaves)
        yield Episode(shard, number, begin, end, steps)
        number += 1
    if shard.records not in (None, number):
        raise FormatError(
            f"{root / shard.name} has {number} records, but dataset_info.json says {shard.records}. "
            "The copy was cut short, or they belong to different versions; download both again."
        )


def _count_steps(record: Record, leaves: Sequence[Leaf]) -> int:
    counts = {leaf.path: record.steps(leaf) for leaf in leaves if leaf.per_step}
    if len(set(counts.values())) != 1:
        odd = ", ".join(f"{path} {count}" for path, count in list(counts.items())[:6])
        raise FormatError(f"{record.where} has different numbers of steps in its features: {odd}.")
    for leaf in leaves:
        if not leaf.per_step and record.steps(leaf) != 1:
            raise FormatError(f"{record.where}: {leaf.path!r} has {record.steps(leaf)} values, expected one.")
    return next(iter(counts.values()))


def _records(root: Path, episodes: Sequence[Episode]) -> Iterator[tuple[Episode, Record]]:
    by_shard: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_shard.setdefault(episode.shard.name, []).append(episode)
    progress = tqdm(by_shard.items(), desc=f"Reading {root.parent.name} once", unit="shard", delay=2, disable=None)
    for name, members in progress:
        data = mapped(root / name)
        for episode in members:
            where = _where(root, episode.shard, episode.number)
            with _understood(where):
                record = Record(parse_example(data[episode.begin : episode.end]), where)
            yield episode, record


def _where(root: Path, shard: Shard, number: int) -> str:
    return f"{root / shard.name}: record {number}"


@contextmanager
def _understood(where: str) -> Iterator[None]:
    try:
        yield
    except MalformedError as error:
        raise FormatError(f"{where} is no tf.train.Example as features.json declares it: {error}.") from error


def _text(blob: memoryview, record: Record, leaf: Leaf) -> str:
    try:
        return bytes(blob).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{record.where}: {leaf.path!r} is not UTF-8 text.") from error


def _subsets(shards: Sequence[Shard], episodes: Sequence[Episode]) -> dict[str, list[int]]:
    """Episode ids by split."""
    subsets: dict[str, list[int]] = {shard.split: [] for shard in shards}
    for index, episode in enumerate(episodes):
        subsets[episode.shard.split].append(index)
    return subsets

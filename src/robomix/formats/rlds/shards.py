"""Where the records of a TFDS dataset lie: the splits and shards that `dataset_info.json` names.

Layout: <name>/<version>/{dataset_info.json, features.json, <name>-<split>.tfrecord-00000-of-00032, ...}
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robomix.errors import FormatError

_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})$")
_MAX_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """One file of records."""

    split: str
    name: str
    """Relative to the dataset."""
    records: int | None
    """How many it should have, where that is known."""


def find_shards(root: Path, info: dict[str, Any]) -> list[Shard]:
    """The files of all splits in the order of `dataset_info.json`, all of them there. Raises FormatError otherwise."""
    where = root / "dataset_info.json"
    kind = info.get("fileFormat", "tfrecord")
    if kind != "tfrecord":
        raise FormatError(f"{where}: fileFormat is {kind!r}; robomix reads 'tfrecord'. Convert the dataset with TFDS.")
    splits = info.get("splits")
    named = isinstance(splits, list) and all(isinstance(s, dict) and isinstance(s.get("name"), str) for s in splits)
    if not splits or not isinstance(splits, list) or not named:
        raise FormatError(f"{where} names no splits, expected a list 'splits' of objects with a 'name'. Restore it.")
    names = {file.name for file in root.iterdir() if file.is_file()}
    shards = [shard for split in splits for shard in _split_shards(root, names, str(info.get("name")), split)]
    missing = [shard.name for shard in shards if shard.name not in names]
    if missing:
        raise FormatError(
            f"{root} lacks {len(missing)} of {len(shards)} shards, such as {missing[0]}. Download them, or remove "
            "their split or their shardLengths from dataset_info.json."
        )
    return shards


def _split_shards(root: Path, names: set[str], dataset: str, split: dict[str, Any]) -> list[Shard]:
    lengths = split.get("shardLengths")
    if lengths is None:
        return _listed(root, names, dataset, split["name"])
    if not isinstance(lengths, list) or not all(re.fullmatch(r"\d{1,15}", str(n)) for n in lengths):
        raise FormatError(f"{root / 'dataset_info.json'}: shardLengths of {split['name']!r} are no list of numbers.")
    template = split.get("filepathTemplate") or _TEMPLATE
    files = [_fill(str(template), dataset, split["name"], number, len(lengths)) for number in range(len(lengths))]
    for file in files[:1]:
        if Path(file).name != file or "{" in file:
            raise FormatError(
                f"{root / 'dataset_info.json'}: filepathTemplate {template!r} of {split['name']!r} gives {file!r}, "
                "expected the name of a file in the dataset's folder."
            )
    return [Shard(split["name"], file, int(n)) for file, n in zip(files, lengths, strict=True)]


def _listed(root: Path, names: set[str], dataset: str, split: str) -> list[Shard]:
    """The shards of a split that has no shardLengths, by the numbers in the files' names."""
    prefix = f"{dataset}-{split}.tfrecord"
    found = [match for name in names if name.startswith(prefix) and (match := _SHARD.search(name[len(prefix) - 1 :]))]
    total = max((int(match[2]) for match in found), default=0)
    if not 0 < total <= _MAX_SHARDS:
        raise FormatError(
            f"{root} has no files {prefix}-00000-of-..., but dataset_info.json names the split {split!r}."
        )
    return [Shard(split, _fill(_TEMPLATE, dataset, split, number, total), None) for number in range(total)]


def _fill(template: str, dataset: str, split: str, number: int, total: int) -> str:
    values = {
        "DATASET": dataset,
        "SPLIT": split,
        "FILEFORMAT": "tfrecord",
        "SHARD_INDEX": f"{number:05d}",
        "NUM_SHARDS": f"{total:05d}",
        "SHARD_X_OF_Y": f"{number:05d}-of-{total:05d}",
    }
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)

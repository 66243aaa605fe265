"""Small, deterministic RLDS datasets as TFDS writes them, with plain struct and json: no TensorFlow, no robomix.

`write_rlds` returns a `Written`: what a correct reader must give back.
"""

import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from PIL import Image

from tests.pictures import pictures
from tests.zarr_files import Written

PREFIX = "tensorflow_datasets.core.features."
Values = np.ndarray | list[bytes]


def varint(value: int) -> bytes:
    """7 bits a byte, lowest first; negative numbers as 64 bits."""
    value %= 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(values: Mapping[str, Values], *, packed: bool = True) -> bytes:
    """A tf.train.Example; arrays become lists of floats or of integers."""
    entries = [field(1, name.encode()) + field(2, _feature(value, packed)) for name, value in values.items()]
    return field(1, b"".join(field(1, entry) for entry in entries))


def _feature(value: Values, packed: bool) -> bytes:
    if isinstance(value, list):
        return field(1, b"".join(field(1, blob) for blob in value))
    if value.dtype.kind == "f":
        floats = value.astype("<f4").reshape(-1)
        body = field(1, floats.tobytes()) if packed else b"".join(b"\x0d" + x.tobytes() for x in floats)
        return field(2, body)
    numbers = [varint(int(x)) for x in value.reshape(-1)]
    return field(3, field(1, b"".join(numbers)) if packed else b"".join(b"\x08" + x for x in numbers))


def framed(record: bytes) -> bytes:
    """A record with its length and checksums, as TFRecord files hold it."""
    head = struct.pack("<Q", len(record))
    return head + _checksum(head) + record + _checksum(record)


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def png(frame: np.ndarray) -> bytes:
    """A frame (3, H, W) uint8, encoded without loss."""
    out = io.BytesIO()
    Image.fromarray(frame.transpose(1, 2, 0)).save(out, "PNG")
    return out.getvalue()


def tensor(dtype: str, *shape: int, encoding: str = "none") -> dict[str, Any]:
    """The declaration of an array."""
    sizes = {"dimensions": [str(size) for size in shape]} if shape else {}
    content = {"shape": sizes, "dtype": dtype, "encoding": encoding}
    return {"pythonClassName": PREFIX + "tensor_feature.Tensor", "tensor": content}


def image(*shape: int) -> dict[str, Any]:
    """The declaration of a picture."""
    content = {"shape": {"dimensions": [str(size) for size in shape]}, "dtype": "uint8", "encodingFormat": "png"}
    return {"pythonClassName": PREFIX + "image_feature.Image", "image": content}


TEXT = {"pythonClassName": PREFIX + "text_feature.Text", "text": {}}


def group(**features: Any) -> dict[str, Any]:
    """The declaration of a dictionary of features."""
    return {"pythonClassName": PREFIX + "features_dict.FeaturesDict", "featuresDict": {"features": features}}


def declaration(steps: Mapping[str, Any], **episode: Any) -> dict[str, Any]:
    """features.json: what a step holds, and what an episode holds beside its steps."""
    sequence = {"feature": group(**steps), "length": "-1"}
    return group(steps={"pythonClassName": PREFIX + "dataset_feature.Dataset", "sequence": sequence}, **episode)


def write_shards(
    root: Path, declared: Mapping[str, Any], splits: Mapping[str, Sequence[Sequence[bytes]]], name: str = "toy"
) -> None:
    """The folder of a version: `splits` maps a name to its shards, each a list of records."""
    root.mkdir(parents=True)
    info: dict[str, Any] = {"name": name, "version": root.name, "fileFormat": "tfrecord", "splits": []}
    for split, shards in splits.items():
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        lengths = [str(len(records)) for records in shards]
        info["splits"].append({"name": split, "filepathTemplate": template, "shardLengths": lengths})
        for i, records in enumerate(shards):
            file = root / f"{name}-{split}.tfrecord-{i:05d}-of-{len(shards):05d}"
            file.write_bytes(b"".join(map(framed, records)))
    (root / "features.json").write_text(json.dumps(declared))
    (root / "dataset_info.json").write_text(json.dumps(info))


def episode_records(
    columns: Mapping[str, np.ndarray], frames: Mapping[str, np.ndarray], texts: Sequence[str], lengths: Sequence[int]
) -> list[bytes]:
    """One record per episode of steps with these values, by their names in the records without `steps/`."""
    records, start = [], 0
    for length in lengths:
        rows = slice(start, start + length)
        values: dict[str, Values] = {f"steps/{name}": array[rows] for name, array in columns.items()}
        values |= {f"steps/{name}": [png(frame) for frame in stack[rows]] for name, stack in frames.items()}
        values["steps/language_instruction"] = [text.encode() for text in texts[rows]]
        records.append(example(values))
        start += length
    return records


def write_rlds(path: Path, *, lengths: Sequence[int] = (5, 7, 4), size: tuple[int, int] = (16, 24)) -> Written:
    """Two splits, the first in two shards, with an action of two parts and tensors of every encoding."""
    n, rng = sum(lengths), np.random.default_rng(0)
    frames = pictures(range(n), 0, *size)
    grid = rng.integers(-5, 5, (n, 2, 3)).astype(np.int16)
    columns = {
        "action/arm": rng.normal(size=(n, 3)).astype(np.float32),
        "action/gripper": rng.random(n).astype(np.float32),
        "observation/state": rng.normal(size=(n, 4)).astype(np.float32).astype(np.float64),
        "observation/count": rng.integers(-(2**40), 2**40, n),
        "is_last": np.arange(n) % 4 == 0,
        "is_first": np.arange(n) % 4 == 1,
        "reward": rng.random(n).astype(np.float32),
    }
    texts = [f"pick {i // 3}" for i in range(n)]
    steps = {
        "action": group(arm=tensor("float32", 3), gripper=tensor("float32")),
        "observation": group(
            state=tensor("float64", 4), count=tensor("int64"), top=image(*size, 3),
            grid=tensor("int16", 2, 3, encoding="zlib"),
        ),
        **{name: tensor("bool") for name in ("is_last", "is_first")},
        "reward": tensor("float32"),
        "language_instruction": TEXT,
    }  # fmt: skip
    records, start = [], 0
    for record, length in zip(
        episode_records(columns, {"observation/top": frames}, texts, lengths), lengths, strict=True
    ):
        packed = [zlib.compress(array.astype("<i2").tobytes()) for array in grid[start : start + length]]
        # A message may be the concatenation of two: their maps are merged.
        records.append(record + example({"steps/observation/grid": packed}))
        start += length
    write_shards(path, declaration(steps), {"train": [records[:1], records[1:2]], "val": [records[2:]]})
    keys = {"is_last": "next.done", "reward": "next.reward"}
    named = {keys.get(k, k.replace("/", ".")): v for k, v in columns.items() if k != "is_first"}
    named |= {"observation.grid": grid}
    return Written(path, tuple(lengths), named, {"observation.images.top": frames}, tuple(texts))

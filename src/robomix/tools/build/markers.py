"""Which files of a dataset are finished already: each leaves a marker, so that a build that was stopped can go on.

A marker is a JSON file that says the name, size and checksum (CRC-32C) of the file, and what the file has come to,
which the metadata needs. It is written when the file is complete, and believed only while the file is what it says.
"""

import base64
import hashlib
import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from robomix.formats.lerobot.write_stats import PixelCounts
from robomix.tools.build.engines.base import Writer
from robomix.tools.build.shards import WrittenFrames, WrittenRows

_KINDS = {kind.__name__: kind for kind in (WrittenRows, WrittenFrames)}
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Marked:
    """Writes the files that are not finished, and marks each that is."""

    writer: Writer
    root: Path
    done: Path
    """The folder of the markers."""

    def write(self, file: Any) -> Any:
        """What `file` comes to, or has come to before: it has a `name` below `root`."""
        path, marker = self.root / file.name, marker_of(self.done, file.name)
        found = _read(marker)
        if found is not None and found["file"] == [file.name, *_seal(path)]:
            return _decoded(found["result"])
        marker.unlink(missing_ok=True)
        result = self.writer.write(file)
        text = json.dumps({"file": [file.name, *_seal(path)], "result": _encoded(result)})
        unfinished = marker.with_name(f"{marker.name}.{os.getpid()}.partial")
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, marker)
        return result


def marker_of(done: Path, name: str) -> Path:
    """The marker of the file `name`."""
    return done / f"{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}.json"


def clear_unfinished(root: Path, done: Path, names: Iterable[str]) -> None:
    """Removes from `root` all but those of the files `names` that have a marker: what a stopped process left there."""
    clear_but(root, {root / name for name in names if marker_of(done, name).is_file()})


def clear_but(root: Path, kept: Collection[Path]) -> None:
    """Removes from `root` all files but `kept`, and the folders that are empty then."""
    for path in sorted(root.rglob("*"), reverse=True):  # what lies in a folder comes before the folder
        if path in kept:
            continue
        if not path.is_dir() or path.is_symlink():
            path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def _seal(path: Path) -> tuple[int, ...]:
    """Size and checksum of a file; empty where there is none."""
    checksum, size = google_crc32c.Checksum(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                checksum.update(block)
                size += len(block)
    except FileNotFoundError:
        return ()
    return size, int.from_bytes(checksum.digest(), "big")


def _read(marker: Path) -> dict[str, Any] | None:
    """A marker that is whole; a crash of the machine may have left half of one."""
    try:
        made = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return made if isinstance(made, dict) and {"file", "result"} <= set(made) else None


def _encoded(value: Any) -> Any:
    """As JSON holds it; arrays to the last bit."""
    if isinstance(value, PixelCounts):
        return {"pixels": _encoded(value.counts), "frames": value.frames}
    if is_dataclass(value):
        own = {field.name: _encoded(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, "fields": own}
    if isinstance(value, dict):
        return {"map": {key: _encoded(entry) for key, entry in value.items()}}
    if isinstance(value, (tuple, list)):
        return [_encoded(entry) for entry in value]
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": list(value.shape)}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_decoded, value))
    if not isinstance(value, dict):
        return value
    if "kind" in value:
        return _KINDS[value["kind"]](**{name: _decoded(entry) for name, entry in value["fields"].items()})
    if "pixels" in value:
        counts = PixelCounts()
        counts.counts, counts.frames = _decoded(value["pixels"]), value["frames"]
        return counts
    if "map" in value:
        return {key: _decoded(entry) for key, entry in value["map"].items()}
    return np.frombuffer(base64.b64decode(value["array"]), value["dtype"]).reshape(value["shape"]).copy()

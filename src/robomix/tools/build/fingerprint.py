"""Whether two builds are the same: what is written, how, and out of which files."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from robomix.errors import FormatError
from robomix.tools.build.content import Content

Stamps = Mapping[str, tuple[int, int]]
"""By path: (bytes, modification time in ns)."""
_BUILT_WITH = ("robomix", "av", "numpy", "pyarrow")
"""Packages whose version the bytes of the result depend on."""


def stamps(content: Content) -> Stamps:
    """Of all files of the datasets that `content` comes from; folders with hidden names are left out."""
    return stamps_below(dict.fromkeys(Path(episode.origin.dataset) for episode in content.episodes))


def stamps_below(roots: Iterable[Path]) -> Stamps:
    """Of all files of the datasets at `roots`, each a file or a folder."""
    made: dict[str, tuple[int, int]] = {}
    for root in roots:
        paths = [root] if root.is_file() else _files(root)
        for path in paths:
            try:
                stat = path.stat()
            except OSError:
                continue  # a link that leads nowhere, or a file that has just gone
            made[str(path)] = stat.st_size, stat.st_mtime_ns
    return made


def expect_unchanged(content: Content, before: Stamps) -> None:
    """Raises FormatError where files of the sources are not as they were."""
    expect_same(before, stamps(content))


def expect_same(before: Stamps, after: Stamps) -> None:
    """Raises FormatError where files that were read have changed between the two."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if changed:
        more = f" and {len(changed) - 1} more files" if len(changed) > 1 else ""
        raise FormatError(
            f"{changed[0]}{more} changed while being read, so nothing was published. Wait until the recording or copy "
            "is complete, and run it again."
        )


def fingerprint(*parts: Any) -> str:
    """16 hex digits of everything in `parts`, by value, and of the versions of what writes it.

    The files below meta/ that are to be copied count by what they hold, wherever they lie.
    """
    digest, seen = hashlib.blake2b(digest_size=8), dict[int, tuple[Any, bytes]]()
    for part in (*parts, [version(name) for name in _BUILT_WITH]):
        digest.update(_digest(part, seen))
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    made = []
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        made += [Path(folder, name) for name in sorted(files)]
    return made


def _digest(value: Any, seen: dict[int, tuple[Any, bytes]]) -> bytes:
    """Of a value, not of which objects it shares with others; `seen` holds those that were looked at already."""
    if id(value) not in seen:
        digest = hashlib.blake2b(type(value).__name__.encode(), digest_size=16)
        for part in _parts(value):
            digest.update(part if isinstance(part, bytes) else _digest(part[0], seen))
        seen[id(value)] = value, digest.digest()
    return seen[id(value)][1]


def _parts(value: Any) -> list[bytes | tuple[Any]]:
    """What a value consists of: bytes, or (further value,)."""
    if isinstance(value, Content):
        copied = {name: path.read_bytes() for name, path in value.meta_files.items()}
        return [(copied,), *_fields(replace(value, meta_files={}))]
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return [(entry,) for pair in value.items() for entry in pair]
    if isinstance(value, (tuple, list)):
        return [(entry,) for entry in value]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [f"{value.dtype.str}{value.shape}".encode(), np.ascontiguousarray(value).tobytes()]
    if isinstance(value, (str, int, float, complex, type(None), Path)):
        return [repr(value).encode()]
    return [pickle.dumps(value)]


def _fields(value: Any) -> list[bytes | tuple[Any]]:
    return [(getattr(value, field.name),) for field in fields(value)]

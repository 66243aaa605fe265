"""A zarr store, version 2 or 3, in a folder or in a zip file: which arrays it has, and their rows block by block."""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robomix.errors import FormatError, RobomixError
from robomix.files import Listing, damage, scan
from robomix.formats.zarr_spec import DOCUMENTS, MAX_BLOCK, ArraySpec, parse_spec

GROUPS = ("data", "meta")
"""The groups of a replay buffer; only the arrays right below them are looked at."""
_BLOCK = 1 << 25
"""Bytes of an array read at a time, where its chunks are smaller."""
_MAX_DOCUMENT = 1 << 22


@dataclass(frozen=True)
class ZarrStore:
    """A store as it was found."""

    root: Path
    """A folder, or a zip file."""
    listing: Listing
    """What the cache is looked up by: the files of the folder, or the zip file."""
    documents: Mapping[str, tuple[str, bytes]]
    """For each array below `GROUPS` its path in the store, to the name and content of what describes it."""
    stored: Mapping[str, tuple[int, int]]
    """For each array: number of files that hold its chunks, and their bytes."""

    def key(self, reader: str) -> str:
        """Hex digest of files and metadata, for the cache."""
        return self.listing.key(reader, *(f"{name} {text!r}" for name, (_, text) in self.documents.items()))

    def names(self, group: str) -> list[str]:
        """Paths of the arrays of a group, sorted."""
        return [name for name in sorted(self.documents) if name.startswith(group + "/")]


def read_store(root: Path) -> ZarrStore:
    """Look at a store. Raises FormatError where it cannot be listed or its metadata not be read."""
    return _read_zip(root) if root.is_file() else _read_folder(root)


def _read_folder(root: Path) -> ZarrStore:
    listing = scan(root, GROUPS)
    documents = {}
    for group in GROUPS:
        children = sorted((root / group).iterdir()) if (root / group).is_dir() else []
        for child in children:
            for document in DOCUMENTS:
                if (child / document).is_file():
                    documents[f"{group}/{child.name}"] = (document, _document(child / document))
    return ZarrStore(root, listing, documents, _stored({name: size for name, (size, _) in listing.files.items()}))


def _document(file: Path) -> bytes:
    if problem := damage(file):
        raise FormatError(f"{file} {problem}.")
    with open(file, "rb") as stream:
        return stream.read(_MAX_DOCUMENT)


def _read_zip(root: Path) -> ZarrStore:
    stat = root.stat()
    listing = Listing(root, {root.name: (stat.st_size, stat.st_mtime_ns)})
    documents = {}
    with told(f"{root}"), zipfile.ZipFile(root) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
        for name, size in sizes.items():
            folder, _, document = name.rpartition("/")
            if size > MAX_BLOCK:
                raise FormatError(f"{root}: {name!r} has {size:,} bytes; robomix reads chunks up to {MAX_BLOCK:,}.")
            if document in DOCUMENTS and folder.count("/") == 1 and folder.split("/")[0] in GROUPS:
                documents[folder] = (document, archive.read(name)[:_MAX_DOCUMENT])
    return ZarrStore(root, listing, documents, _stored(sizes))


def _stored(sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    stored: dict[str, tuple[int, int]] = {}
    for name, size in sizes.items():
        parts = name.split("/")
        if len(parts) > 2 and not parts[-1].startswith(".z") and parts[-1] != "zarr.json":
            count, total = stored.get("/".join(parts[:2]), (0, 0))
            stored["/".join(parts[:2])] = count + 1, total + size
    return stored


def array_spec(store: ZarrStore, name: str) -> ArraySpec:
    """What the array `name` declares. Raises FormatError for what is no readable array of numbers."""
    document, text = store.documents[name]
    where = f"{store.root}: {name}/{document}"
    return parse_spec(name, DOCUMENTS[document], text, store.stored.get(name, (0, 0)), where)


def blocks(store: ZarrStore, spec: ArraySpec) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of an array from the first to the last, with the number of the first in each block.

    Blocks are whole chunks, so that each is decompressed once, unless they are too large for that.
    """
    # Importing zarr takes long, and a dataset that is in the cache does not need it.
    import zarr
    from zarr.storage import LocalStore, ZipStore

    where = f"{store.root}: the array {spec.name!r}"
    row_size = max(1, math.prod(spec.shape[1:]) * spec.dtype.itemsize)
    rows = spec.chunk_rows * max(1, _BLOCK // (spec.chunk_rows * row_size))
    rows = min(rows, max(1, MAX_BLOCK // row_size))
    with ExitStack() as stack:
        with told(where):
            place = ZipStore(store.root, mode="r") if store.root.is_file() else LocalStore(store.root, read_only=True)
            stack.callback(place.close)
            array = zarr.open_array(place, path=spec.name, mode="r", zarr_format=spec.version)
            if array.shape != spec.shape:
                raise FormatError(f"{where} changed while it was read. Try again.")
        for start in range(0, spec.shape[0], rows):
            end = min(start + rows, spec.shape[0])
            with told(f"{where}, rows {start} to {end - 1},"):
                values = np.asarray(array[start:end]).astype(spec.dtype, copy=False)
            yield start, values


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what zarr, its codecs and zipfile raise on damaged input, which is of any kind, into a FormatError."""
    try:
        yield
    except (RobomixError, MemoryError):
        raise
    except Exception as error:
        raise FormatError(
            f"{where} cannot be read: {type(error).__name__}: {str(error)[:300]}. Copy or download it again."
        ) from error

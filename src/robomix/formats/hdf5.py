"""Looking into HDF5 files that one does not trust.

Names are followed link by link, so that nothing outside the file is ever opened: external links, soft links that lead
through one, external storage and virtual datasets are refused. An array is checked before anything is allocated for
it: plain numbers only, all of its storage there, chunks of a size one can hold in memory.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from robomix.errors import FormatError
from robomix.files import damage

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_HOPS = 16
"""Soft links that are followed to find one thing; they may form a loop."""
_MAX_CHUNK = 1 << 29
"""Bytes of a chunk that must be held in memory to read any of it."""
_FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, MemoryError)
"""What h5py raises for a damaged file: it has no exceptions of its own."""


def open_file(path: Path) -> h5py.File:
    """The HDF5 file at `path`, opened for reading. Raises FormatError for what is none, or is being written."""
    if problem := damage(path):
        raise FormatError(f"{path} {problem}.")
    with open(path, "rb") as file:
        head = file.read(len(SIGNATURE))
    try:
        return _opened(path)
    except BlockingIOError as error:
        raise FormatError(f"{path} is open for writing elsewhere. Wait until it is closed there.") from error
    except _FAULTS as error:
        if head != SIGNATURE:
            raise FormatError(
                f"{path} is not an HDF5 file: it starts with {head!r}. Export or copy it again."
            ) from error
        said = str(error)
        if "truncated file" in said or "eof" in said.lower():
            raise FormatError(f"{path} has been cut off: {_reason(error)}. Copy or download it again.") from error
        raise _broken(path, "", error) from error


class Faults:
    """A context in which what h5py raises becomes a FormatError that names the file and the object."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, _FAULTS):
            raise _broken(self._path, self._name, error) from error


def child(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """The member `name` of `group`, or None. Raises FormatError where a link leads out of the file or nowhere."""
    with Faults(path, f"{group.name}/{name}"):
        return _follow(group, name, path, [_MAX_HOPS])


def members(group: h5py.Group, path: Path) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """The groups and arrays in `group` by name, sorted; links as in `child`."""
    with Faults(path, str(group.name)):
        names = sorted(group.keys())
    for name in names:
        found = child(group, name, path)
        if isinstance(found, h5py.Group | h5py.Dataset):
            yield name, found


def group_of(parent: h5py.Group, name: str, path: Path) -> h5py.Group | None:
    """The group `name` in `parent`; None where there is none."""
    found = child(parent, name, path)
    return found if isinstance(found, h5py.Group) else None


def checked_array(array: h5py.Group | h5py.Dataset, path: Path) -> h5py.Dataset:
    """`array`, known to be numbers that lie wholly in the file, and can be read without more memory than they have."""
    where = f"{path}: {array.name}"
    if not isinstance(array, h5py.Dataset):
        raise FormatError(f"{where} is a group, expected an array of numbers.")
    with Faults(path, str(array.name)):
        kind, shape = array.dtype, array.shape
        if kind.hasobject or kind.kind not in "biuf" or kind.itemsize > 8:
            what = "text or objects of varying length" if kind.hasobject else f"values of type {kind}"
            raise FormatError(f"{where} holds {what}, expected plain numbers. Remove it, or write it as numbers.")
        if not shape:
            raise FormatError(f"{where} is a single value, expected an array with a row for each frame.")
    return checked_storage(array, path)


def checked_storage(array: h5py.Dataset, path: Path) -> h5py.Dataset:
    """`array`, whose values are known to lie wholly in the file."""
    where = f"{path}: {array.name}"
    with Faults(path, str(array.name)):
        if array.is_virtual or array.external:
            raise FormatError(f"{where} keeps its values in other files, which robomix does not open. Copy them in.")
        _check_filters(array, where)
        _check_storage(array, path, where)
    return array


def find(file: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """What the names of `name`, parted by `/`, lead to from `file`, or None; links as in `child`."""
    place: Any = file
    for part in name.split("/"):
        place = child(place, part, path) if isinstance(place, h5py.Group) else None
    return place


def storage_size(array: h5py.Dataset) -> int:
    """Bytes the array takes in its file."""
    return int(array.id.get_storage_size())


def _opened(path: Path) -> h5py.File:
    """With locks where the file system has them; in the way in which this process has it open already, if it has."""
    for locking in ("best-effort", None, True):
        try:
            return h5py.File(path, "r", locking=locking)
        except OSError as error:
            if isinstance(error, BlockingIOError) or "lock" not in str(error):
                raise
    return h5py.File(path, "r", locking=False)


def _follow(group: h5py.Group, name: str, path: Path, hops: list[int]) -> Any:
    link = group.get(name, getlink=True)
    if link is None:
        return None
    where = f"{path}: {group.name}/{name}".replace("//", "/")
    if isinstance(link, h5py.HardLink):
        return group[name]
    if not isinstance(link, h5py.SoftLink):
        file = f" {link.filename!r}" if isinstance(link, h5py.ExternalLink) else ""
        raise FormatError(f"{where} is a link to another file{file}, which robomix does not open. Copy its content in.")
    hops[0] -= 1
    if hops[0] < 0:
        raise FormatError(f"{where} is a link that leads in a circle. Remove it.")
    place: Any = group.file if link.path.startswith("/") else group
    for part in link.path.split("/"):
        if part in ("", "."):
            continue
        place = _follow(place, part, path, hops) if isinstance(place, h5py.Group) else None
        if place is None:
            raise FormatError(
                f"{where} is a link to {link.path!r}, which is not in the file. Remove it, or restore that."
            )
    return place


def _check_filters(array: h5py.Dataset, where: str) -> None:
    settings = array.id.get_create_plist()
    for place in range(settings.get_nfilters()):
        number, _, _, name = settings.get_filter(place)
        if not h5py.h5z.filter_avail(number):
            known = name.decode(errors="replace") or "without a name"
            raise FormatError(
                f"{where} is compressed by the HDF5 filter {number} ({known}), which is not installed. "
                "Repack the file: `h5repack -f GZIP=4 IN OUT` where the filter is, or install its plug-in."
            )


def _check_storage(array: h5py.Dataset, path: Path, where: str) -> None:
    """Everything declared must be in the file: a few bytes can declare any shape."""
    size = math.prod(array.shape) * array.dtype.itemsize
    if not size:
        return
    if array.chunks is None:
        if not size <= storage_size(array) <= path.stat().st_size:
            raise FormatError(
                f"{where} declares {array.shape} of {array.dtype}, {size:,} bytes, but the file has "
                f"{min(storage_size(array), path.stat().st_size):,} for it. It was not written to its end."
            )
        return
    chunk = math.prod(array.chunks) * array.dtype.itemsize
    if chunk > _MAX_CHUNK:
        frame = "x".join(["1", *map(str, array.shape[1:])])
        raise FormatError(
            f"{where} is stored in chunks of {chunk:,} bytes, of which a whole one must be held in memory. "
            f"Repack the file with smaller ones: `h5repack -l CHUNK={frame} IN OUT`."
        )
    expected = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
    present = array.id.get_num_chunks() if expected <= path.stat().st_size else 0
    if present != expected:
        raise FormatError(
            f"{where} declares {array.shape} of {array.dtype} in {expected:,} chunks, of which the file has "
            f"{present:,}. It was not written to its end."
        )


def _broken(path: Path, name: str, error: BaseException) -> FormatError:
    place = f", {name}," if name else ""
    return FormatError(f"{path}{place} cannot be read: {_reason(error)}. The file is damaged; copy or export it again.")


def _reason(error: BaseException) -> str:
    text = str(error).strip().strip("'\"")
    return (text.splitlines()[0] if text else type(error).__name__).rstrip(".")

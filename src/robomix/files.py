"""Files: what lies in a folder of an untrusted dataset, what is wrong with one that will not open, durable writes."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError, FormatError

_LFS_HEAD = b"version https://git-lfs.github.com/spec/"
STAND_IN_HEAD = b"robomix stand-in for a file far away\n"
"""How a file begins that has the size of a video in object storage, but not its bytes (`remote.stand_in`)."""
_MAX_DEPTH = 6
"""Folders below a scanned one; the layouts need three, and symbolic links may form a loop."""
LONGEST_NAME = 255
"""Bytes that the name of a file or folder may have on usual disks."""


@dataclass(frozen=True)
class Listing:
    """The regular files below some folders of a dataset, hidden ones left out."""

    root: Path
    files: dict[str, tuple[int, int]]
    """Path relative to `root`, with `/`, in sorted order: (size in bytes, modification time in ns)."""

    def key(self, *salts: str) -> str:
        """Hex digest of where the dataset lies, its files' names, sizes and times, and `salts`."""
        digest = hashlib.blake2b(digest_size=16)
        for text in (str(self.root), *salts):
            digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
        for name, (size, mtime) in self.files.items():
            digest.update(f"{name}\0{size}\0{mtime}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def below(self, folder: str, suffix: str) -> list[str]:
        """Files under `folder` whose name ends with `suffix`, sorted."""
        return [name for name in self.files if name.startswith(folder + "/") and name.endswith(suffix)]


def scan(root: Path, folders: Iterable[str]) -> Listing:
    """List the files under `folders` of `root`. Links are followed; links that lead nowhere are left out."""
    found: dict[str, tuple[int, int]] = {}
    for folder in dict.fromkeys(folders):
        if (root / folder).is_dir():
            found |= _walk(root / folder, folder, _MAX_DEPTH)
    return Listing(root, dict(sorted(found.items())))


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise FormatError(f"Cannot list the folder {folder}: {error.strerror}. Check its permissions.") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name = f"{prefix}/{entry.name}"
        if depth and entry.is_dir():
            yield from _walk(Path(entry.path), name, depth - 1)
        elif entry.is_file():
            try:
                stat = entry.stat()
            except FileNotFoundError:
                continue  # gone since the folder was listed
            yield name, (stat.st_size, stat.st_mtime_ns)


def damage(path: Path) -> str | None:
    """What is visibly wrong with a file before any parser sees it, with the remedy; None if nothing is."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        return "does not exist. Copy or download the dataset again"
    except OSError as error:
        return f"cannot be read: {error.strerror}. Check its permissions"
    if not head:
        return "is empty (0 bytes). Copy or download it again"
    if head.startswith(_LFS_HEAD):
        return f"is a Git LFS pointer{_lfs_size(head)}, not the file itself. Run `git lfs pull` in its repository"
    if head.startswith(STAND_IN_HEAD):
        return "is a stand-in for a video far away, not the video itself. Copy the dataset to this machine for this"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not data; the download went wrong. Download it again"
    return None


def leads_out(path: Path, root: Path) -> bool:
    """Whether `path` is a link that leads out of the dataset `root`, but not into the `blobs` of the Hub's cache."""
    if not path.is_symlink():
        return False
    target, root = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    return not target.is_relative_to(root) and not target.is_relative_to(blobs)


def expanded(path: str | Path) -> Path:
    """`path` with the home folder in the place of ~ or ~NAME. Raises ConfigError where NAME is no user's."""
    made = os.path.expanduser(path)
    if made.startswith("~"):
        user = made.split(os.sep)[0]
        raise ConfigError(f"{path}: {user} is no user's home folder here. Write ./{user} for a folder of that name.")
    return Path(made)


def nearest_above(path: Path) -> Path:
    """The first of the folders above an absolute `path` that is there; of a disk's root, the root."""
    return next((parent for parent in path.parents if os.path.exists(parent)), path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises FormatError where there is none."""
    value = _parse(_read_text(path), str(path))
    if not isinstance(value, dict):
        raise FormatError(f"{path} holds {type(value).__name__}, expected a JSON object {{...}}.")
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, blank lines skipped. Raises FormatError naming the line."""
    objects = []
    # Not splitlines(): it parts at characters, such as U+2028, that may stand in a text.
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        value = _parse(line, f"{path}, line {number},")
        if not isinstance(value, dict):
            raise FormatError(f"{path}, line {number}, holds {type(value).__name__}, expected a JSON object {{...}}.")
        objects.append(value)
    return objects


def _read_text(path: Path) -> str:
    if problem := damage(path):
        raise FormatError(f"{path} {problem}.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text (byte {error.start} is not UTF-8), expected JSON.") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise FormatError(f"{where} is not valid JSON: {error}. Restore it from the source of the dataset.") from error
    except RecursionError as error:
        raise FormatError(f"{where} is nested too deeply to be read as JSON.") from error


def _lfs_size(pointer: bytes) -> str:
    for line in pointer.splitlines():
        if line.startswith(b"size ") and line[5:].isdigit():
            return f" to a file of {int(line[5:]):,} bytes"
    return ""


def sync(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_below(folder: Path) -> None:
    """`sync` for everything in `folder`, and last for the folder itself."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)

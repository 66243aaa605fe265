"""Which commit of a repository a downloaded folder holds, by what huggingface_hub notes beside the files.

A snapshot of its cache is a folder named after the commit, below `snapshots`; a download into a folder of one's own
has a note for each file in `.cache/huggingface/download`, whose first line is the commit.
"""

import os
import re
from itertools import islice
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOTES = Path(".cache") / "huggingface" / "download"
_TRIED = 20
"""Notes that are looked at in search of a commit; the first has one."""


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit hash, which is of one content for ever."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def is_download(folder: Path) -> bool:
    """Whether files of a repository were downloaded into `folder`; perhaps not all of them."""
    return (folder / _NOTES).is_dir()


def recorded_revision(folder: Path) -> str | None:
    """The commit, 40 hex digits, that a downloaded `folder` holds; None for a folder that is no download."""
    folder = Path(os.path.abspath(folder))
    if folder.parent.name == "snapshots" and is_commit(folder.name):
        return folder.name
    for note in islice((folder / _NOTES).rglob("*.metadata"), _TRIED):
        try:
            first = note.read_text().partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError):
            continue
        if is_commit(first):
            return first
    return None

"""Stand-ins: files of this machine with the size of a video far away, which say where its bytes are.

So the listing of a mirrored dataset, and its fingerprint, are those of a copy. A stand-in is sparse: beyond its head it
takes no room. Whoever reads it as the video is told so by `files.damage`; `opening` gives the bytes.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

from robomix.files import STAND_IN_HEAD
from robomix.remote.places import url_of
from robomix.remote.stores import FarFile

_MAX_HEAD = 1 << 14


def fits(file: FarFile) -> bool:
    """Whether the file is large enough for a stand-in's head."""
    return len(_head(file)) <= file.size


def write_stand_in(path: Path, file: FarFile) -> None:
    """Make `path` the stand-in of `file`, in one step."""
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    with open(aside, "wb") as opened:
        opened.write(_head(file))
        opened.truncate(file.size)
    os.replace(aside, path)


def far_file(path: Path) -> FarFile | None:
    """What `path` stands in for; None for any other file, and where there is none.

    A file that some dataset brings along can say anything: only that of a mirror counts, and only as its own URL.
    """
    try:
        with open(path, "rb") as opened:
            if opened.read(len(STAND_IN_HEAD)) != STAND_IN_HEAD:
                return None
            far = FarFile(**json.loads(opened.readline(_MAX_HEAD)))
    except (OSError, ValueError, TypeError):
        return None  # whoever opens the file says what is wrong with it
    return far if far.url == url_of(path) else None


def _head(file: FarFile) -> bytes:
    return STAND_IN_HEAD + json.dumps(asdict(file)).encode() + b"\n"

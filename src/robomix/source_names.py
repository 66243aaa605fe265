"""What the sources of a mixture are called, as their entries alone tell it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def source_names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each source's `name`, else its repo_id, else its folder's name; the second listing of `me/x` is `me/x#2`."""
    taken = {entry.get("name") for entry in entries}
    names = []
    for entry in entries:
        name = entry.get("name")
        if name is None:
            plain = entry.get("repo_id") or _folder(str(entry["root"]))
            name, count = plain, 1
            while name in taken:
                count += 1
                name = f"{plain}#{count}"
            taken.add(name)
        names.append(name)
    return names


def _folder(root: str) -> str:
    return Path(os.path.expanduser(root)).absolute().name or root

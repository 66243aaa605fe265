"""Where a dataset may be written: not over a source, not where others' files would be lost, and where there is room."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from robomix.errors import ConfigError
from robomix.files import nearest_above
from robomix.formats.claims import free_for
from robomix.tools.build.content import Content

_SPARE = 1.05
"""Free space asked for, relative to what is expected to be written."""


def no_room(target: Path, needed: int, free: int | None = None) -> Iterator[str]:
    """Why so many bytes cannot be written to `target`: the disk lacks them, or its folder may not be written to.

    `free` bytes are there for it; None: those that `free_for` finds.
    """
    folder, asked = nearest_above(target), round(_SPARE * needed)
    free = free_for(target) if free is None else free
    if free < asked:
        yield f"{folder} has {size_text(free)} free, and about {size_text(asked)} are needed."
    if not os.access(folder, os.W_OK):
        yield f"{folder} may not be written to. Choose another place."


def no_source(target: Path, sources: Iterable[Path]) -> list[str]:
    """Why `target` may not be written: it would replace one of `sources`, or become a part of one."""
    return [
        f"{target} and the source {source} lie in one another, and no source is written to."
        for source in dict.fromkeys(sources)
        if _overlap(target, source)
    ]


def no_linked_source(target: Path, sources: Iterable[Path]) -> Iterator[str]:
    """Why `target` may not be replaced: files of `sources` are links into it."""
    inside = Path(os.path.realpath(target))
    for source in dict.fromkeys(sources) if os.path.exists(target) else ():
        entries = (Path(folder, name) for folder, names, files in os.walk(source) for name in (*names, *files))
        link = next((e for e in entries if e.is_symlink() and Path(os.path.realpath(e)).is_relative_to(inside)), None)
        if link is not None and not _overlap(target, source):
            yield (
                f"{link}, of the source {source}, is a link into {target}, which would be replaced. Put there what it "
                "leads to, or choose another place."
            )


def sources_of(content: Content) -> list[Path]:
    """The datasets that episodes come from."""
    return [Path(name) for name in dict.fromkeys(episode.origin.dataset for episode in content.episodes)]


def replaced_bytes(target: Path, ask: Callable[[Path], None]) -> int:
    """Bytes of the files below `target`; 0 where nothing is there, or `ask` does not allow that it is replaced."""
    try:
        ask(target)
        return sum(
            os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(target) for name in names
        )
    except (ConfigError, OSError):
        return 0


def disk_text(target: Path, needed: int, replaced: int) -> str:
    """What a target needs of its disk, for people."""
    need = f"about {size_text(needed)}, of {size_text(free_for(target))} free"
    return f"{need}; the {size_text(replaced)} there stay until all is complete" if replaced else need


def size_text(count: float) -> str:
    """A number of bytes, for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def time_text(seconds: float) -> str:
    """A time that is not known exactly, for people."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s"


def _overlap(first: Path, second: Path) -> bool:
    first, second = Path(os.path.realpath(first)), Path(os.path.realpath(second))
    return first.is_relative_to(second) or second.is_relative_to(first)

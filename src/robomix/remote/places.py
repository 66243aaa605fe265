"""Where the mirrors of datasets far away lie, and which URL a path in one stands for.

The mirror of a URL is `cache_dir()/remote/mirrors/<digest of the URL>/<name of the dataset>`, and beside it lies a file
with the URL.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from robomix.caches import cache_dir
from robomix.errors import RobomixError

URL = ".url"
"""Name of the file beside a mirror that holds its URL."""


def mirrors() -> Path:
    """The folder of all mirrors, without links in its path."""
    return Path(os.path.realpath(cache_dir())) / "remote" / "mirrors"


def home_of(url: str) -> Path:
    """The folder that holds the mirror of `url`, and what belongs to it."""
    return mirrors() / hashlib.blake2b(url.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def target_of(home: Path, url: str) -> Path:
    """The mirror of `url` in its home."""
    return home / url.rpartition("/")[2]


def url_of(path: Path) -> str | None:
    """The URL whose mirror `path` is, or lies in; None for all other paths."""
    folder = mirrors()
    path = Path(os.path.abspath(path))
    if not path.is_relative_to(folder) or path == folder:
        return None
    home, *inside = path.relative_to(folder).parts
    with contextlib.suppress(OSError):
        return "/".join([(folder / home / URL).read_text(), *inside[1:]])
    return None


def shown(path: Path) -> str:
    """A path as people know it: of a mirror, the URL."""
    return url_of(path) or str(path)


def with_urls(text: str) -> str:
    """`text` with URLs in place of the mirrors it names."""
    folder = mirrors()
    for home in set(re.findall(re.escape(f"{folder}/") + r"(\w+)/", text)):
        with contextlib.suppress(OSError):
            url = (folder / home / URL).read_text()
            text = text.replace(str(target_of(folder / home, url)), url)
    return text


@contextlib.contextmanager
def told_by_url() -> Iterator[None]:
    """Inside, errors that name a mirror name its URL instead."""
    try:
        yield
    except RobomixError as error:
        if (named := with_urls(str(error))) == str(error):
            raise
        error.args = (named, *error.args[1:])
        raise

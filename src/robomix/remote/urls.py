"""Which paths are URLs of object storage, and what they look like after they went through `pathlib`."""

import re
from pathlib import Path

_URL = re.compile(r"([a-z][a-z0-9+.-]+):(/+)(.+)", re.DOTALL)


def as_url(path: str | Path) -> str | None:
    """`path` as a URL without a slash at its end; None where it is a path of this machine.

    `Path("s3://bucket/set")` is `s3:/bucket/set`, which means the same: no local path starts with a scheme.
    """
    match = _URL.fullmatch(str(path))
    if match is None:
        return None
    scheme, slashes, rest = match.groups()
    root = "/" if scheme in ("file", "local") and len(slashes) != 2 else ""
    return f"{scheme}://{root}{rest.rstrip('/')}"


def scheme_of(url: str) -> str:
    """`s3` for `s3://bucket/set`."""
    return url.partition("://")[0]

"""Where robomix keeps what it can compute again: columns, statistics. Never inside a dataset."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder `$ROBOMIX_CACHE`, or `~/.cache/robomix`."""
    return Path(os.environ.get("ROBOMIX_CACHE") or Path.home() / ".cache" / "robomix")

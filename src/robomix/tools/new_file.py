"""Files that tools write: new ones, which appear complete or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robomix.errors import ConfigError
from robomix.formats.publish import staged_file


@contextmanager
def new_file(path: Path, flag: str) -> Iterator[Path]:
    """A path to write to, which becomes `path` when the block ends without an error.

    Raises ConfigError, naming the `flag` that gave it, where `path` exists already or cannot be written.
    """

    def check(target: Path) -> None:
        if target.exists():
            raise ConfigError(f"{flag}: {path} exists already, and is not overwritten. Choose another file.")

    with staged_file(path, check) as staging:
        yield staging

"""What an engine is given, and what it must do."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Writer(Protocol):
    """Writes one of several files; goes to each process once."""

    def write(self, file: Any) -> Any:
        """Writes it, and says what it has come to."""


class Engine(Protocol):
    """Has files written, by one process or by many."""

    def map(self, writer: Writer, files: Sequence[Any]) -> Iterator[Any]:
        """What each of `files` has come to, in their order.

        Raises what writing one of them raises, ConfigError for an engine that cannot start, and FormatError for a
        process that has died. Nothing of it runs any more when the iterator ends, is closed, or has raised.
        """

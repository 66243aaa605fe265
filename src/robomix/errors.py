"""The errors robomix raises. Each text says what was found, what was expected, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class RobomixError(Exception):
    """Base of every error robomix raises on purpose; the command line prints it without a traceback."""


class ConfigError(RobomixError):
    """A mixture file, a flag or an argument that cannot be used as it stands."""


class FormatError(RobomixError):
    """A dataset on disk that cannot be read: what is wrong, in which file, and the remedy."""


class RemoteError(RobomixError):
    """Data far away that cannot be fetched, or has changed: what was asked for, where, and the remedy."""


class AlignmentError(RobomixError):
    """Datasets that are readable each, but do not fit together as the mixture asks."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` where a known name is close to `name`, else the empty string."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""

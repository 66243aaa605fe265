"""How the commands speak: reports on stdout, what accompanies them on stderr, above a progress bar if there is one."""

import logging
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from tqdm import tqdm


def command_line(verb: str, argv: Sequence[str]) -> str:
    """What was asked for, and of which version: for files that are looked at later."""
    return f"robomix {version('robomix')}: robomix {verb} {shlex.join(argv)}"


class _AboveTheBar(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


class _Plain(logging.Formatter):
    """The message alone; what is a warning says so."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


def configure_logging() -> None:
    """Shows robomix's log and Python's warnings, of the first rank only; other libraries keep to warnings."""
    first_rank = os.environ.get("RANK", "0") == "0"
    handler = _AboveTheBar()
    handler.setFormatter(_Plain("%(message)s"))
    for name in ("robomix", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if first_rank else logging.ERROR)
    warnings.formatwarning = _without_source_line
    logging.captureWarnings(True)


def _without_source_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return str(message)

"""The `robomix` command: one verb per file, each with its own help.

    robomix VERB [flags]        robomix --help        robomix VERB --help

Exit code 0 is success, 1 a finding, 2 a mistake in what was asked, 128 + n a stop by signal n.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from robomix.cli.console import configure_logging
from robomix.errors import RobomixError, did_you_mean

VERBS: dict[str, tuple[str, str]] = {
    "train": ("robomix.cli.train", "train a LeRobot policy on a mixture of datasets"),
    "stats": ("robomix.cli.stats", "compute, print and write the statistics a mixture is normalized with"),
    "eval": ("robomix.cli.evaluate", "roll a trained policy out in the environments of its datasets"),
    "export": ("robomix.cli.export", "write one robot's policy out of a checkpoint, for LeRobot"),
}
"""Verb to the module whose `run(argv)` does it and returns the exit code, and its line in the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; `argv` is without the program's name. Returns the exit code; errors go to stderr as text."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"robomix {version('robomix')}")
        return 0
    verb, rest = argv[0], argv[1:]
    if verb not in VERBS:
        print(f"robomix: error: no command {verb!r}.{did_you_mean(verb, VERBS)} See robomix --help.", file=sys.stderr)
        return 2
    configure_logging()
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m robomix` has it: transforms may be modules of this folder
    try:
        code: int = importlib.import_module(VERBS[verb][0]).run(rest)
        return code
    except RobomixError as error:
        print(f"robomix {verb}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"robomix {verb}: interrupted", file=sys.stderr)
        return 130


def help_text() -> str:
    """What `robomix --help` prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {line}" for verb, (_, line) in VERBS.items())
    return f"""\
robomix: train one robot policy on many datasets.

usage: robomix COMMAND [flags]

commands
{verbs}

robomix COMMAND --help explains a command; robomix --version prints the version.

A first training, on two datasets that are folders on this machine:

  robomix train --dataset.root=DATA --dataset.repo_id='["A", "B"]' --policy.type=act

DATA/A and DATA/B are LeRobot datasets. What more can be said about them (weights, names, padding, episodes) goes into a
mixture file: robomix train --config_path=mix.yaml --policy.type=act."""

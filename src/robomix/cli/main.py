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
from robomix.errors import ConfigError, RobomixError, did_you_mean

VERBS: dict[str, tuple[str, str]] = {
    "inspect": ("robomix.cli.inspect", "show what datasets hold, how they fit each other, and suggest a mixture file"),
    "view": ("robomix.cli.view", "write samples and episodes of a mixture or dataset for the Rerun viewer"),
    "train": ("robomix.cli.train", "train a LeRobot policy on a mixture of datasets"),
    "check": ("robomix.cli.check", "find what is wrong with datasets, by the files as they lie on disk"),
    "repair": ("robomix.cli.repair", "mend a damaged dataset into a new one: what is certain, and more by flags"),
    "merge": ("robomix.cli.merge", "write several datasets, of any formats, as one"),
    "split": ("robomix.cli.split", "write one dataset as several: by lists, fractions or rules"),
    "delete": ("robomix.cli.delete", "write a dataset without some of its episodes"),
    "keep": ("robomix.cli.keep", "write some episodes of a dataset"),
    "trim": ("robomix.cli.trim", "write a dataset with shorter episodes"),
    "rename": ("robomix.cli.rename", "write a dataset with features of other names"),
    "drop": ("robomix.cli.drop", "write a dataset without some of its features"),
    "tasks": ("robomix.cli.tasks", "write a dataset with other task texts"),
    "shuffle": ("robomix.cli.shuffle", "write a dataset with its episodes in another order"),
    "convert": ("robomix.cli.convert", "write a dataset in another version or format"),
    "recompute": ("robomix.cli.recompute", "write a dataset with its statistics computed anew"),
    "materialize": ("robomix.cli.materialize", "store a mixture's frames at the size it is trained with"),
    "verify": (
        "robomix.cli.verify",
        "draw samples from a training's loader, and check that they are what its file says",
    ),
    "plan": ("robomix.cli.plan", "say what a training will see, need and take, before it starts"),
    "bench": ("robomix.cli.bench", "measure how many loader workers keep the accelerator fed, and what would help"),
    "stats": ("robomix.cli.stats", "compute, print and write the statistics a mixture is normalized with"),
    "eval": ("robomix.cli.evaluate", "roll a trained policy out in the environments of its datasets"),
    "export": ("robomix.cli.export", "write one robot's policy out of a checkpoint, for LeRobot"),
    "push": ("robomix.cli.push", "upload a dataset or a policy to the Hugging Face Hub"),
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
    try:
        configure_logging()
        here = _current_folder()
        if "" not in sys.path and here not in sys.path:
            sys.path.insert(0, here)  # as `python -m robomix` has it: transforms may be modules of this folder
        code: int = importlib.import_module(VERBS[verb][0]).run(rest)
        return code
    except RobomixError as error:
        from robomix.remote.places import with_urls

        print(f"robomix {verb}: error: {with_urls(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"robomix {verb}: interrupted", file=sys.stderr)
        return 130


def _current_folder() -> str:
    """Raises ConfigError where it is gone."""
    try:
        return os.getcwd()
    except OSError as error:
        raise ConfigError(f"the current folder is not there any more ({error.strerror}). Go to another one.") from error


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

"""`robomix bench`: how many loader workers keep the accelerator fed, and what would make reading faster."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Arguments:
    """Measures where reading a batch takes its time, how fast 0, 1, 2 and more workers read, and what the policy takes.

    Says how many workers to use, whether reading or the policy limits, and what would help by how much. Of one rank;
    on an idle machine it takes less than a minute. The policy may be given by flags, such as --policy.type=act.
    """

    config_path: Annotated[Path, tyro.conf.Positional]
    """Mixture file: its `dataset:` block, its `policy:` block if it has one, and the settings of its training."""
    batch_size: int | None = None
    """Samples per rank and batch; default: that of the file, or of a training."""
    seconds: float = 4.0
    """How long each measurement takes."""
    json: bool = False
    """Print what was measured as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Measures what `argv` says. Raises RobomixError for what is wrong with it."""
    arguments, rest = tyro.cli(
        Arguments, prog="robomix bench", args=list(argv), use_underscores=True, return_unknown_args=True
    )
    _check_policy_flags(rest)
    from robomix.tools.bench.advice import advise  # importing LeRobot takes seconds
    from robomix.tools.bench.run import bench
    from robomix.tools.bench.table import summary, tables
    from robomix.tools.training_file import TrainingFile
    from robomix.tools.verify.subject import subject_of

    file = TrainingFile.read(arguments.config_path, rest)
    subject = subject_of(file, ranks=1, workers=None, batch_size=arguments.batch_size, seed=None)
    found = bench(file, subject, seconds=arguments.seconds)
    advice = advise(found)
    if arguments.json:
        print(json.dumps(found.record() | {"advice": [item.record() for item in advice]}, indent=2))
    else:
        console = Console()
        for table in tables(found, advice):
            console.print(table)
        console.print(summary(found), highlight=False, soft_wrap=True)
    return 0


def _check_policy_flags(words: Sequence[str]) -> None:
    """What tyro does not know must be flags of the policy. Raises ConfigError for others."""
    for word in words:
        if word.startswith("--") and not word.startswith("--policy."):
            name = word.partition("=")[0]
            hint = did_you_mean(name, ("--batch_size", "--seconds", "--json", "--policy.type"))
            raise ConfigError(f"unknown flag {name}.{hint} See robomix bench --help.")

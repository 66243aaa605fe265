"""`robomix export`: one robot's policy out of a checkpoint, as a LeRobot policy folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.errors import ConfigError


@dataclass(frozen=True)
class Arguments:
    """Writes one robot's policy as a folder that LeRobot loads without robomix.

    --group NAME copies that of a normalization group. --config mix.yaml --source NAME makes one for a dataset that was
    not in the training, by the statistics of its data, or those of the file's `stats`; the mixture file names and
    transforms its features as the training's did.
    """

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """A checkpoint, its policy folder, or the output folder of a training, whose last checkpoint is taken."""
    out: Path
    """The folder to write; must not exist yet."""
    group: str | None = None
    """A normalization group of the training; with `condition_on: source`, one of its datasets."""
    config: Path | None = None
    """Mixture file with a dataset that was not in the training."""
    source: str | None = None
    """Name of that dataset in it."""
    condition: str | None = None
    """For a policy trained with `condition_on`: the dataset or group of the training it is to take this one for."""


def run(argv: Sequence[str]) -> int:
    """Exports as `argv` says. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix export", args=list(argv), use_underscores=True)
    of_source = arguments.config is not None and arguments.source is not None
    if (arguments.group is not None) == of_source or (arguments.config is None) != (arguments.source is None):
        raise ConfigError("give either --group, or both --config and --source: whose policy is to be written.")
    if arguments.condition is not None and not of_source:
        raise ConfigError("--condition is for a dataset that was not in the training: --config and --source.")
    from robomix.training.export import export_group, export_source  # importing LeRobot takes seconds

    console = Console()
    if arguments.group is not None:
        export_group(arguments.checkpoint, arguments.group, arguments.out)
    elif arguments.config is not None and arguments.source is not None:
        robot = export_source(
            arguments.checkpoint, arguments.config, arguments.source, arguments.out, arguments.condition
        )
        for note in robot.notes:
            console.print(note, highlight=False, soft_wrap=True)
    console.print(f"policy in {arguments.out}", highlight=False, soft_wrap=True)
    return 0

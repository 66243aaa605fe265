"""`robomix plan`: what a training will see, need and take, before it starts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Arguments:
    """Says what a training will see, need and take: epochs and hours of each source, disk, memory, expected time.

    The time is that of the slower of both: reading batches and the policy's steps, each tried for some seconds. Nothing
    is written, but numbers that the cache lacks.
    """

    config_path: Annotated[Path, tyro.conf.Positional]
    """Mixture file: its `dataset:` block, its `policy:` block if it has one, and the settings of its training."""
    steps: int | None = None
    """Steps of the training; default: those of the file, or of a training."""
    batch: int | None = None
    """Samples per rank and step; default: `batch_size` of the file, or of a training."""
    alpha: tuple[float, ...] = ()
    """Values of `alpha` to set side by side, such as 0 0.5 1; default: the file's."""
    ranks: int = 1
    """Processes of the training."""
    workers: int | None = None
    """Loader workers of each rank; default: `num_workers` of the file, or of a training."""
    seconds: float = 10.0
    """How long each measurement takes."""
    json: bool = False
    """Print the plan as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Plans what `argv` says. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix plan", args=list(argv), use_underscores=True)
    from robomix.tools.plan.run import plan  # importing LeRobot takes seconds
    from robomix.tools.plan.table import tables
    from robomix.tools.training_file import TrainingFile
    from robomix.tools.verify.subject import subject_of

    file = TrainingFile.read(arguments.config_path)
    subject = subject_of(file, ranks=arguments.ranks, workers=arguments.workers, batch_size=arguments.batch, seed=None)
    steps = file.steps if arguments.steps is None else arguments.steps
    made = plan(file, subject, steps=steps, alphas=arguments.alpha, seconds=arguments.seconds)
    if arguments.json:
        print(json.dumps(made.record(), indent=2))
    else:
        console = Console()
        for table in tables(made):
            console.print(table)
    return 0

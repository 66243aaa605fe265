"""`robomix verify`: draws samples from the loader of a training, and looks whether they are what the file says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.cli.console import command_line


@dataclass(frozen=True)
class Arguments:
    """Draws samples from the very loader that `robomix train` would use, and looks whether they are what the file says.

    Measured shares against the resolved ones, shapes, masks, numbers, repeats, tasks, equality of two runs, and how
    fast it is and where the time goes. Exit code 0: nothing is off; 1: something is; 2: it cannot be used as it stands.
    """

    config_path: Annotated[Path, tyro.conf.Positional]
    """Mixture file: its `dataset:` block, its `policy:` block if it has one, and the settings of its training."""
    samples: Annotated[int, tyro.conf.Positional] = 10_000
    """Samples to draw, of all ranks together; rounded up to whole batches."""
    ranks: int = 1
    """Processes of the training: each has a loader of its own, and its slice of every batch."""
    workers: int | None = None
    """Loader workers of each rank; default: `num_workers` of the file, or of a training."""
    batch_size: int | None = None
    """Samples per rank and batch; default: that of the file, or of a training."""
    seed: int | None = None
    """Of the order; default: that of the file, or of a training."""
    max_seconds: float | None = None
    """Stop drawing after so long, whatever is left."""
    html: Path | None = None
    """File for a page of what was found, with samples as the policy sees them. Written over."""
    json: bool = False
    """Print what was found as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Verifies what `argv` says; 1 if something is off. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix verify", args=list(argv), use_underscores=True)
    from robomix.report.page import check_target, write_page
    from robomix.report.verify_page import verify_page
    from robomix.tools.training_file import TrainingFile  # importing LeRobot takes seconds
    from robomix.tools.verify.run import verify
    from robomix.tools.verify.subject import subject_of
    from robomix.tools.verify.table import summary, tables

    if arguments.html is not None:
        check_target(arguments.html)
    subject = subject_of(
        TrainingFile.read(arguments.config_path),
        ranks=arguments.ranks,
        workers=arguments.workers,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    found = verify(subject, arguments.samples, max_seconds=arguments.max_seconds)
    if arguments.html is not None:
        write_page(verify_page(found, subject, command_line("verify", argv)), arguments.html)
    if arguments.json:
        print(json.dumps(found.record(), indent=2))
    else:
        console = Console()
        console.print(summary(found), highlight=False, soft_wrap=True)
        for table in tables(found):
            console.print(table)
    return 0 if found.is_ok else 1

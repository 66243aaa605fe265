"""`robomix inspect`: what datasets hold, how they fit each other, and a mixture file of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.cli.console import command_line
from robomix.errors import ConfigError
from robomix.report.inspect_page import inspect_page
from robomix.report.page import check_target, write_page
from robomix.tools.inspect.description import Inspection
from robomix.tools.inspect.inspection import ANY, inspect_datasets
from robomix.tools.inspect.tables import as_tables
from robomix.tools.new_file import new_file


@dataclass(frozen=True)
class Arguments:
    """Shows what datasets of any format hold, and with several how they fit each other and what a mixture of them says.

    Exit code 0: everything could be read; 1: some of it could not; 2: nothing could.
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Datasets, or folders that hold several."""
    fps: tuple[str, ...] = ()
    """Frames per second of datasets whose files do not say: NAME=RATE by the dataset's name, or RATE for all these."""
    out: Path | None = None
    """File for the suggested mixture; must not exist yet. Default: with several datasets it is printed."""
    html: Path | None = None
    """File for a page with pictures, histograms and curves of the datasets. Written over."""
    json: bool = False
    """Print everything as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Inspects what `argv` names. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix inspect", args=list(argv), use_underscores=True)
    if not arguments.paths:
        raise ConfigError("give the path of a dataset, or several.")
    if arguments.html is not None:
        check_target(arguments.html)
    inspection = inspect_datasets(arguments.paths, rates_of(arguments.fps))
    if arguments.out is not None:
        _write(arguments.out, inspection)
    if arguments.html is not None:
        write_page(inspect_page(inspection, command_line("inspect", argv)), arguments.html)
    if arguments.json:
        print(json.dumps(inspection.record(), indent=2))
    else:
        _print(inspection, arguments.out)
    return 2 if not inspection.datasets else 1 if inspection.unreadable else 0


def rates_of(values: Sequence[str]) -> dict[str, float]:
    """Rates by name, of NAME=RATE; a RATE alone is under ANY. Raises ConfigError for what is neither."""
    rates: dict[str, float] = {}
    for value in values:
        name, _, number = value.rpartition("=")
        try:
            rates[name or ANY] = float(number)
        except ValueError:
            raise ConfigError(f"--fps: found {value!r}, expected a number, or NAME=NUMBER.") from None
    return rates


def _write(path: Path, inspection: Inspection) -> None:
    if inspection.suggestion is None:
        raise ConfigError("--out: no dataset has anything to train on, so there is no mixture to suggest.")
    with new_file(path, "--out") as staging:
        staging.write_text(inspection.suggestion)


def _print(inspection: Inspection, written: Path | None) -> None:
    console = Console()
    for part in as_tables(inspection):
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    if written is not None:
        console.print(f"suggested mixture in {written}", highlight=False, markup=False, soft_wrap=True)
    elif inspection.suggestion is not None and len(inspection.datasets) > 1:
        console.print("A mixture of them (--out writes it to a file):\n", highlight=False)
        print(inspection.suggestion)

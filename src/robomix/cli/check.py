"""`robomix check`: what is wrong with datasets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from robomix.cli.console import command_line
from robomix.errors import ConfigError, did_you_mean
from robomix.remote.mirror import local_path
from robomix.remote.places import shown
from robomix.remote.urls import as_url
from robomix.report.check_page import check_page
from robomix.report.page import check_target, write_page
from robomix.tools.check.finding import Depth, Verdict
from robomix.tools.check.raw.values import number
from robomix.tools.check.reports import Reports
from robomix.tools.check.run import DEFECTS, check_all
from robomix.tools.check.sarif import as_sarif
from robomix.tools.check.table import as_tables, catalogue, catalogue_markdown, plain
from robomix.tools.inspect.find import datasets_below


@dataclass(frozen=True)
class Arguments:
    """Looks for what is wrong with datasets: files that contradict each other, and what readers stumble over.

    Nothing is written, and no dataset is changed. FAIL: a training stops, or learns from wrong data; WARN: some reader
    stumbles; INFO: worth knowing; UNVERIFIED: could not be looked at. Exit code 0: nothing at the level of --fail_on;
    1: something is; 2: a mistake in what was asked.
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Datasets, or folders that hold several. Several are also looked at together."""
    meta: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Read only metadata, file names and footers."""
    decode: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Decode every picture too. Default: read all numbers, and the packets of all videos."""
    only: tuple[str, ...] = ()
    """Ids of the defects to look for, such as E04; S stands for all that begin with it. Default: all."""
    ignore: tuple[str, ...] = ()
    """Ids of defects to leave out, likewise."""
    fail_on: Literal["fail", "warn"] = "fail"
    """The least verdict that makes the exit code 1."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print what was found as JSON, for programs."""
    sarif: Path | None = None
    """File for the findings in SARIF 2.1.0, which code hosts and editors show. Written over."""
    html: Path | None = None
    """File for a page of what was found, with pictures of the episodes it is about. Written over."""
    list: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print every defect that is known, and look at no dataset."""
    markdown: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --list: as a Markdown table."""


def run(argv: Sequence[str]) -> int:
    """Checks what `argv` names; 1 if something is wrong. Raises RobomixError for what is wrong with `argv`."""
    arguments = tyro.cli(Arguments, prog="robomix check", args=list(argv), use_underscores=True)
    console = Console()
    if arguments.list:
        console.print(catalogue(DEFECTS)) if not arguments.markdown else print(catalogue_markdown(DEFECTS))
        return 0
    _refuse(arguments)
    wanted = _chosen(arguments.only, "only") or set(DEFECTS)
    paths = _datasets(arguments.paths, console if not arguments.json else Console(stderr=True))
    reports = check_all(paths, _depth(arguments)).of(wanted - _chosen(arguments.ignore, "ignore"))
    if arguments.sarif is not None:
        _write(arguments.sarif, reports)
    if arguments.html is not None:
        write_page(check_page(reports, command_line("check", argv)), arguments.html)
    if arguments.json:
        print(json.dumps(reports.record(), indent=2))
    else:
        for part in as_tables(reports):
            console.print(part, soft_wrap=not hasattr(part, "columns"))
    levels = (Verdict.FAIL, Verdict.WARN) if arguments.fail_on == "warn" else (Verdict.FAIL,)
    return 1 if reports.verdict in levels else 0


def _refuse(arguments: Arguments) -> None:
    if not arguments.paths:
        raise ConfigError("give the path of a dataset, or several; --list prints what is looked for.")
    if arguments.meta and arguments.decode:
        raise ConfigError("--meta reads the least and --decode the most: give one of them.")
    if arguments.html is not None:
        check_target(arguments.html)
    for path in arguments.paths:
        if not as_url(path) and not path.exists():
            neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            raise ConfigError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")


def _datasets(paths: Sequence[Path], console: Console) -> list[Path]:
    """The datasets that the paths mean, each once; tells `console` of folders that are none and hold some."""
    found: list[Path] = []
    for path in map(local_path, paths):
        within = datasets_below(path)
        if within:
            named = plain(f"{shown(path)} is no dataset; looking at the {number(len(within), 'dataset')} below it")
            console.print(named, markup=False, highlight=False, soft_wrap=True)
        found += within or [path]
    return list({path.absolute(): path for path in found}.values())


def _depth(arguments: Arguments) -> Depth:
    return Depth.META if arguments.meta else Depth.DECODE if arguments.decode else Depth.FILES


def _chosen(asked: Sequence[str], flag: str) -> set[str]:
    """The ids that `asked` means: each an id, a letter of a family, or several with commas between."""
    chosen: set[str] = set()
    for name in (part.strip().upper() for text in asked for part in text.split(",")):
        found = {id for id in DEFECTS if id == name or id[0] == name}
        if not found:
            raise ConfigError(f"--{flag}: no defect {name!r}.{did_you_mean(name, DEFECTS)} --list prints all.")
        chosen |= found
    return chosen


def _write(path: Path, reports: Reports) -> None:
    try:
        path.write_text(json.dumps(as_sarif(reports, version("robomix")), indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"--sarif: cannot write {path}: {error.strerror}. Choose another file.") from error

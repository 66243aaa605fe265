"""`robomix repair`: a damaged dataset, mended into a new one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.errors import ConfigError, did_you_mean
from robomix.files import expanded
from robomix.tools.build.engines.choice import Name, engine_of
from robomix.tools.check.finding import Depth, Verdict
from robomix.tools.check.raw.values import some
from robomix.tools.check.reports import Report, Reports
from robomix.tools.check.table import as_tables as report_tables
from robomix.tools.inspect.find import datasets_below
from robomix.tools.repair.consent import Flags
from robomix.tools.repair.plan import RepairPlan
from robomix.tools.repair.run import carry_out, plan_repair
from robomix.tools.repair.table import as_tables, last_line


@dataclass(frozen=True)
class Arguments:
    """Mends a damaged LeRobot dataset, or a file of robomimic's, into a new one; prints the plan, unless --apply.

    What is certain and loses nothing is done. What drops, alters or guesses something needs its flag; without it, and
    where the rest cannot be written without it, nothing is. The dataset itself is never written to. Exit code 0: check
    finds nothing in NEW at FAIL or WARN, or the plan can be carried out; 1: something remains; 2: refused, or a mistake
    in what was asked.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The damaged dataset."""
    out: Path
    """Where the new one goes. Must not exist."""
    apply: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Carry the plan out, and check what was written."""
    decode: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Look at every picture too, for frames that cannot be decoded."""
    workers: int = 1
    """Processes that write files. The result is the same for any number."""
    engine: Name = "processes"
    """Whose processes: this machine's, or those of a Ray cluster, whose machines must see the same files."""
    address: str | None = None
    """Of the Ray cluster, such as auto or ray://head:10001. Default: a Ray of this machine."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the plan, and with --apply what remains, as JSON, for programs."""
    flags: Annotated[Flags, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff] = field(default_factory=Flags)


def run(argv: Sequence[str]) -> int:
    """Plans or does the repair that `argv` asks for. Raises RobomixError for what is wrong with `argv`."""
    arguments = tyro.cli(Arguments, prog="robomix repair", args=list(argv), use_underscores=True)
    path, out = (expanded(path) for path in (arguments.path, arguments.out))  # as --out=~/NEW is given
    arguments = replace(arguments, path=path, out=out)
    engine = engine_of(arguments.engine, arguments.workers, arguments.address)
    if not arguments.path.exists():
        neighbours = [entry.name for entry in arguments.path.parent.iterdir()] if arguments.path.parent.is_dir() else []
        raise ConfigError(
            f"{arguments.path} does not exist, expected a dataset.{did_you_mean(arguments.path.name, neighbours)}"
        )
    if below := datasets_below(arguments.path):
        raise ConfigError(
            f"{arguments.path} is no dataset; below it there are: {some(below, 8)}. Give one of them: datasets are "
            "repaired one at a time."
        )
    depth = Depth.DECODE if arguments.decode else Depth.FILES
    plan = plan_repair(arguments.path, arguments.out, arguments.flags, depth)
    applied = arguments.apply and not plan.refusals
    if not arguments.json:
        _show_plan(plan, applied)
    left = carry_out(plan, engine) if applied else None
    if arguments.json:
        print(json.dumps(plan.record() | {"applied": applied, "left": left and left.record()}, indent=2))
    elif left is not None:
        _show_rest(plan, left)
    if plan.refusals and not applied:
        return 2
    return 1 if left is not None and left.verdict in (Verdict.FAIL, Verdict.WARN) else 0


def _show_plan(plan: RepairPlan, applied: bool) -> None:
    console = Console()
    for part in as_tables(plan):
        console.print(part, soft_wrap=not hasattr(part, "columns"))
    if not applied:
        console.print(last_line(plan, applied=False), soft_wrap=True)


def _show_rest(plan: RepairPlan, left: Report) -> None:
    console = Console()
    console.print(last_line(plan, applied=True), soft_wrap=True)
    for part in report_tables(Reports((left,))):
        console.print(part, soft_wrap=not hasattr(part, "columns"))

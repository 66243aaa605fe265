"""`robomix materialize`: a mixture at training resolution, as video or as raw frames."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from robomix.cli.writing import Switch
from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.tools.build.engines.choice import Name, at_a_time, engine_of


@dataclass(frozen=True)
class Arguments:
    """Stores the frames of a mixture at the size it is trained with, so that a training need not decode large ones.

    Each source becomes a dataset in --out, of the episodes that the mixture uses, at its rate; --out/mixture.yaml
    trains from them, with samples in the same order. Or keep the mixture file, and add `materialized: OUT` to it.
    The datasets are never written to. A run that was stopped goes on with the source it stopped in.
    """

    config_path: Annotated[Path, tyro.conf.Positional]
    """Mixture file."""
    out: Path
    """Folder for the datasets and the mixture file."""
    size: int | None = None
    """Height and width of the pictures; their proportions change as by `resize_images`."""
    height: int | None = None
    """Height, where it is not the width."""
    width: int | None = None
    """Width, where it is not the height."""
    storage: Annotated[Literal["video", "frames"], tyro.conf.arg(name="as")] = "video"
    """video: LeRobot v3.0 with H.264 of short groups, small, and not quite the same pictures; frames: raw bytes, mapped
    into memory, the same pictures, height * width * 3 bytes each."""
    workers: int = 1
    """Processes that write. The result is the same for any number."""
    engine: Name = "processes"
    """Whose processes: this machine's, or those of a Ray cluster, whose machines must see the same files."""
    address: str | None = None
    """Of the Ray cluster, such as auto or ray://head:10001. Default: a Ray of this machine."""
    force: Switch = False
    """Replace what an earlier run with other settings has left in --out."""
    dry_run: Switch = False
    """Print the plan, and write nothing."""
    json: Switch = False
    """Print plan and result as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Plans, and does, what `argv` says. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix materialize", args=list(argv), use_underscores=True)
    from robomix.tools.materialize.plan import make_plan  # importing torchvision takes seconds
    from robomix.tools.materialize.run import carry_out
    from robomix.tools.materialize.table import as_table, likeness_table

    height, width = _size(arguments)
    engine = engine_of(arguments.engine, arguments.workers, arguments.address)
    data = read_document(arguments.config_path)
    if not isinstance(data.get("dataset"), Mapping):
        raise ConfigError(f"{arguments.config_path} has no block `dataset:`, which says what the mixture is.")
    config = MixtureConfig.from_dict(data["dataset"], origin=str(arguments.config_path))
    plan = make_plan(
        config,
        arguments.out,
        height=height,
        width=width,
        storage=arguments.storage,
        overwrite=arguments.force,
        workers=at_a_time(arguments.engine, arguments.workers),
    )
    console = Console()
    if not arguments.json:
        console.print(as_table(plan))
        for line in (*plan.notes, *(f"refused: {reason}" for reason in plan.refusals)):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    is_done = not plan.refusals and not arguments.dry_run
    result = carry_out(plan, data, engine=engine) if is_done else None
    if arguments.json:
        print(json.dumps({"plan": plan.record(), "result": result and result.record()}, indent=2))
    elif result is not None:
        console.print(likeness_table(result.likeness))
        console.print(f"train from it with {result.file}", markup=False, highlight=False, soft_wrap=True)
    elif not plan.refusals:
        console.print("nothing was written, as --dry_run asks", highlight=False)
    return 2 if plan.refusals else 0


def _size(arguments: Arguments) -> tuple[int, int]:
    """Height and width. Raises ConfigError where they are not given, or twice."""
    height, width, size = arguments.height, arguments.width, arguments.size
    if size is None and (height is None or width is None):
        raise ConfigError("give the size of the pictures: --size 224, or --height 240 --width 320.")
    if size is not None and (height is not None or width is not None):
        raise ConfigError("--size is height and width: give it, or these two.")
    return (size, size) if size is not None else (height or 0, width or 0)

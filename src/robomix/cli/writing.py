"""What the verbs that write datasets share: their flags, the plan that is shown, and that it is carried out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from robomix.errors import ConfigError
from robomix.files import expanded
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.choice import Name, at_a_time, engine_of
from robomix.tools.build.layout import Version
from robomix.tools.build.places import no_room
from robomix.tools.build.plan import Plan, carry_out, make_plan
from robomix.tools.build.plan_table import as_table
from robomix.tools.edit.features import unread_by_lerobot
from robomix.tools.edit.parts import folder_problems, write_parts
from robomix.tools.edit.rates import other_rates
from robomix.tools.edit.storage import encoder_of
from robomix.tools.repair.encoding import described
from robomix.video.encode import check_picture_size, find_encoder

Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""A flag that is given or not."""
Shared = tyro.conf.OmitArgPrefixes
"""For a field of type `Writing`: its flags stand beside the verb's own."""


@dataclass(frozen=True)
class Writing:
    """The flags of every verb that writes a dataset."""

    out: Path
    """Where the new dataset goes. The source is never written to."""
    version: Version | None = None
    """Version of LeRobot's format. Default: the source's, and v3.0 for other formats and for merged datasets."""
    codec: Literal["libsvtav1", "h264", "h264_lossless"] | None = None
    """Encoder of frames that cannot be copied. h264_lossless keeps every pixel, in files some 20 times as large.
    Default: the one of the source's codec, else libsvtav1."""
    workers: int = 1
    """Processes that write files. The result is the same for any number."""
    engine: Name = "processes"
    """Whose processes: this machine's, or those of a Ray cluster, whose machines must see the same files."""
    address: str | None = None
    """Of the Ray cluster, such as auto or ray://head:10001. Default: a Ray of this machine."""
    force: Switch = False
    """Replace a dataset at --out, once the new one is complete and verified. Not where other files lie in it."""
    dry_run: Switch = False
    """Print the plan, and write nothing."""
    json: Switch = False
    """Print the plan as JSON, for programs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", expanded(self.out))  # shells leave the ~ of --out=~/NAME


def write(
    content: Content,
    writing: Writing,
    version: Version = "v3.0",
    *,
    notes: Sequence[str] = (),
    refusals: Sequence[str] = (),
) -> int:
    """Plans `content` as the dataset at --out, shows the plan, and carries it out; the exit code.

    Args:
        content: what to write.
        writing: the flags.
        version: what to write where `--version` is not given.
        notes: what else the plan shall say.
        refusals: why it cannot be done, as far as is known already.

    Raises RobomixError where writing fails; then nothing is published.
    """
    plan, codec = _plan(content, writing, writing.out, version, refusals)
    work = partial(carry_out, plan, engine=_engine(writing), codec=codec)
    notes = [*notes, *unread_by_lerobot(content)]
    return carry_out_shown([plan.record()], [as_table(plan)], plan.refusals, writing, work, notes)


def write_all(
    contents: Mapping[str, Content], writing: Writing, version: Version = "v3.0", *, notes: Sequence[str] = ()
) -> int:
    """As `write`, for several datasets, each in the folder of its name in --out; all of them appear, or none."""
    whole = folder_problems(writing.out.absolute(), contents.values(), overwrite=writing.force)
    made = {name: _plan(content, writing, writing.out / name, version, whole) for name, content in contents.items()}
    plans = {name: plan for name, (plan, _) in made.items()}
    codecs = {name: codec for name, (_, codec) in made.items()}
    work = partial(write_parts, plans, writing.out, codecs, overwrite=writing.force, engine=_engine(writing))
    room = no_room(writing.out.absolute(), sum(plan.takes.bytes for plan in plans.values()))
    refusals = list(dict.fromkeys([*(reason for plan in plans.values() for reason in plan.refusals), *room]))
    notes = list(
        dict.fromkeys([*notes, *(note for content in contents.values() for note in unread_by_lerobot(content))])
    )
    records, tables = [plan.record() for plan in plans.values()], [as_table(plan) for plan in plans.values()]
    return carry_out_shown(records, tables, refusals, writing, work, notes)


def carry_out_shown(
    records: Sequence[Mapping[str, Any]],
    tables: Sequence[Table],
    refusals: Sequence[str],
    writing: Writing,
    work: Callable[[], None],
    notes: Sequence[str] = (),
) -> int:
    """Prints plans, and does the `work` unless it is refused or --dry_run is given; the exit code."""
    console, done = Console(), not refusals and not writing.dry_run
    if not writing.json:
        for table in tables:
            console.print(table)
        for note in notes:
            console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if done:
        work()
    if writing.json:
        print(json.dumps({"plans": list(records), "notes": list(notes), "written": done}, indent=2))
    else:
        console.print(_last_line(refusals, writing), markup=False, highlight=False, soft_wrap=True)
    return 2 if refusals else 0


def _plan(
    content: Content, writing: Writing, target: Path, version: Version, refusals: Sequence[str] = ()
) -> tuple[Plan, str]:
    """The plan, and the encoder of what must be encoded, as which the cameras are declared."""
    codec = writing.codec or encoder_of(content)
    version = writing.version or version
    plan = make_plan(
        content,
        target,
        version=version,
        overwrite=writing.force,
        refusals=[*refusals, *other_rates(content)],
        codec=codec,
        workers=at_a_time(writing.engine, writing.workers),
    )
    uncodable = _uncodable(plan.content, codec)
    return replace(plan, content=described(plan.content, codec), refusals=(*plan.refusals, *uncodable)), codec


def _uncodable(content: Content, codec: str) -> list[str]:
    """Why pictures of cameras that are to be encoded cannot be."""
    found = []
    for key in content.videos:
        parts = (episode.videos[key] for episode in content.episodes)
        sizes = {(part.frames.height, part.frames.width) for part in parts if isinstance(part, Drawn)}
        for size in sorted(sizes):
            try:
                check_picture_size(*size, find_encoder(codec), f"camera {key!r}")
            except ConfigError as error:
                found.append(str(error))
    return found


def _engine(writing: Writing) -> Engine:
    return engine_of(writing.engine, writing.workers, writing.address)


def _last_line(refusals: Sequence[str], writing: Writing) -> str:
    if refusals:
        return f"refused, nothing is written: {len(refusals)} reason{'s' if len(refusals) > 1 else ''}"
    if writing.dry_run:
        return "nothing was written, as --dry_run asks"
    return f"written to {writing.out}, read back and checked"

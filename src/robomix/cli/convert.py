"""`robomix convert`: a dataset in another format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from robomix.cli.writing import Shared, Writing, carry_out_shown, write
from robomix.errors import ConfigError
from robomix.tools.build.layout import Version
from robomix.tools.edit.read import open_content
from robomix.tools.edit.robomimic import as_table, plan_hdf5, write_hdf5
from robomix.tools.edit.storage import Storage, encoder_of, stored_as


@dataclass(frozen=True)
class Arguments:
    """Writes a dataset in another version of LeRobot's format, or as a robomimic HDF5 file.

    It reads LeRobot v2.0, v2.1 and v3.0, robomimic and ALOHA HDF5, Diffusion Policy's zarr, and RLDS. Between versions
    of LeRobot nothing changes: numbers keep their types, frames are copied as they are coded.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """The dataset."""
    to: Literal["v3.0", "v2.1", "v2.0", "robomimic"]
    """What it becomes."""
    writing: Annotated[Writing, Shared]
    storage: Storage = "keep"
    """How cameras are kept: as they are, all as video, or all as PNG pictures, which loses nothing. Other formats than
    LeRobot's become video unless this says image."""
    fps: float | None = None
    """Frames per second, of a dataset whose files do not say it."""
    robot_type: str | None = None
    """What the new dataset calls the robot. Default: as the source does."""


def run(argv: Sequence[str]) -> int:
    """Does what `argv` asks for. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix convert", args=list(argv), use_underscores=True)
    if arguments.writing.version not in (None, arguments.to):
        raise ConfigError(f"--to={arguments.to} and --version={arguments.writing.version} differ. Leave --version out.")
    if arguments.to == "robomimic":
        return _to_hdf5(arguments)
    return _to_lerobot(arguments, arguments.to)


def _to_lerobot(arguments: Arguments, version: Version) -> int:
    codec = arguments.writing.codec or "libsvtav1"
    opened = open_content(arguments.path, fps=arguments.fps, codec=codec)
    content = opened.content
    content = stored_as(content, arguments.storage, arguments.writing.codec or encoder_of(content))
    if arguments.robot_type is not None:
        if not arguments.robot_type.strip():
            raise ConfigError("--robot_type is empty. Name the robot, or leave it out.")
        content = replace(content, robot_type=arguments.robot_type)
    return write(content, arguments.writing, version, notes=opened.notes)


def _to_hdf5(arguments: Arguments) -> int:
    if arguments.storage == "video":
        raise ConfigError("--storage=video: a robomimic file holds pictures, no videos. Leave it out.")
    if arguments.robot_type is not None:
        raise ConfigError("--robot_type: a robomimic file takes it from its env_args. Leave it out.")
    writing = arguments.writing
    ignored = {
        "--codec": writing.codec is not None,
        "--workers": writing.workers != 1,
        "--engine": writing.engine != "processes",
        "--address": writing.address is not None,
    }
    if given := [flag for flag, is_given in ignored.items() if is_given]:
        raise ConfigError(f"{', '.join(given)}: one process writes a robomimic file, without encoding. Leave it out.")
    plan = plan_hdf5(arguments.path, writing.out, fps=arguments.fps, overwrite=writing.force)
    work = partial(write_hdf5, plan)
    return carry_out_shown([plan.record()], [as_table(plan)], plan.refusals, writing, work, plan.notes)

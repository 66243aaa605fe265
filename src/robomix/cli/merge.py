"""`robomix merge`: several datasets as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from robomix.cli.writing import Shared, Switch, Writing, write
from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError, did_you_mean
from robomix.files import expanded
from robomix.tools.build.places import no_source, sources_of
from robomix.tools.edit.storage import Storage
from robomix.tools.merge.merge import Wishes, merged

_TEXTS = "{old text: new text}"
_MAP = "{NAME: {observation.images.top: observation.images.front}}"


@dataclass(frozen=True)
class Arguments:
    """Writes several datasets, of any formats, as one LeRobot dataset; prints the plan first.

    Say which by their paths, or by a mixture file, whose episodes, filters, feature maps, transforms and rate are
    applied: the samples of the merged dataset are those of the mixture. Videos are copied as they are wherever nothing
    changes their frames. Exit code 0: written, or with --dry_run could be; 2: refused, or a mistake in what was asked.
    """

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The datasets, in the order in which their episodes come."""
    writing: Annotated[Writing, Shared]
    first: Path | None = None
    """The first of two datasets, in place of paths."""
    second: Path | None = None
    """The second."""
    config: Path | None = None
    """A mixture file, in place of paths."""
    map: Path | None = None
    """A file with what features of each dataset are called: {PATH or folder's name: {old: new, unwanted: null}}."""
    keep: Literal["intersection", "union"] | None = None
    """What becomes of features that not all have: dropped; or filled with zeros, which a column KEY_is_pad marks.
    Default: what the mixture file says in `features`; without a file they are refused."""
    storage: Storage = "keep"
    """How cameras are kept: as video, as pictures in the tables (PNG), or as they are."""
    fps: float | None = None
    """Resample all datasets to so many frames per second. Default: they must have one rate."""
    robot_type: str | None = None
    """The merged dataset's. Default: that of all; where they differ, it must be given."""
    normalize_tasks: Switch = False
    """Take tasks for one whose texts differ only in case, spaces, form of letters or a last dot or exclamation mark."""
    task_map: Path | None = None
    """A file with other texts for tasks: {old: new}."""
    provenance: Switch = False
    """Write into each episode's metadata where it comes from: the columns source and source_episode_index."""
    drop_duplicates: Switch = False
    """Leave out episodes that equal an earlier one in actions and all other numbers, in place of refusing them."""


def run(argv: Sequence[str]) -> int:
    """Merges what `argv` names. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix merge", args=list(argv), use_underscores=True)
    if arguments.robot_type is not None and not arguments.robot_type.strip():
        raise ConfigError("--robot_type is empty. Name the robot, or leave it out.")
    config, keep = _config(arguments)
    wishes = Wishes(
        keep,
        arguments.storage,
        arguments.robot_type,
        arguments.normalize_tasks,
        {} if arguments.task_map is None else _texts(arguments.task_map),
        arguments.provenance,
        arguments.drop_duplicates,
        arguments.writing.codec or "libsvtav1",
    )
    joined = merged(config, wishes)
    used = {path.resolve() for path in sources_of(joined.content)}
    unused = [path for path in joined.sources if path.resolve() not in used]
    refusals = (*joined.refusals, *no_source(arguments.writing.out.absolute(), unused))
    return write(joined.content, arguments.writing, notes=joined.notes, refusals=refusals)


def _config(arguments: Arguments) -> tuple[MixtureConfig, Literal["intersection", "union"] | None]:
    """What is merged, and what becomes of features that not all have."""
    pair = [path for path in (arguments.first, arguments.second) if path is not None]
    given = [bool(arguments.paths), bool(pair), arguments.config is not None]
    if sum(given) != 1 or len(pair) == 1:
        found = [name for name, value in _ways(arguments).items() if value]
        raise ConfigError(
            "say what to merge by one of: paths, --first with --second, --config. "
            f"Found {' and '.join(found) or 'none of them'}."
        )
    if arguments.config is not None:
        if arguments.map is not None:
            raise ConfigError("--map cannot stand beside --config, whose datasets have a `feature_map` of their own.")
        config = _mixture(arguments.config)
        keep: Literal["intersection", "union"] | None = arguments.keep or config.features
    else:
        paths = list(arguments.paths) or pair
        for path in paths:
            _expect_there(path)
        maps = {} if arguments.map is None else _maps(arguments.map, paths)
        entries = [{"root": str(path), "feature_map": maps.get(path, {})} for path in paths]
        origin = None if arguments.map is None else str(arguments.map)
        config, keep = MixtureConfig.from_dict({"datasets": entries}, origin=origin), arguments.keep
    return replace(config, rate=config.rate if arguments.fps is None else arguments.fps), keep


def _ways(arguments: Arguments) -> dict[str, object]:
    """What datasets can be named by."""
    return {
        "paths": arguments.paths,
        "--first": arguments.first,
        "--second": arguments.second,
        "--config": arguments.config,
    }


def _expect_there(path: Path) -> None:
    path = expanded(path)
    if not path.exists():
        neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ConfigError(f"{path} does not exist, expected a dataset.{did_you_mean(path.name, neighbours)}")


def _mixture(path: Path) -> MixtureConfig:
    data = read_document(path)
    if not isinstance(data.get("dataset"), Mapping):
        hint = " Put what is there below `dataset:`, indented." if "datasets" in data else ""
        raise ConfigError(f"{path} has no block `dataset:`, which says what the mixture is.{hint}")
    return MixtureConfig.from_dict(data["dataset"], origin=str(path))


def _maps(file: Path, paths: Sequence[Path]) -> dict[Path, Any]:
    """The feature map of each dataset, which the file names by its path or its folder's name."""
    made: dict[Path, Any] = {}
    found = read_document(file, _MAP)
    if not found:
        raise ConfigError(f"{file} names no dataset. It holds, for example, {_MAP}.")
    for name, names in found.items():
        meant = [path for path in paths if str(name) in (str(path), path.name)]
        if len(meant) != 1:
            known = [path.name for path in paths]
            problem = "two datasets; name one by its path." if meant else f"no dataset.{did_you_mean(str(name), known)}"
            raise ConfigError(f"{file}: {name!r} is {problem} Here: {', '.join(map(str, paths))}")
        if meant[0] in made:
            raise ConfigError(f"{file}: {meant[0]} is there twice, by its path and by its folder's name. Leave one.")
        if not isinstance(names, Mapping):
            raise ConfigError(f"{file}: {name!r} has {names!r}, expected names of its features, such as {_MAP}.")
        made[meant[0]] = names
    return made


def _texts(file: Path) -> dict[str, str]:
    texts = read_document(file, _TEXTS)
    if not texts:
        raise ConfigError(f"{file} changes no text. It holds, for example, {_TEXTS}.")
    for old, new in texts.items():
        if not isinstance(new, str) or not new.strip():
            raise ConfigError(f"{file}: task {old!r} becomes {new!r}, expected a text.")
    return {str(old): new for old, new in texts.items()}

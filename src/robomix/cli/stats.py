"""`robomix stats`: the normalization statistics of a mixture, printed and written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.statistics.compute import Group, Stats, mixture_groups, mixture_stats, step_stats
from robomix.statistics.given import sampling_of
from robomix.statistics.groups import folder_name
from robomix.statistics.stats_files import write_lerobot, write_openpi
from robomix.statistics.table import as_table, step_table

CAMERAS = "cameras keep their own mean and std here; a training with use_imagenet_stats takes ImageNet's"


@dataclass(frozen=True)
class Arguments:
    """Computes the statistics a mixture is normalized with: after its transforms, of each normalization group.

    They are kept in the cache, where a training finds them. --out writes them as files too: GROUP/meta/stats.json as
    LeRobot has it, and GROUP/norm_stats.json as openpi has it (assets_dir/asset_id). `dataset.stats` takes the folder.
    """

    config_path: Annotated[Path, tyro.conf.Positional]
    """Mixture file: its `dataset:` block, and for actions relative to a chunk's start its `policy:` block."""
    by: Literal["global", "source", "embodiment"] | None = None
    """Which datasets share statistics; default: what the file says in `normalize_by`."""
    out: Path | None = None
    """Folder for the files; default: none are written."""
    asset_id: str | None = None
    """Name of the folder in `out`, of a mixture with one group; default: the group's name."""
    json: bool = False
    """Print the statistics as JSON, for programs."""


def run(argv: Sequence[str]) -> int:
    """Computes, prints and writes what `argv` says. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix stats", args=list(argv), use_underscores=True)
    data = read_document(arguments.config_path)
    if not isinstance(data.get("dataset"), Mapping):
        raise ConfigError(f"{arguments.config_path} has no block `dataset:`, which says what the mixture is.")
    config = MixtureConfig.from_dict(data["dataset"], origin=str(arguments.config_path))
    config = replace(config, normalize_by=arguments.by or config.normalize_by)
    mixture = make_mixture(config, policy=_policy(data, str(arguments.config_path)))
    sampling = sampling_of(mixture, config)
    groups = mixture_groups(mixture, sampling=sampling)
    folders = _folders(arguments, list(groups))
    steps = step_stats(mixture, sampling=sampling)
    stats = mixture_stats(mixture, sampling=sampling)
    if arguments.json:
        print(json.dumps({name: _record(groups[name], stats[name], steps.get(name, {})) for name in groups}, indent=2))
    else:
        _print(mixture, groups, stats, steps)
    for name, folder in folders.items():
        own = _of_the_robot(groups[name], stats[name], mixture)
        written = [write_lerobot(folder, own), write_openpi(folder, own)]
        if not arguments.json:
            paths = " and ".join(str(path) for path in written if path is not None)
            Console().print(f"{name}: {paths}", highlight=False, soft_wrap=True)
    return 0


def _policy(data: Mapping[str, Any], origin: str) -> Any:
    """The file's policy, whose windows are those of its chunks; None where it names none."""
    if data.get("policy") is None:
        return None
    from robomix.problems import report
    from robomix.training.choices import build_block, choice_problems  # importing LeRobot takes seconds

    if problems := choice_problems("policy", data["policy"], ("policy",)):
        raise report(problems, origin=origin)
    return build_block("policy", data["policy"], origin)


def _folders(arguments: Arguments, groups: Sequence[str]) -> dict[str, Path]:
    """Where the files of each group go."""
    if arguments.asset_id is not None and (arguments.out is None or len(groups) > 1):
        why = f"the mixture has {len(groups)} groups: {', '.join(groups)}" if arguments.out else "there is no --out"
        raise ConfigError(f"--asset_id={arguments.asset_id} names one folder in --out, but {why}.")
    if arguments.out is None:
        return {}
    return {group: arguments.out / (arguments.asset_id or folder_name(group)) for group in groups}


def _of_the_robot(group: Group, stats: Stats, mixture: Mixture) -> Stats:
    """The group's own features, and of vectors its own entries: without what other robots have, or what tells them."""
    own = {}
    for key, feature in mixture.schema.features.items():
        if any(key in source.features for source in group.sources):
            front = mixture.schema.in_front(key)
            entries = slice(front, front + group.width(key)) if feature.is_vector else slice(None)
            own[key] = {n: v if n == "count" else v[entries] for n, v in stats[key].items()}
    return own


def _print(mixture: Mixture, groups: dict[str, Group], stats: dict[str, Stats], steps: dict[str, Stats]) -> None:
    console = Console()
    for name, group in groups.items():
        console.print(as_table(name, group, stats[name], mixture.schema))
        for key, of_key in steps.get(name, {}).items():
            console.print(step_table(name, group, key, of_key))
    if mixture.camera_keys:
        console.print(CAMERAS, highlight=False, soft_wrap=True)


def _record(group: Group, stats: Stats, steps: Stats) -> dict[str, Any]:
    """A group's statistics as plain data."""
    shares = {source.name: float(share) for source, share in zip(group.sources, group.shares, strict=True)}
    return {"sources": shares, "features": _plain(stats), "by_step": _plain(steps)}


def _plain(stats: Stats) -> dict[str, Any]:
    return {key: {name: value.tolist() for name, value in of_key.items()} for key, of_key in stats.items()}

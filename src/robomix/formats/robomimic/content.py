"""All that a robomimic file holds besides the values of its arrays: what reading starts from, and writing ends with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robomix.formats.hdf5_episodes import EpisodeGroup, Survey, Surveyor, described
from robomix.formats.hdf5_handles import handles
from robomix.formats.robomimic.layout import (
    check_samples,
    check_total,
    data_group,
    demonstrations,
    read_env_args,
    subsets_of,
)
from robomix.formats.robomimic.names import key_of

_KNOWN = ("actions", "rewards", "dones", "states", "action_dict")


@dataclass(frozen=True)
class Content:
    """What was found in a file."""

    demonstrations: list[EpisodeGroup]
    """In the order of their numbers."""
    survey: Survey
    """What they have in common."""
    env_args: dict[str, Any] | None
    subsets: dict[str, list[int]]
    left_out: list[str]
    """What is not read besides features, and why."""


def read_content(path: Path) -> Content:
    """Look through the whole file. Raises FormatError for what cannot be used."""
    with handles.lend(path) as handle:
        data = data_group(handle.file, path)
        left_out: list[str] = []
        demos = demonstrations(data, path, left_out)
        env_args = read_env_args(data, path, left_out)
        subsets = subsets_of(handle.file, path, left_out)
        surveyor = Surveyor(
            key_of, described, required=["actions"], strict=lambda name: name.split("/")[0] in ("obs", *_KNOWN)
        )
        for demo in demos:
            surveyor.add(demo)
            check_samples(data, demo, surveyor.found.lengths[-1])
        check_total(data, path, sum(surveyor.found.lengths))
    return Content(demos, surveyor.found, env_args, subsets, left_out)

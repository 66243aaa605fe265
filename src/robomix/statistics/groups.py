"""Which sources are normalized together."""

from collections.abc import Sequence

from robomix.mixture.groups import group_name
from robomix.mixture.source import Source


def group_names(sources: Sequence[Source], normalize_by: str) -> list[str]:
    """For each source the name of its normalization group (`mixture.groups.group_name`)."""
    return [group_name(s.config, s.name, s.dataset.robot_type, normalize_by) for s in sources]


def folder_name(group: str) -> str:
    """A group's name as the name of one folder: repo ids have a slash."""
    return group.replace("/", "--")

"""Which sources are normalized together."""

from collections.abc import Sequence

from robomix.mixture.source import Source


def group_names(sources: Sequence[Source], normalize_by: str) -> list[str]:
    """For each source the name of its normalization group.

    A source's own `group` wins. Otherwise `global` puts all in one group named so, `source` gives each its own, and
    `embodiment` joins those of one robot type (a source without one is a group of its own).
    """
    names = []
    for source in sources:
        by = {"global": "global", "source": source.name, "embodiment": source.dataset.robot_type or source.name}
        names.append(source.config.group or by[normalize_by])
    return names


def folder_name(group: str) -> str:
    """A group's name as the name of one folder: repo ids have a slash."""
    return group.replace("/", "--")

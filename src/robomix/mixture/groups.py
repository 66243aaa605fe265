"""Which sources are normalized together."""

from robomix.config import SourceConfig


def group_name(config: SourceConfig, name: str, robot_type: str | None, normalize_by: str) -> str:
    """The normalization group of the source `name`, whose dataset is of `robot_type`.

    A source's own `group` wins. Otherwise `global` puts all in one group named so, `source` gives each its own, and
    `embodiment` joins those of one robot type (a source without one is a group of its own).
    """
    by = {"global": "global", "source": name, "embodiment": robot_type or name}
    return config.group or by[normalize_by]

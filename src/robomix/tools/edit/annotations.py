"""Columns whose values are numbers of tasks: the annotations of GR00T's datasets.

They follow the list of tasks: where a task gets another number, so must they. GR00T names them in meta/modality.json,
and in LeRobot's list of features as `annotation.*`
(https://github.com/NVIDIA/Isaac-GR00T, getting_started/data_preparation.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.files import read_json
from robomix.formats.lerobot.write_tables import numeric_column
from robomix.tools.build.content import Content, Declared, Rows
from robomix.tools.build.tables import numbers


def annotations(content: Content) -> list[str]:
    """The columns of `content` that hold numbers of tasks."""
    path = content.meta_files.get("modality.json")
    section = read_json(path).get("annotation") if path is not None else None
    entries = section if isinstance(section, dict) else {}
    named = {str((entry or {}).get("original_key") or f"annotation.{name}") for name, entry in entries.items()}
    return [
        key
        for key in content.columns
        if (key in named or key.startswith("annotation.")) and str(content.features[key]["dtype"]) in _WHOLE
    ]


def renumbered(content: Content, new: Sequence[int]) -> Content:
    """`content` whose annotations say `new[i]` where they said i."""
    keys = annotations(content)
    if not keys or list(new) == list(range(len(new))):
        return content
    specs = {key: content.features[key] for key in keys}
    made = (
        replace(episode, rows=Renumbered(episode.rows, specs, tuple(new), episode.origin.dataset))
        for episode in content.episodes
    )
    return replace(content, episodes=tuple(made))


@dataclass(frozen=True)
class Renumbered:
    """Rows whose annotations name tasks by other numbers."""

    rows: Rows
    columns: dict[str, Declared]
    new: tuple[int, ...]
    """The new number of each old one."""
    dataset: str

    def table(self) -> pa.Table:
        table = self.rows.table()
        for key, spec in self.columns.items():
            old = numbers(table, key, spec)
            assert old is not None
            if len(old) and not 0 <= old.min() <= old.max() < len(self.new):
                wrong = old.min() if old.min() < 0 else old.max()
                raise FormatError(f"{self.dataset}: {key!r} names task {wrong}, and there are {len(self.new)} tasks.")
            made = numeric_column(np.array(self.new, old.dtype)[old])
            table = table.set_column(table.column_names.index(key), key, made)
        return table

    @property
    def size(self) -> int:
        return self.rows.size


_WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))

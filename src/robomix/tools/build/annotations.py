"""Columns whose values are numbers of tasks: the annotations of GR00T's datasets.

They follow the list of tasks: where a task gets another number, so must they. GR00T names them in meta/modality.json,
and in LeRobot's list of features as `annotation.*`
(https://github.com/NVIDIA/Isaac-GR00T, getting_started/data_preparation.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from robomix.errors import FormatError
from robomix.files import read_json
from robomix.formats.gr00t import DESCRIBES_TASK
from robomix.formats.lerobot.write_tables import numeric_column
from robomix.tools.build.content import Content, Declared, Rows
from robomix.tools.build.tables import numbers


def annotations(content: Content) -> list[str]:
    """The columns of `content` that hold numbers of tasks."""
    named = set(_named(content).values())
    return [
        key
        for key in content.columns
        if (key in named or key.startswith("annotation.")) and str(content.features[key]["dtype"]) in _WHOLE
    ]


def describing(content: Content) -> str | None:
    """The column whose numbers readers of GR00T's datasets take for the task of a frame; None: `task_index`."""
    known = annotations(content)
    of_task = [key for name, key in _named(content).items() if DESCRIBES_TASK.search(name)]
    first = next((key for key in of_task if key == "task_index" or key in known), "task_index")
    return None if first == "task_index" else first


def _named(content: Content) -> dict[str, str]:
    """Annotation to its column, as meta/modality.json has them."""
    path = content.meta_files.get("modality.json")
    section = read_json(path).get("annotation") if path is not None else None
    entries = section if isinstance(section, dict) else {}
    return {name: str((entry or {}).get("original_key") or f"annotation.{name}") for name, entry in entries.items()}


def renumbered(content: Content, new: Mapping[int, int]) -> Content:
    """`content` whose annotations say `new[i]` where they said i."""
    keys = annotations(content)
    if not keys or all(old == number for old, number in new.items()):
        return content
    specs, pairs = {key: content.features[key] for key in keys}, tuple(sorted(new.items()))
    made = (
        replace(episode, rows=Renumbered(episode.rows, specs, pairs, episode.origin.dataset))
        for episode in content.episodes
    )
    return replace(content, episodes=tuple(made))


def following(content: Content, texts: Mapping[int, str]) -> Content:
    """`content`, whose annotations name the tasks `texts` by the numbers there, with the numbers these have in it.

    A table of tasks may have gaps, and a text twice; what is written has neither.
    """
    place = {text: number for number, text in enumerate(content.tasks)}
    return renumbered(content, {old: place[text] for old, text in texts.items()})


@dataclass(frozen=True)
class OfOneTask:
    """Rows of which an annotation names one task throughout."""

    rows: Rows
    key: str
    number: int
    dtype: str
    """Of the column."""

    def table(self) -> pa.Table:
        table = self.rows.table()
        made = numeric_column(np.full(len(table), self.number, self.dtype))
        return table.set_column(table.column_names.index(self.key), self.key, made)

    @property
    def size(self) -> int:
        return self.rows.size


@dataclass(frozen=True)
class Renumbered:
    """Rows whose annotations name tasks by other numbers."""

    rows: Rows
    columns: dict[str, Declared]
    new: tuple[tuple[int, int], ...]
    """(old number, new number) of each task, in the order of the old ones."""
    dataset: str

    def table(self) -> pa.Table:
        """See `Rows`. Raises FormatError for a number that is no task's."""
        table = self.rows.table()
        for key, spec in self.columns.items():
            said = numbers(table, key, spec)
            assert said is not None
            made = numeric_column(self._new(key, said))
            table = table.set_column(table.column_names.index(key), key, made)
        return table

    def _new(self, key: str, said: np.ndarray) -> np.ndarray:
        old, new = np.array(self.new, np.int64).reshape(-1, 2).T
        unknown = ~np.isin(said, old)
        if unknown.any():
            raise FormatError(
                f"{self.dataset}: {key!r} names task {said[unknown][0]}, and there is none of that number among the "
                f"{len(old)}. Correct the column, or leave it out (robomix drop)."
            )
        return new[np.searchsorted(old, said)].astype(said.dtype)

    @property
    def size(self) -> int:
        return self.rows.size


_WHOLE = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))

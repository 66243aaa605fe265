"""Defects of family K: the task table, and which frames and episodes have which task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.damage import edit_info
from tests.defects.corpus import V2, Expected, Injection, data_files, edit_lines, edit_list, edit_table, injection
from tests.defects.features import declare, edit_tables

INJECTIONS: list[Injection] = []


def edit_tasks(folder: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edit the rows of the task table, `task_index` and `task`, in place."""
    if (lines := folder / "meta/tasks.jsonl").exists():
        edit_lines(lines, edit)
        return
    file = folder / "meta/tasks.parquet"
    table = pq.read_table(file)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), file)


def rename_in_lists(folder: Path, old: str, new: str) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["tasks"] = [new if task == old else task for task in row["tasks"]]

    edit_list(folder, edit)


@injection(INJECTIONS, "K01")
def a_task_that_frames_have_is_not_in_the_table(folder: Path) -> Expected:
    edit_tasks(folder, lambda rows: rows.pop(1))
    edit_info(folder, total_tasks=1)
    return Expected("task_index", (1,))


@injection(INJECTIONS, "K01")
def a_text_is_empty(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows[1].update(task=" "))


@injection(INJECTIONS, "K01")
def a_text_is_a_placeholder(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows[1].update(task="TODO"))
    rename_in_lists(folder, "task 1", "TODO")


@injection(INJECTIONS, "K02", ("v3.0",))
def the_table_is_out_of_order(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows.reverse())


@injection(INJECTIONS, "K02")
def the_table_has_a_gap(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows[1].update(task_index=5))

    def renumber(columns: dict[str, list[Any]]) -> None:
        columns["task_index"] = [5 if task == 1 else task for task in columns["task_index"]]

    for file in data_files(folder):
        edit_table(file, renumber)


@injection(INJECTIONS, "K02", V2)
def a_number_stands_for_two_texts(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows.append({"task_index": 1, "task": "wipe the table"}))


@injection(INJECTIONS, "K03")
def two_tasks_have_the_same_text(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows[1].update(task="task 0"))
    rename_in_lists(folder, "task 1", "task 0")


@injection(INJECTIONS, "K03")
def two_texts_differ_in_the_dot_alone(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows[1].update(task="Task  0."))
    rename_in_lists(folder, "task 1", "Task  0.")


@injection(INJECTIONS, "K04")
def an_episode_lists_another_task(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[1].update(tasks=["wipe the table"]))
    return Expected("task_index", (1,))


@injection(INJECTIONS, "K04")
def an_episode_lists_a_task_too_many(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[0].update(tasks=["task 0", "task 1"]))
    return Expected("task_index", (0,))


@injection(INJECTIONS, "K05")
def no_frame_has_one_of_the_tasks(folder: Path) -> None:
    edit_tasks(folder, lambda rows: rows.append({"task_index": 2, "task": "wipe the table"}))
    edit_info(folder, total_tasks=3)


@injection(INJECTIONS, "K06", companions=("A01",))
def the_table_of_subtasks_is_lost(folder: Path) -> Expected:
    edit_tables(folder, lambda table: table.append_column("subtask_index", pa.array([0] * len(table), pa.int64())))
    declare(folder, "subtask_index", dtype="int64", shape=[1], names=None)
    return Expected("subtask_index")

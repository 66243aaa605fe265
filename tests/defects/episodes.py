"""Defects of family E: the list of episodes, and the rows of the data files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.damage import drop_parquet_footer, edit_info, replace_by_lfs_pointer, truncate
from tests.defects.corpus import (
    V2,
    Expected,
    Injection,
    data_files,
    edit_list,
    edit_table,
    injection,
    rows_of,
    video_files,
)

INJECTIONS: list[Injection] = []
V3 = ("v3.0",)
ONE_FILE_EACH = {"episodes_per_data_file": 1}


def rewrite(file: Path, table: pa.Table, groups: list[int]) -> None:
    with pq.ParquetWriter(file, table.schema) as writer:
        for i, rows in enumerate(groups):
            writer.write_table(table.slice(sum(groups[:i]), rows))


def edit_rows(folder: Path, episode: int, **columns: Any) -> None:
    """Apply a function to a column's values in the rows of an episode: name=function of the list."""
    file, rows = rows_of(folder, episode)

    def edit(table: dict[str, list[Any]]) -> None:
        for key, change in columns.items():
            table[key][rows] = change(table[key][rows])

    edit_table(file, edit)


def plus(number: int) -> Any:
    return lambda values: [value + number for value in values]


@injection(INJECTIONS, "E01")
def an_episode_is_listed_twice(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows.append(dict(rows[1])))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E01", V2)
def a_number_is_left_out(folder: Path) -> Expected:
    """As after the episodes 2, 3 and 4 were deleted by hand; everything agrees on 5."""
    for file in (data_files(folder)[2], video_files(folder)[2]):
        file.rename(file.with_stem("episode_000005"))
    edit_rows(folder, 2, episode_index=plus(3))
    edit_list(folder, lambda rows: rows[2].update(episode_index=5))
    stats = folder / "meta/episodes_stats.jsonl"
    if stats.exists():
        stats.write_text(stats.read_text().replace('"episode_index": 2', '"episode_index": 5'))
    return Expected(episodes=(5,))


@injection(INJECTIONS, "E01", V3)
def a_number_is_left_out_of_the_list_and_the_rows(folder: Path) -> Expected:
    edit_rows(folder, 2, episode_index=plus(3))
    edit_list(folder, lambda rows: rows[2].update(episode_index=5))
    return Expected(episodes=(5,))


@injection(INJECTIONS, "E01", V3, companions=("E05",))
def the_list_is_out_of_order(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows.insert(0, rows.pop(1)))
    return Expected(episodes=(0, 1))


@injection(INJECTIONS, "E02", V2)
def an_episode_is_listed_that_has_no_files(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows.append(rows[2] | {"episode_index": 3}))
    edit_info(folder, total_episodes=4)
    return Expected(episodes=(3,))


@injection(INJECTIONS, "E02", V3, companions=("E05", "A03"))
def an_episode_is_listed_that_has_no_rows(folder: Path) -> Expected:
    bounds = {"dataset_from_index": 15, "dataset_to_index": 18}
    edit_list(folder, lambda rows: rows.append(rows[2] | bounds | {"episode_index": 3}))
    edit_info(folder, total_episodes=4)
    return Expected(episodes=(3,))


@injection(INJECTIONS, "E03", companions=("E05", "A03", "V04"))
def the_last_episode_is_not_listed(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows.pop())
    edit_info(folder, total_episodes=2, splits={"train": "0:2"})
    return Expected(episodes=(2,))


@injection(INJECTIONS, "E04")
def a_length_is_too_large(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[1].update(length=8))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E04")
def a_length_is_too_small(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[0].update(length=4))
    return Expected(episodes=(0,))


@injection(INJECTIONS, "E05", V3)
def the_bounds_of_an_episode_overlap_the_next(folder: Path) -> None:
    edit_list(folder, lambda rows: rows[0].update(dataset_to_index=6))


@injection(INJECTIONS, "E05", V3)
def the_bounds_do_not_begin_at_0(folder: Path) -> None:
    def shift(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["dataset_from_index"] += 100
            row["dataset_to_index"] += 100

    edit_list(folder, shift)


@injection(INJECTIONS, "E05", V3)
def a_bound_is_null(folder: Path) -> None:
    edit_list(folder, lambda rows: rows[2].update(dataset_from_index=None))


@injection(INJECTIONS, "E06", V3, spec=ONE_FILE_EACH)
def a_file_number_is_that_of_another_file(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[1].update({"data/file_index": 0}))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E06", V3, spec=ONE_FILE_EACH)
def a_file_number_is_that_of_no_file(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[1].update({"data/file_index": 9}))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E07")
def two_rows_say_that_they_are_of_another_episode(folder: Path) -> Expected:
    edit_rows(folder, 1, episode_index=lambda values: [*values[:-2], 0, 0])
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E07")
def a_whole_episode_says_that_it_is_another(folder: Path) -> Expected:
    edit_rows(folder, 1, episode_index=plus(-1))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E08")
def frame_index_starts_at_1(folder: Path) -> Expected:
    edit_rows(folder, 1, frame_index=plus(1))
    return Expected("frame_index", (1,))


@injection(INJECTIONS, "E08")
def frame_index_stands_still(folder: Path) -> Expected:
    edit_rows(folder, 0, frame_index=lambda values: [0, 1, 2, 3, 3])
    return Expected("frame_index", (0,))


@injection(INJECTIONS, "E08")
def index_jumps(folder: Path) -> Expected:
    edit_rows(folder, 2, index=plus(100))
    return Expected("index", (2,))


@injection(INJECTIONS, "E09")
def two_rows_are_exchanged(folder: Path) -> Expected:
    file, rows = rows_of(folder, 1)

    def exchange(table: dict[str, list[Any]]) -> None:
        a, b = rows.start + 2, rows.start + 3
        for values in table.values():
            values[a], values[b] = values[b], values[a]

    edit_table(file, exchange)
    return Expected("frame_index", (1,))


@injection(INJECTIONS, "E09", V3)
def an_episode_lies_in_two_places(folder: Path) -> Expected:
    def move(table: dict[str, list[Any]]) -> None:
        for values in table.values():
            values.append(values.pop(11))  # the last row of episode 1, behind episode 2

    edit_table(data_files(folder)[0], move)
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E10")
def an_empty_episode_is_listed(folder: Path) -> Expected:
    def append(rows: list[dict[str, Any]]) -> None:
        empty = {key: None if key.startswith("stats/") else value for key, value in rows[2].items()}
        bounds = {"dataset_from_index": 15, "dataset_to_index": 15} if "dataset_to_index" in empty else {}
        rows.append(empty | bounds | {"episode_index": 3, "length": 0})

    edit_list(folder, append)
    edit_info(folder, total_episodes=4)
    return Expected(episodes=(3,))


@injection(INJECTIONS, "E11")
def the_recorder_was_killed_before_it_listed_an_episode(folder: Path) -> None:
    edit_info(folder, total_episodes=4, total_frames=20)


@injection(INJECTIONS, "E12", companions=("V04",), spec=ONE_FILE_EACH)
def a_data_file_has_no_footer(folder: Path) -> Expected:
    drop_parquet_footer(data_files(folder)[1])
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E12", companions=("V04",), spec=ONE_FILE_EACH)
def a_data_file_is_cut_off(folder: Path) -> Expected:
    truncate(data_files(folder)[2])
    return Expected(episodes=(2,))


@injection(INJECTIONS, "E12", companions=("V04",), spec=ONE_FILE_EACH)
def a_data_file_is_empty(folder: Path) -> Expected:
    data_files(folder)[0].write_bytes(b"")
    return Expected(episodes=(0,))


@injection(INJECTIONS, "E12")
def all_data_files_are_pointers(folder: Path) -> Expected:
    for file in data_files(folder):
        replace_by_lfs_pointer(file)
    return Expected(episodes=(0, 1, 2))


@injection(INJECTIONS, "E13", V3)
def all_episodes_are_in_one_row_group(folder: Path) -> None:
    file = data_files(folder)[0]
    rewrite(file, pq.read_table(file), [15])


@injection(INJECTIONS, "E14", spec=ONE_FILE_EACH)
def columns_are_in_another_order(folder: Path) -> Expected:
    file = data_files(folder)[1]
    table = pq.read_table(file)
    rewrite(file, table.select(table.column_names[::-1]), [7])
    return Expected(episodes=(1,))


@injection(INJECTIONS, "E14", spec=ONE_FILE_EACH)
def a_file_lacks_a_column(folder: Path) -> Expected:
    file = data_files(folder)[1]
    rewrite(file, pq.read_table(file).drop_columns(["action"]), [7])
    return Expected("action", (1,))


@injection(INJECTIONS, "E14", companions=("F02",), spec=ONE_FILE_EACH)
def a_file_has_a_column_of_another_type(folder: Path) -> Expected:
    file = data_files(folder)[1]
    table = pq.read_table(file)
    place = table.column_names.index("action")
    wide = table["action"].cast(pa.list_(pa.float64(), 2))
    rewrite(file, table.set_column(place, "action", wide), [7])
    return Expected("action", (1,))


@injection(INJECTIONS, "E14")
def pandas_left_its_index(folder: Path) -> None:
    for file in data_files(folder):
        table = pq.read_table(file)
        rewrite(file, table.append_column("__index_level_0__", pa.array(range(len(table)))), [len(table)])
    # One row group in v3.0 is E13, which only informs.


@injection(INJECTIONS, "E14", spec=ONE_FILE_EACH)
def a_file_has_lists_where_others_have_sequences(folder: Path) -> Expected:
    file = data_files(folder)[1]
    table = pq.read_table(file)
    described = json.loads(table.schema.metadata[b"huggingface"])
    for kind in described["info"]["features"].values():
        if kind["_type"] == "Sequence":
            kind["_type"] = "List"
    rewrite(file, table.replace_schema_metadata({"huggingface": json.dumps(described)}), [7])
    return Expected(episodes=(1,))

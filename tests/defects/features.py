"""Defects of family F: what is declared, and what the columns and videos are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.defects.corpus import Expected, Injection, data_files, edit_json, injection

INJECTIONS: list[Injection] = []
STATE, CAMERA = "observation.state", "observation.images.top"
NUMBER = {"dtype": "float32", "shape": [1], "names": None}


def declare(folder: Path, key: str, **changes: Any) -> None:
    """Change the declaration of a feature; of one that there is not, add it."""

    def edit(info: dict[str, Any]) -> None:
        spec = info["features"].setdefault(key, {})
        spec.update(changes)

    edit_json(folder / "meta/info.json", edit)


def edit_tables(folder: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrite all data files, with their row groups."""
    for file in data_files(folder):
        parquet = pq.ParquetFile(file)
        groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        table = edit(parquet.read())
        with pq.ParquetWriter(file, table.schema) as writer:
            for i, rows in enumerate(groups):
                writer.write_table(table.slice(sum(groups[:i]), rows))


def replaced(table: pa.Table, key: str, column: Any) -> pa.Table:
    return table.set_column(table.column_names.index(key), key, column)


@injection(INJECTIONS, "F01")
def a_declared_column_is_absent(folder: Path) -> Expected:
    declare(folder, "gripper", **NUMBER)
    return Expected("gripper")


@injection(INJECTIONS, "F01")
def a_declared_camera_has_no_videos(folder: Path) -> Expected:
    declare(folder, "observation.images.wrist", dtype="video", shape=[32, 48, 3], names=["height", "width", "channels"])
    return Expected("observation.images.wrist")


@injection(INJECTIONS, "F01")
def the_actions_are_gone(folder: Path) -> Expected:
    edit_tables(folder, lambda table: table.drop_columns(["action"]))
    return Expected("action")


@injection(INJECTIONS, "F01")
def a_column_is_not_declared(folder: Path) -> Expected:
    edit_tables(folder, lambda table: table.append_column("force", pa.array([float(i) for i in range(len(table))])))
    return Expected("force")


@injection(INJECTIONS, "F01")
def there_is_no_frame_index(folder: Path) -> Expected:
    edit_tables(folder, lambda table: table.drop_columns(["frame_index"]))
    return Expected("frame_index")


@injection(INJECTIONS, "F01")
def there_is_no_index(folder: Path) -> Expected:
    edit_tables(folder, lambda table: table.drop_columns(["index"]))
    return Expected("index")


@injection(INJECTIONS, "F02")
def another_dtype_is_declared(folder: Path) -> Expected:
    declare(folder, STATE, dtype="float64")
    return Expected(STATE)


@injection(INJECTIONS, "F02")
def no_dtype_that_there_is_is_declared(folder: Path) -> Expected:
    declare(folder, STATE, dtype="float33")
    return Expected(STATE)


@injection(INJECTIONS, "F02", companions=("F03", "A01"))
def another_shape_is_declared(folder: Path) -> Expected:
    declare(folder, STATE, shape=[4])
    return Expected(STATE)


@injection(INJECTIONS, "F02")
def rows_differ_in_size(folder: Path) -> Expected:
    def shorten(table: pa.Table) -> pa.Table:
        values = table[STATE].to_pylist()
        return replaced(table, STATE, pa.array([values[0][:2], *values[1:]], pa.list_(pa.float32())))

    edit_tables(folder, shorten)
    return Expected(STATE)


@injection(INJECTIONS, "F02")
def numbers_are_stored_as_text(folder: Path) -> Expected:
    edit_tables(
        folder, lambda table: replaced(table, "action", pa.array([str(v) for v in table["action"].to_pylist()]))
    )
    return Expected("action")


@injection(INJECTIONS, "F02", ("v3.0",), spec={"extra": {"gripper": (1,)}})
def a_single_number_is_stored_in_lists(folder: Path) -> Expected:
    def wrap(table: pa.Table) -> pa.Table:
        return replaced(table, "gripper", pa.array([[v] for v in table["gripper"].to_pylist()], pa.list_(pa.float32())))

    edit_tables(folder, wrap)
    return Expected("gripper")


@injection(INJECTIONS, "F03")
def there_are_fewer_names_than_entries(folder: Path) -> Expected:
    declare(folder, STATE, names=["x", "y"])
    return Expected(STATE)


@injection(INJECTIONS, "F03")
def names_are_a_list_in_a_list(folder: Path) -> Expected:
    declare(folder, STATE, names=[["x", "y", "z"]])
    return Expected(STATE)


@injection(INJECTIONS, "F03")
def the_axes_of_a_camera_have_no_names(folder: Path) -> Expected:
    declare(folder, CAMERA, names=None)
    return Expected(CAMERA)


@injection(INJECTIONS, "F04")
def the_channels_of_a_camera_come_first_against_its_names(folder: Path) -> Expected:
    declare(folder, CAMERA, shape=[3, 32, 48])
    return Expected(CAMERA)


@injection(INJECTIONS, "F04")
def a_camera_is_declared_larger_than_its_videos(folder: Path) -> Expected:
    declare(folder, CAMERA, shape=[480, 640, 3])
    return Expected(CAMERA)


@injection(INJECTIONS, "F05", spec={"storage": "image"})
def pictures_are_described_as_plain_data(folder: Path) -> Expected:
    def strip(table: pa.Table) -> pa.Table:
        described = json.loads(table.schema.metadata[b"huggingface"])
        described["info"]["features"][CAMERA] = {"bytes": {"dtype": "binary", "_type": "Value"}}
        return table.replace_schema_metadata({"huggingface": json.dumps(described)})

    edit_tables(folder, strip)
    return Expected(CAMERA)


@injection(INJECTIONS, "F07")
def a_camera_is_described_twice(folder: Path) -> Expected:
    declare(folder, CAMERA, video_info={"video.fps": 10.0})
    return Expected(CAMERA)


@injection(INJECTIONS, "F07")
def a_feature_has_a_rate_of_its_own(folder: Path) -> Expected:
    declare(folder, "action", fps=25)
    return Expected("action")


@injection(INJECTIONS, "F07")
def one_feature_has_a_rate_and_others_have_none(folder: Path) -> Expected:
    declare(folder, "action", fps=10)
    return Expected(STATE)

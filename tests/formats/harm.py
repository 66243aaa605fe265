"""Ways to damage one file of a fixture, as tables of errors name them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fixtures import edit_info

Damage = Callable[[Path], object]


def write(text: str) -> Damage:
    """Replace the file by this text."""
    return lambda file: file.write_text(text)


def columns(edit: Callable[[pa.Table], pa.Table]) -> Damage:
    """Rewrite a parquet file."""
    return lambda file: pq.write_table(edit(pq.read_table(file)), file)


def without(name: str) -> Damage:
    """Rewrite a parquet file without a column."""
    return columns(lambda table: table.drop_columns([name]))


def replaced(name: str, values: Any) -> Damage:
    """Rewrite a parquet file with other values in a column."""
    return columns(lambda table: table.set_column(table.column_names.index(name), name, [values]))


def info(**changes: Any) -> Damage:
    """Edit keys of info.json."""
    return lambda file: edit_info(file.parent.parent, **changes)


def declared(**features: Any) -> Damage:
    """Add or replace features in info.json."""
    return lambda file: declare(file.parent.parent, **features)


def declare(dataset: Path, **features: Any) -> None:
    known = json.loads((dataset / "meta/info.json").read_text())["features"]
    edit_info(dataset, features=known | features)

"""Columns that are read some rows, or some entries, at a time: what is found and written is the same as in one go."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.tools.build import metadata
from robomix.tools.check.raw import parts
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.raw.moments import moments
from robomix.tools.check.raw.recording import recording_of_raw
from tests.fixtures import write_v30
from tests.tools.edited import edited

LENGTHS = (6, 1, 8, 3)


def table() -> pa.Table:
    """20 rows of numbers, vectors and matrices, of lists that differ in the last row, and of text."""
    rows = np.arange(20)
    ragged = [[1.0, 2.0]] * 19 + [[1.0]]
    matrices = pa.array([[[i, 0], [0, i]] for i in rows.tolist()], pa.list_(pa.list_(pa.int64())))
    columns = {"number": rows, "vector": pa.array([[i, -i] for i in rows.tolist()], pa.list_(pa.float32(), 2))}
    return pa.table(columns | {"matrix": matrices, "ragged": ragged, "text": ["a"] * 20})


@pytest.mark.parametrize("groups", [1, 3, 20])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_parts_end_where_they_are_told_to_and_hold_all_rows(
    tmp_path: Path, groups: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", batch)
    path, whole = tmp_path / "file.parquet", table()
    pq.write_table(whole, path, row_group_size=groups)
    read = list(parts.read_parts(path, ["number", "vector"], [5, 6, 18, 20]))
    assert [len(part["number"]) for part in read] == [5, 1, 12, 2]
    np.testing.assert_array_equal(np.concatenate([part["number"] for part in read]), np.arange(20))
    np.testing.assert_array_equal(np.concatenate([part["vector"] for part in read]), whole["vector"].to_pylist())


def test_a_column_counts_as_one_of_numbers_only_if_all_its_rows_are_equal_in_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_ROWS", 4)
    pq.write_table(table(), tmp_path / "file.parquet")
    found = parts.row_shapes(tmp_path / "file.parquet", table().schema)
    assert found == {"number": (), "vector": (2,), "matrix": (2, 2)}


def test_parts_hold_whole_episodes_of_no_more_numbers_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_VALUES", 20)
    assert parts.stops_at([3, 4, 9, 21, 22], {"vector": (2,)}) == [9, 21, 22]
    assert parts.stops_at([], {"vector": (2,)}) == []


def test_check_sees_the_same_numbers_however_few_it_reads_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_v30(tmp_path / "source", lengths=LENGTHS)
    raw = RawLeRobot(tmp_path / "source")
    keys = ["action", "observation.state"]
    of, profile = moments(raw, keys), recording_of_raw(raw).profile
    monkeypatch.setattr(parts, "_VALUES", 1)
    few_of, few = moments(RawLeRobot(raw.root), keys), recording_of_raw(RawLeRobot(raw.root)).profile
    for key in keys:
        for name in ("ids", "count", "low", "high", "mean", "std"):
            np.testing.assert_allclose(getattr(few_of[key], name), getattr(of[key], name), rtol=1e-12)
        np.testing.assert_array_equal(few.values[key].high, profile.values[key].high)
        assert few.values[key].rows == profile.values[key].rows == sum(LENGTHS)
    assert [(e.episode, e.length, e.content) for e in few.episodes] == [
        (e.episode, e.length, e.content) for e in profile.episodes
    ]


def test_statistics_of_the_whole_are_the_same_however_few_entries_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_v30(tmp_path / "source", lengths=LENGTHS, extra={"pose": (2, 3)})
    edited(tmp_path / "source", tmp_path / "whole")
    monkeypatch.setattr(metadata, "_VALUES", 2 * sum(LENGTHS))
    edited(tmp_path / "source", tmp_path / "parts")
    first, second = (tmp_path / name / "meta" / "stats.json" for name in ("whole", "parts"))
    assert first.read_bytes() == second.read_bytes()

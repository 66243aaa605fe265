"""The column cache: read once, never stale, complete or absent, rebuilt when damaged, safe for many processes."""

import json
import multiprocessing
import os
import pickle
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.errors import ConfigError, FormatError
from robomix.formats import open_dataset
from robomix.formats.columns import Builder, Entry, build, entry_folder, lookup
from tests.fixtures import Truth, edit_info, write_v21, write_v30
from tests.formats.reading import assert_reads, open_quietly


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in cache.glob("columns/*/*"))


def blind(truth: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, opening any parquet or JSON Lines file fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read the source again")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    monkeypatch.setattr("robomix.formats.lerobot.v2.read_json_lines", refuse)


@pytest.mark.parametrize("write", [write_v21, write_v30])
def test_the_second_opening_reads_no_source_file_but_info_json(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, write: type[write_v21]
) -> None:
    truth = write(tmp_path / "set", storage="image")
    open_quietly(truth)
    blind(truth, monkeypatch)
    assert_reads(open_quietly(truth), truth)


def test_columns_are_mapped_from_disk_and_read_only(tmp_path: Path, cache: Path) -> None:
    column = open_quietly(write_v21(tmp_path / "set")).column("action")
    assert isinstance(column.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 0


def test_a_change_of_any_source_file_is_seen(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set")
    before = open_quietly(truth).fingerprint
    file = truth.path / "data/chunk-000/episode_000002.parquet"
    stat, table = file.stat(), pq.read_table(file)
    action = -truth.columns["action"][truth.rows(2)]
    column = pa.array(action.tolist(), table.schema.field("action").type)
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    dataset = open_quietly(truth)
    np.testing.assert_array_equal(dataset.column("action")[truth.rows(2)], action)
    assert dataset.fingerprint != before
    video = next(truth.path.rglob("*.mp4"))
    video.write_bytes(video.read_bytes() + bytes(8))
    assert open_quietly(truth).fingerprint not in (before, dataset.fingerprint)


def test_the_fingerprint_tells_content_not_place_or_age(tmp_path: Path, cache: Path) -> None:
    truth = write_v30(tmp_path / "set", storage="image")
    shutil.copytree(truth.path, tmp_path / "copy")
    os.utime(tmp_path / "copy/meta/info.json", (0, 0))
    fingerprint = open_quietly(truth).fingerprint
    assert open_dataset(tmp_path / "copy").fingerprint == fingerprint
    assert len(entries(cache)) == 2
    for other in ({"seed": 1}, {"tasks": ["x", "y", "z"]}, {"fps": 20}, {"lengths": (5, 6, 4)}):
        changed = write_v30(tmp_path / str(other), storage="image", **other)
        assert open_quietly(changed).fingerprint != fingerprint, other


@pytest.mark.parametrize("damage", ["no meta", "bad meta", "short array", "no array", "no folder"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, cache: Path, damage: str) -> None:
    truth = write_v21(tmp_path / "set")
    open_quietly(truth)
    folder, largest = entries(cache)[0], max(entries(cache)[0].glob("*.bin"), key=lambda path: path.stat().st_size)
    if damage == "no meta":
        (folder / "meta.json").unlink()
    elif damage == "bad meta":
        (folder / "meta.json").write_text('{"arrays": {"action": 5}}')
    elif damage == "short array":
        os.truncate(largest, 4)
    elif damage == "no array":
        largest.unlink()
    else:
        shutil.rmtree(folder)
    assert lookup(folder) is None
    assert_reads(open_quietly(truth), truth)
    assert lookup(folder) is not None


def test_a_failed_build_leaves_nothing_and_the_next_one_succeeds(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    file = truth.path / "data/chunk-000/episode_000002.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:100])
    with pytest.raises(FormatError):
        open_dataset(truth.path)
    assert entries(cache) == []
    file.write_bytes(content)
    assert_reads(open_quietly(truth), truth)


def test_a_build_that_loses_the_race_uses_the_winners_entry(tmp_path: Path, cache: Path) -> None:
    folder = entry_folder(tmp_path, "key")

    def fill(builder: Builder) -> None:
        builder.array("numbers", np.dtype(np.int64), (3,))[:] = 7

    def fill_late(builder: Builder) -> None:
        build(folder, fill)
        builder.array("numbers", np.dtype(np.int64), (3,))[:] = 8

    assert build(folder, fill_late).array("numbers").tolist() == [7, 7, 7]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def open_and_report(path: Path, barrier: Any, results: Any) -> None:
    barrier.wait()
    results.put(open_dataset(path).fingerprint)


def test_processes_that_build_at_the_same_time_all_succeed(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=open_and_report, args=(truth.path, barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert len({results.get(timeout=60) for _ in processes}) == 1
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3
    assert len(entries(cache)) == 1


def test_threads_that_open_at_the_same_time_all_succeed(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(open_dataset(truth.path).fingerprint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_dataset_pickles_small_and_arrives_without_reading_the_source(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = write_v21(tmp_path / "set", lengths=(400,), cameras={}, ghost_cameras=["ghost"])
    with pytest.warns(UserWarning, match="ghost"):
        message = pickle.dumps(open_dataset(truth.path))
    assert len(message) < 1000
    blind(truth, monkeypatch)
    assert_reads(pickle.loads(message), truth)  # and without the warning again


def test_a_dataset_that_changed_before_arrival_is_refused(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    message = pickle.dumps(open_dataset(truth.path))
    shutil.rmtree(entries(cache)[0])
    assert_reads(pickle.loads(message), truth)  # a lost cache is no change
    shutil.rmtree(entries(cache)[0])
    edit_info(truth.path, robot_type="other")
    with pytest.raises(FormatError, match="has changed since it was opened"):
        pickle.loads(message)


def test_nothing_is_written_into_the_dataset(tmp_path: Path, cache: Path) -> None:
    truth = write_v21(tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in truth.path.rglob("*")}
    open_quietly(truth).read_frames("observation.images.top", np.arange(15))
    assert {path: path.stat().st_mtime_ns for path in truth.path.rglob("*")} == before


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = write_v21(tmp_path / "set", cameras={})
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"Cannot write the cache below .*ROBOMIX_CACHE"):
        open_dataset(truth.path)


def test_a_disk_without_room_is_noticed_before_writing(tmp_path: Path, cache: Path) -> None:
    def fill(builder: Builder) -> None:
        builder.array("huge", np.dtype(np.float64), (1 << 50,))

    with pytest.raises(ConfigError, match=r"needs 9,007,199,254,740,992 bytes for 'huge'.*ROBOMIX_CACHE"):
        build(entry_folder(tmp_path, "key"), fill)


def test_old_leftovers_go_and_young_ones_stay(tmp_path: Path, cache: Path) -> None:
    folder = entry_folder(tmp_path, "key")
    for name, age in {".building-dead": 90_000, "replaced-1": 90_000, ".building-busy": 60, "recent-1": 60}.items():
        (folder.parent / name).mkdir(parents=True)
        os.utime(folder.parent / name, (time.time() - age,) * 2)
    build(folder, lambda builder: None)
    assert {path.name for path in folder.parent.iterdir()} == {".building-busy", "recent-1", folder.name}


def test_an_entry_gives_back_what_was_built(tmp_path: Path, cache: Path) -> None:
    def fill(builder: Builder) -> None:
        builder.meta["note"] = "x"
        builder.array("a", np.dtype(np.float32), (2, 3))[1] = 5
        builder.array("nothing", np.dtype(np.int64), (0, 4))
        builder.array("temporary", np.dtype(np.int64), (9,))
        builder.drop("temporary")
        assert [builder.append("bytes", data) for data in (b"abc", b"", b"de")] == [0, 3, 3]

    entry = build(entry_folder(tmp_path, "key"), fill)
    again = lookup(entry.folder)
    assert isinstance(again, Entry)
    assert again.meta["note"] == "x"
    assert again.array("a").tolist() == [[0, 0, 0], [5, 5, 5]]
    assert again.array("nothing").shape == (0, 4)
    assert again.array("bytes").tobytes() == b"abcde"
    assert set(json.loads((entry.folder / "meta.json").read_text())["arrays"]) == {"a", "nothing", "bytes"}

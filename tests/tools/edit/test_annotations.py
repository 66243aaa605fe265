"""Columns that name tasks by number name the same tasks after every edit, whatever numbers the tasks have then."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.cli.main import main
from robomix.errors import FormatError
from robomix.tools.build.source import read_content
from tests.fixtures import edit_info, write_v21, write_v30
from tests.tools.edited import edited, rows_of

KEY = "annotation.human.step"
OTHER = "step"
"""A column that only meta/modality.json tells to be one of annotations."""
LENGTHS = (3, 2, 4)
SAID = ["open", "close", "open", "never done", "wait", "close", "wait", "open", "never done"]
"""What the annotations say of each frame."""


@pytest.fixture(params=["v2.1", "v3.0"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Tasks 0, 3, 4, 7 and 9, two of one text; a frame's own are 3 or 7, its annotations name all but 0."""
    path, numbers = tmp_path / "source", {0: "unused", 3: "open", 4: "never done", 7: "close", 9: "wait", 12: "open"}
    write = write_v21 if request.param == "v2.1" else write_v30
    write(path, lengths=LENGTHS, cameras={}, tasks=["open", "close", "open"])
    place = {text: number for number, text in reversed(numbers.items())}
    said = [place[text] for text in SAID]
    said[7] = 12  # the other one of the same text
    start = 0
    for file in sorted(path.glob("data/*/*.parquet")):
        table = pq.read_table(file)
        stretch = slice(start, start := start + len(table))
        own = np.where(np.array(table["task_index"]) == 0, 3, 7)
        table = table.set_column(table.column_names.index("task_index"), "task_index", pa.array(own))
        for key in (KEY, OTHER):
            table = table.append_column(key, pa.array(said[stretch], pa.int64()))
        pq.write_table(table.replace_schema_metadata(None), file)
    features = json.loads((path / "meta/info.json").read_text())["features"]
    edit_info(path, features=features | {key: {"dtype": "int64", "shape": [1], "names": None} for key in (KEY, OTHER)})
    (path / "meta/modality.json").write_text(json.dumps({"annotation": {"step": {"original_key": OTHER}}}))
    if request.param == "v2.1":
        lines = [json.dumps({"task_index": number, "task": text}) for number, text in numbers.items()]
        (path / "meta/tasks.jsonl").write_text("\n".join(lines))
    else:
        table = {"task_index": pa.array(list(numbers), pa.int64()), "task": list(numbers.values())}
        pq.write_table(pa.table(table), path / "meta/tasks.parquet")
    return path


def table_of_tasks(path: Path) -> dict[int, str]:
    if (path / "meta/tasks.jsonl").exists():
        lines = map(json.loads, (path / "meta/tasks.jsonl").read_text().splitlines())
        return {line["task_index"]: line["task"] for line in lines}
    table = pq.read_table(path / "meta/tasks.parquet").to_pandas().reset_index()
    return dict(zip(table["task_index"].tolist(), table["task"].tolist(), strict=True))


def said_in(path: Path, key: str = KEY) -> list[str]:
    """The texts that a column names, as a plain reader finds them."""
    tasks = table_of_tasks(path)
    return [tasks[number] for number in rows_of(path)[key].to_pylist()]


def rows(*episodes: int) -> list[str]:
    starts = np.cumsum([0, *LENGTHS])
    return [text for e in episodes for text in SAID[starts[e] : starts[e + 1]]]


EDITS: dict[str, tuple[list[str], Callable[[str], str], tuple[int, ...]]] = {
    "delete": (["--episodes=1"], str, (0, 2)),
    "keep": (["--episodes=2,0"], str, (2, 0)),
    "shuffle": (["--seed=3"], str, ()),
    "recompute": ([], str, (0, 1, 2)),
    "drop": (["--features", "action"], str, (0, 1, 2)),
    "convert": (["--to=v3.0"], str, (0, 1, 2)),
    "tasks": (["--map", "open=push", "wait=close"], {"open": "push", "wait": "close"}.get, (0, 1, 2)),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("verb", EDITS)
def test_every_edit_keeps_what_is_said(verb: str, source: Path, tmp_path: Path) -> None:
    flags, change, episodes = EDITS[verb]
    assert main([verb, str(source), *flags, f"--out={tmp_path / 'out'}"]) == 0
    tasks = table_of_tasks(tmp_path / "out")
    assert sorted(tasks) == list(range(len(tasks)))
    assert len(set(tasks.values())) == len(tasks)
    expected = [change(text) or text for text in rows(*episodes)]
    for key in (KEY, OTHER):
        found = said_in(tmp_path / "out", key)
        assert found == expected if episodes else sorted(found) == sorted(rows(0, 1, 2))
    texts = {"open": change("open") or "open", "close": change("close") or "close"}
    assert {tasks[i] for i in rows_of(tmp_path / "out")["task_index"].to_pylist()} <= set(texts.values())


def test_parts_and_what_is_merged_of_them(source: Path, tmp_path: Path) -> None:
    assert main(["split", str(source), "--lists", "a=2", "b=0,1", f"--out={tmp_path / 'parts'}"]) == 0
    a, b = tmp_path / "parts/a", tmp_path / "parts/b"
    assert (said_in(a), said_in(b)) == (rows(2), rows(0, 1))
    assert main(["tasks", str(a), "--map", "never done=idle", f"--out={tmp_path / 'c'}"]) == 0
    assert main(["merge", str(tmp_path / "c"), str(b), f"--out={tmp_path / 'm'}"]) == 0
    changed = [text.replace("never done", "idle") for text in rows(2)]
    assert said_in(tmp_path / "m") == [*changed, *rows(0, 1)]
    assert said_in(tmp_path / "m", OTHER) == [*changed, *rows(0, 1)]


def test_a_repaired_dataset_says_the_same(source: Path, tmp_path: Path) -> None:
    assert main(["repair", str(source), f"--out={tmp_path / 'out'}", "--apply", "--normalize_tasks"]) == 0
    assert said_in(tmp_path / "out") == rows(0, 1, 2)


def test_a_number_that_is_no_tasks_is_told(source: Path) -> None:
    for file in source.glob("data/*/*.parquet"):
        table = pq.read_table(file)
        wrong = pa.array([99] * len(table), pa.int64())
        pq.write_table(table.set_column(table.column_names.index(KEY), KEY, wrong), file)
    with pytest.raises(FormatError, match=rf"'{KEY}' names task 99, .* Correct the column, or leave it out"):
        read_content(source).episodes[0].rows.table()


def test_subtasks_of_other_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, texts in enumerate([["reach", "grasp"], ["grasp", "reach"]]):
        path = tmp_path / str(seed)
        write_v30(path, lengths=(2,), cameras={}, seed=seed, extra={"subtask_index": (1,)})
        table = pa.table({"subtask_index": [0, 1], "subtask": texts})
        pq.write_table(table, path / "meta/subtasks.parquet")
    asked = ["merge", str(tmp_path / "0"), str(tmp_path / "1"), f"--out={tmp_path / 'm'}", "--json"]
    assert main(asked) == 2
    assert "'subtask_index' names rows of meta/subtasks.parquet" in capsys.readouterr().out
    assert not (tmp_path / "m").exists()
    (tmp_path / "1/meta/subtasks.parquet").write_bytes((tmp_path / "0/meta/subtasks.parquet").read_bytes())
    assert main(asked) == 0
    assert (tmp_path / "m/meta/subtasks.parquet").exists()


def test_what_has_no_gaps_is_left_alone(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(3,), cameras={}, extra={"annotation.x": (1,)})
    plain = read_content(tmp_path / "source").episodes[0].rows
    assert type(plain).__name__ == "ParquetRows"
    edited(tmp_path / "source", tmp_path / "out")
    assert rows_of(tmp_path / "out")["annotation.x"] == rows_of(tmp_path / "source")["annotation.x"]

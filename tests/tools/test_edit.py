"""Edits of datasets: each changes what it says, and nothing else, to the last bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.errors import ConfigError
from robomix.tools.build.content import Content
from robomix.tools.build.source import read_content
from robomix.tools.edit.episodes import delete, keep, shuffle, trim
from robomix.tools.edit.features import drop, mentions, rename
from robomix.tools.edit.rules import by_rules
from robomix.tools.edit.split import by_fractions, by_lists
from robomix.tools.edit.tasks import normalized, retask, set_task
from robomix.tools.edit.trimming import without_ends, without_stillness
from tests.damage import edit_info
from tests.fixtures import write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset
from tests.tools.edited import TOP, digests, edited, episode_rows, frames_of, rows_of

LENGTHS = (4, 6, 2, 8)
TASKS = ["pick", "place", "pick", "push"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """v3.0, a key frame every second frame, episodes that begin with one."""
    write_v30(tmp_path / "source", lengths=LENGTHS, tasks=TASKS, extra={"next.success": (1,)})
    return tmp_path / "source"


def of_episodes(path: Path, episodes: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames, and states, of these episodes."""
    table = rows_of(path)
    states = np.array(table["observation.state"].to_pylist(), np.float32)
    own = [states[np.array(table["episode_index"]) == e] for e in episodes]
    frames = frames_of(path, 10)
    return [frames[e] for e in episodes], np.concatenate(own)


EDITS: dict[str, tuple[Callable[[Content], Content], list[int]]] = {
    "delete": (lambda content: delete(content, [1]), [0, 2, 3]),
    "keep in another order": (lambda content: keep(content, [3, 0]), [3, 0]),
    "shuffle": (lambda content: shuffle(content, 0), [2, 0, 1, 3]),
}


@pytest.mark.parametrize("name", EDITS)
def test_episodes_keep_their_rows_and_frames_under_new_numbers(name: str, source: Path, tmp_path: Path) -> None:
    change, left = EDITS[name]
    before = digests(source)
    plan = edited(source, tmp_path / "result", change)
    assert plan.encoded_frames == 0
    frames, states = of_episodes(source, left)
    for found, expected in zip(frames_of(tmp_path / "result", 10), frames, strict=True):
        np.testing.assert_array_equal(found, expected)
    table = rows_of(tmp_path / "result")
    np.testing.assert_array_equal(np.array(table["observation.state"].to_pylist(), np.float32), states)
    lengths = [LENGTHS[e] for e in left]
    np.testing.assert_array_equal(table["episode_index"], np.repeat(np.arange(len(left)), lengths))
    np.testing.assert_array_equal(table["index"], np.arange(sum(lengths)))
    np.testing.assert_array_equal(table["frame_index"], np.concatenate([np.arange(n) for n in lengths]))
    assert [row["tasks"] for row in episode_rows(tmp_path / "result")] == [[TASKS[e]] for e in left]
    assert digests(source) == before


def test_lerobot_reads_what_is_left(source: Path, tmp_path: Path) -> None:
    edited(source, tmp_path / "result", lambda content: delete(content, [1]))
    theirs, frames = lerobot_dataset(tmp_path / "result"), np.concatenate(of_episodes(source, [0, 2, 3])[0])
    assert len(theirs) == 14
    for i in (0, 4, 6, 13):
        np.testing.assert_array_equal(theirs[i][TOP].numpy(), frames[i])
    assert [theirs[i]["task"] for i in (0, 4, 6)] == ["pick", "pick", "push"]


def test_trimmed_episodes_lose_their_ends_and_only_those_with_odd_starts_are_encoded(
    source: Path, tmp_path: Path
) -> None:
    plan = edited(source, tmp_path / "result", lambda content: trim(content, {1: (2, 6), 3: (3, 7)}))
    assert plan.encoded == (("their first is no key frame of a closed group", 4),)
    assert [(part.camera, part.episode, part.frames) for part in plan.encoded_parts] == [(TOP, 3, 4)]
    (whole, cut, short, coded), old = frames_of(tmp_path / "result", 10), frames_of(source, 10)
    for found, expected in ((whole, old[0]), (cut, old[1][2:6]), (short, old[2])):
        np.testing.assert_array_equal(found, expected)
    assert abs(coded.astype(float) - old[3][3:7]).mean() < 4
    counts = [row[f"stats/{TOP}/count"] for row in episode_rows(tmp_path / "result")]
    assert counts == [[4], [4], [2], [4]]  # those of what is left are measured anew
    states = rows_of(source)["observation.state"].to_pylist()
    assert rows_of(tmp_path / "result")["observation.state"].to_pylist() == [
        *states[0:4],
        *states[6:10],
        *states[10:12],
        *states[15:19],
    ]


def test_frames_are_counted_from_both_ends(source: Path) -> None:
    content = delete(read_content(source), [2])
    assert without_ends(content, 1, 2) == {0: (1, 2), 1: (1, 4), 3: (1, 6)}
    with pytest.raises(ConfigError, match="nothing is left of episode 2"):
        without_ends(read_content(source), 1, 1)


def test_stillness_at_the_ends_is_found_and_pauses_inside_stay(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(9,), cameras={})
    still = [0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]  # moves in frames 3 and 5
    replace_column(tmp_path / "source", "action", [[value, 0.0] for value in still])
    content = read_content(tmp_path / "source")
    assert without_stillness(content, "action", 0.1) == {0: (2, 6)}
    with pytest.raises(ConfigError, match="nothing is left of episode 0"):
        without_stillness(content, "action", 0.5)
    with pytest.raises(ConfigError, match="Did you mean 'action'"):
        without_stillness(content, "actoin", 0.1)


def replace_column(path: Path, key: str, *values: list[Any], kind: pa.DataType | None = None) -> None:
    """Other values in a column of each episode's file of a v2 dataset."""
    for file, own in zip(sorted(path.glob("data/*/*.parquet")), values, strict=True):
        table = pq.read_table(file)
        place = table.column_names.index(key)
        pq.write_table(table.set_column(place, key, pa.array(own, kind or table[key].type)), file)


def test_features_swap_their_names_and_nothing_else(source: Path, tmp_path: Path) -> None:
    swap = {"observation.state": "action", "action": "observation.state", TOP: "observation.images.wrist"}
    plan = edited(source, tmp_path / "result", lambda content: rename(content, swap))
    old, new = rows_of(source), rows_of(tmp_path / "result")
    assert (plan.encoded_frames, new["action"], new["observation.state"]) == (
        0,
        old["observation.state"],
        old["action"],
    )
    for found, expected in zip(
        frames_of(tmp_path / "result", 10, "observation.images.wrist"), frames_of(source, 10), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    stats = json.loads((tmp_path / "result/meta/stats.json").read_text())
    before = json.loads((source / "meta/stats.json").read_text())
    np.testing.assert_allclose(stats["action"]["mean"], before["observation.state"]["mean"], rtol=1e-6)
    rows = episode_rows(source), episode_rows(tmp_path / "result")
    for name in ("mean", "std", "min"):
        kept = [row[f"stats/observation.images.wrist/{name}"] for row in rows[1]]
        assert kept == [row[f"stats/{TOP}/{name}"] for row in rows[0]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"action": "observation.state"}, "two features would have it"),
        ({"action": "frame_index"}, "samples hold something else under that name"),
        ({"action": "task"}, "samples hold something else under that name"),
        ({"action": "a/b"}, "no name of a folder or column"),
        ({TOP: ".."}, "no name of a folder or column"),
        ({"action": "a\0b"}, "no name of a folder or column"),
        ({TOP: "a" * 256}, "more than 255 bytes"),
        ({"acton": "a"}, "Did you mean 'action'"),
    ],
)
def test_names_that_cannot_be_are_refused(names: dict[str, str], message: str, source: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        rename(read_content(source), names)


def test_a_dropped_camera_leaves_no_file(source: Path, tmp_path: Path) -> None:
    edited(source, tmp_path / "result", lambda content: drop(content, [TOP]))
    assert not (tmp_path / "result/videos").exists()
    old, new = rows_of(source), rows_of(tmp_path / "result")
    assert new["action"] == old["action"]
    assert not [column for column in episode_rows(tmp_path / "result")[0] if TOP in column]


def test_further_metadata_that_names_a_feature_is_told(source: Path) -> None:
    (source / "meta/modality.json").write_text('{"video": {"top": {"original_key": "observation.images.top"}}}')
    content = read_content(source)
    assert mentions(content, [TOP]) == [f"meta/modality.json names '{TOP}', and is copied as it is"]
    assert mentions(content, ["action"]) == []


def texts(path: Path) -> list[str]:
    """The task of each row, by the numbers in the rows and the table of tasks."""
    table = pq.read_table(path / "meta/tasks.parquet").to_pandas()
    names = {int(row["task_index"]): str(text) for text, row in table.iterrows()}
    return [names[i] for i in rows_of(path)["task_index"].to_pylist()]


def test_tasks_get_other_texts(source: Path, tmp_path: Path) -> None:
    rows = [text for text, n in zip(TASKS, LENGTHS, strict=True) for _ in range(n)]
    assert texts(source) == rows
    edited(source, tmp_path / "a", lambda content: retask(content, {"push": "pick"}))
    assert texts(tmp_path / "a") == [text.replace("push", "pick") for text in rows]
    edited(source, tmp_path / "b", lambda content: set_task(content, "Déjà vu, it's", [0, 3]))
    assert texts(tmp_path / "b") == ["Déjà vu, it's"] * 4 + ["place"] * 6 + ["pick"] * 2 + ["Déjà vu, it's"] * 8
    with pytest.raises(ConfigError, match="has no episode 9"):
        set_task(read_content(source), "x", [9])
    with pytest.raises(ConfigError, match="Did you mean 'push'"):
        retask(read_content(source), {"psh": "x"})


def test_texts_that_say_the_same_become_one(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", tasks=["Pick it up", " pick  it up.", "place"])
    content = normalized(read_content(tmp_path / "source"))
    assert [episode.tasks for episode in content.episodes] == [("Pick it up",), ("Pick it up",), ("place",)]
    assert content.tasks == ("Pick it up", "place")


def test_annotations_follow_the_numbers_of_tasks(tmp_path: Path) -> None:
    """As GR00T has them: a column of task numbers, whose texts must stay what they were."""
    write_v21(tmp_path / "source", lengths=(3,), cameras={}, tasks=[["a", "b", "c"]], extra={"annotation.x": (1,)})
    replace_column(tmp_path / "source", "annotation.x", [2, 0, 1], kind=pa.int64())
    content = retask(read_content(tmp_path / "source"), {"b": "a"})
    assert content.tasks == ("a", "c")
    assert content.episodes[0].rows.table()["annotation.x"].to_pylist() == [1, 0, 0]
    kept = set_task(read_content(tmp_path / "source"), "new")
    assert kept.tasks == ("a", "b", "c", "new")


def test_fractions_draw_every_task_alike(tmp_path: Path) -> None:
    write_v20(tmp_path / "source", lengths=(2,) * 20, tasks=["a"] * 15 + ["b"] * 5, cameras={})
    content = read_content(tmp_path / "source")
    parts = by_fractions(content, {"train": 0.8, "val": 0.2}, seed=1)
    assert [len(part.episodes) for part in parts.values()] == [16, 4]
    assert [sum(e.tasks == ("a",) for e in part.episodes) for part in parts.values()] == [12, 3]
    chosen = [e.origin.episode for part in parts.values() for e in part.episodes]
    assert sorted(chosen) == list(range(20))
    again, other = (by_fractions(content, {"train": 0.8, "val": 0.2}, seed=seed) for seed in (1, 2))
    assert numbers(again["val"]) == numbers(parts["val"]) != numbers(other["val"])
    with pytest.raises(ConfigError, match="would have none"):
        by_fractions(content, {"train": 0.99, "val": 0.001}, seed=0)


def numbers(content: Content) -> list[int]:
    return [episode.origin.episode for episode in content.episodes]


def test_lists_and_rules_say_which_episode_goes_where(source: Path) -> None:
    replaced = read_content(source)
    assert {k: numbers(v) for k, v in by_lists(replaced, {"x": [3, 0], "y": [1]}).items()} == {"x": [3, 0], "y": [1]}
    with pytest.raises(ConfigError, match="episode 1 is in the parts 'x' and 'y'"):
        by_lists(replaced, {"x": [0, 1], "y": [1]})
    parts = by_rules(replaced, {"p": "task:p?ck", "long": "length:8:", "other": "rest"})
    assert {name: numbers(part) for name, part in parts.items()} == {"p": [0, 2], "long": [3], "other": [1]}
    assert numbers(by_rules(replaced, {"short": "length:3:7"})["short"]) == [0, 1]
    for rule, message in [
        ("tsk:x", "Did you mean 'task'"),
        ("length:5", "no range of lengths"),
        ("task:none", "no episode meets"),
        ("rest:x", "expected rest alone"),
    ]:
        with pytest.raises(ConfigError, match=message):
            by_rules(replaced, {"part": rule})


def test_success_is_told_by_the_last_frame(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(2, 2), cameras={}, extra={"next.success": (1,)})
    replace_column(tmp_path / "source", "next.success", [0.0, 1.0], [1.0, 0.0])
    content = read_content(tmp_path / "source")
    parts = by_rules(content, {"good": "success:next.success", "bad": "failure:next.success"})
    assert {name: numbers(part) for name, part in parts.items()} == {"good": [0], "bad": [1]}
    with pytest.raises(ConfigError, match="expected a single number"):
        by_rules(content, {"good": "success:action"})


def test_named_splits_follow_their_episodes(source: Path, tmp_path: Path) -> None:
    edit_info(source, splits={"train": "0:3", "test": "3:4"})
    content = read_content(source)
    assert content.splits == {"train": "0:3", "test": "3:4"}
    assert delete(content, [1]).splits == {"train": "0:2", "test": "2:3"}
    assert keep(content, [3, 0, 1]).splits == {"train": "1:3", "test": "0:1"}
    assert keep(content, [0, 3, 1]).splits == {}
    assert keep(content, [0, 1]).splits == {}
    edited(source, tmp_path / "result", version="v2.1")
    assert json.loads((tmp_path / "result/meta/info.json").read_text())["splits"] == {"train": "0:3", "test": "3:4"}
    edit_info(source, splits={"train": "0:99"})
    assert read_content(source).splits == {}

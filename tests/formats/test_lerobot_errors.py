"""Files that are missing, damaged or at odds give a FormatError that names the file, what is wrong, and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.errors import FormatError
from robomix.formats import open_dataset
from tests.fixtures import Truth, drop_parquet_footer, replace_by_lfs_pointer, truncate, write_v20, write_v21, write_v30
from tests.formats.harm import Damage, columns, replaced, without, write

TOP = "observation.images.top"
DATA, VIDEO = "data/chunk-000/episode_000001.parquet", f"videos/chunk-000/{TOP}/episode_000001.mp4"
EPISODES, TASKS = "meta/episodes.jsonl", "meta/tasks.jsonl"
V2: list[tuple[str, Damage, str]] = [
    (EPISODES, Path.unlink, "episodes.jsonl does not exist"),
    (EPISODES, replace_by_lfs_pointer, "episodes.jsonl is a Git LFS pointer to a file of .* bytes.*git lfs pull"),
    (EPISODES, write("{\n"), "episodes.jsonl, line 1, is not valid JSON"),
    (EPISODES, write("\n[0]\n"), "episodes.jsonl, line 2, holds list"),
    (EPISODES, write('{"episode_index": 0}\n'), "'length' is None in .* expected an integer from 0 on"),
    (EPISODES, write('{"episode_index": true, "length": 5}\n'), "'episode_index' is True"),
    (EPISODES, write('{"episode_index": 0, "length": 5}\n' * 2), "lists episode 0 more than once"),
    (EPISODES, write('{"episode_index": 0, "length": 0}\n'), "lists no episodes with frames"),
    (EPISODES, write('{"episode_index": 1, "length": 8}\n'), f"{DATA} has 7 rows, .* episode 1 has 8"),
    (EPISODES, write('{"episode_index": 9, "length": 5}\n'), "episode_000009.parquet does not exist"),
    (TASKS, Path.unlink, "tasks.jsonl does not exist"),
    (TASKS, write('{"task_index": 0, "task": "a"}\n'), f"{DATA}: task_index 1 has no text"),
    (TASKS, write('{"task_index": 0, "task": 5}\n'), "task_index 0 has the task 5"),
    (DATA, Path.unlink, f"{DATA} does not exist.*episode 1"),
    (DATA, drop_parquet_footer, f"{DATA} has no footer.*killed before finalize"),
    (DATA, truncate, f"{DATA} has no footer"),
    (DATA, replace_by_lfs_pointer, f"{DATA} is a Git LFS pointer.*git lfs pull"),
    (DATA, write(""), f"{DATA} is empty"),
    (DATA, write("index,action\n0,1\n" * 9), f"{DATA} is not a Parquet file"),
    (DATA, write("PAR1garbagegarbagePAR1"), f"{DATA} is damaged"),
    (DATA, without("action"), f"{DATA} has no column 'action'"),
    (DATA, replaced("action", [[1.0, 2.0]] * 7), f"{DATA} has 'action' as .*double"),
    (DATA, replaced("action", [["a", "b"]] * 7), f"{DATA} has 'action' as .*string"),
    (DATA, replaced("action", pa.array([[1.0]] * 7, pa.list_(pa.float32()))), f"{DATA} has 1 values per row"),
    (
        DATA,
        replaced("action", pa.array([[1.0], [1.0, 2.0]] * 3 + [[1.0]], pa.list_(pa.float32()))),
        "1 and of 2 values",
    ),
    (DATA, columns(lambda t: t.append_column("action", t["action"])), "'action' more than once"),
    (DATA, replaced("frame_index", [0, 1, 2, 3, 4, 5, 5]), "in episode 1 frame_index should hold each of 0 to 6"),
    (DATA, replaced("frame_index", range(3, 10)), "where 0 is expected it has 3"),
    (DATA, replaced("task_index", [0, 1, None, 0, 0, 0, 0]), "'task_index' of .* has 1 missing values"),
    (VIDEO, Path.unlink, f"{VIDEO} does not exist.*episode 1"),
]
DATA3, VIDEO3 = "data/chunk-000/file-000.parquet", f"videos/{TOP}/chunk-000/file-000.mp4"
EPISODES3, TASKS3 = "meta/episodes/chunk-000/file-000.parquet", "meta/tasks.parquet"
V3: list[tuple[str, Damage, str]] = [
    (DATA3, Path.unlink, r"has no data files: no \*.parquet"),
    (DATA3, drop_parquet_footer, f"{DATA3} has no footer.*killed before finalize"),
    (DATA3, columns(lambda t: t.slice(0, 14)), "hold 2 rows of episode 2, but meta/episodes says 3"),
    (DATA3, columns(lambda t: t.slice(0, 12)), "hold 0 rows of episode 2, but meta/episodes says 3"),
    (DATA3, without("episode_index"), "has no column 'episode_index'"),
    (DATA3, replaced("episode_index", [0] * 5 + [1] * 7 + [4] * 3), "has rows of episode 4, which meta"),
    (DATA3, replaced("task_index", [0] * 14 + [9]), "task_index 9 has no text in the dataset's tasks"),
    (VIDEO3, Path.unlink, f"{VIDEO3} does not exist"),
    (TASKS3, Path.unlink, "tasks.parquet does not exist"),
    (TASKS3, without("task"), "has the columns .*'task_index'.* expected: task_index and task"),
    (TASKS3, replaced("task", ["a", None]), "task_index 1 has task None"),
    (EPISODES3, Path.unlink, r"has no \*.parquet below meta/episodes"),
    (EPISODES3, without("length"), "an episode has length None"),
    (EPISODES3, replaced("episode_index", [0, 1, 1]), "lists episode 1 more than once"),
    (EPISODES3, replaced(f"videos/{TOP}/from_timestamp", [0.0, float("nan"), 1.0]), "episode 1 has .*timestamp nan"),
    (EPISODES3, replaced(f"videos/{TOP}/file_index", [0, 1, 5]), f"file-005.mp4 does not exist.* {TOP!r} in episode 2"),
    (EPISODES3, replaced(f"videos/{TOP}/file_index", [0, None, 1]), "does not exist, .* in episode 1"),
]
CASES = [(write_v21, *case) for case in V2] + [(write_v30, *case) for case in V3]
CASES += [(write_v20, *case) for case in V2 if case[0] == DATA][:2]


@pytest.mark.parametrize(("write", "name", "damage", "message"), CASES, ids=[message for *_, message in CASES])
def test_opening_says_what_is_wrong(
    tmp_path: Path, write: Callable[..., Truth], name: str, damage: Damage, message: str
) -> None:
    root = write(tmp_path / "set", episodes_per_video_file=2).path
    damage(root / name)
    with pytest.raises(FormatError) as error:
        open_dataset(root)
    assert re.search(message, str(error.value)), str(error.value)
    assert str(root) in str(error.value)


ON_READING: list[tuple[Damage, str]] = [
    (truncate, "is cut off: its part 'mdat' should end at byte"),
    (replace_by_lfs_pointer, "is a Git LFS pointer.*git lfs pull"),
    (write(""), r"is empty \(0 bytes\)"),
    (write("no video at all, just words " * 20), "cannot be opened as a video"),
]


@pytest.mark.parametrize(("damage", "message"), ON_READING, ids=[m for _, m in ON_READING])
def test_a_broken_video_says_so_when_its_frames_are_asked_for_and_spares_the_rest(
    tmp_path: Path, damage: Damage, message: str
) -> None:
    truth = write_v21(tmp_path / "set")
    damage(truth.path / VIDEO)
    dataset, key = open_dataset(truth.path), TOP
    np.testing.assert_array_equal(dataset.column("action"), truth.columns["action"])
    assert dataset.read_frames(key, np.arange(5)).shape == (5, 3, 32, 48)
    assert dataset.read_frames(key, np.array([])).shape == (0, 3, 32, 48)
    with pytest.raises(FormatError, match=f"{VIDEO} {message}.* for row 6, frame 1 of episode 1, camera {key!r}"):
        dataset.read_frames(key, np.array([0, 6]))


def test_a_video_with_too_few_frames_names_file_episode_row_and_count(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set", lengths=(5, 7, 3))
    videos = truth.path / "videos/chunk-000/observation.images.top"
    (videos / "episode_000001.mp4").write_bytes((videos / "episode_000000.mp4").read_bytes())
    dataset, key = open_dataset(truth.path), TOP
    with pytest.warns(UserWarning, match=r"episode_000001.mp4 has 5 frames, but the rows that point to it need 7"):
        dataset.read_frames(key, np.array([5, 9]))
    message = r"episode_000001.mp4 has 5 frames.*no frame 5\..* for row 10, frame 5 of episode 1"
    with pytest.raises(FormatError, match=message):
        dataset.read_frames(key, np.array([5, 10]))


def test_a_frame_of_another_size_names_file_and_row(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "set")
    wide = write_v21(tmp_path / "wide", cameras={TOP: (32, 64)})
    (truth.path / VIDEO).write_bytes((wide.path / VIDEO).read_bytes())
    dataset = open_dataset(truth.path)
    message = r"000001.mp4: frame 2 is 64 x 32, .* are 48 x 32.* row 7, frame 2 of episode 1"
    with pytest.raises(FormatError, match=message):
        dataset.read_frames(TOP, np.array([7]))


def test_a_damaged_picture_names_its_row(tmp_path: Path) -> None:
    truth = write_v30(tmp_path / "set", storage="image")
    file = truth.path / DATA3
    table = pq.read_table(file)
    pictures = table[TOP].to_pylist()
    pictures[3]["bytes"] = pictures[3]["bytes"][:-80]
    pictures[4]["bytes"] = b"not a picture"
    column = pa.array(pictures, table.schema.field(TOP).type)
    replaced(TOP, column)(file)
    dataset = open_dataset(truth.path)
    for row, message in [(3, "in row 3 cannot be decoded"), (4, "in row 4 is no picture in PNG, JPEG")]:
        with pytest.raises(FormatError, match=message):
            dataset.read_frames(TOP, np.array([row]))


def test_unknown_keys_get_a_suggestion_and_rows_beyond_the_end_are_refused(tmp_path: Path) -> None:
    dataset = open_dataset(write_v21(tmp_path / "set").path)
    with pytest.raises(FormatError, match=r"'acton' does not exist.*Did you mean 'action'"):
        dataset.column("acton")
    with pytest.raises(FormatError, match="'action' is numeric, not a camera"):
        dataset.frame_groups("action", np.array([0]))
    with pytest.raises(IndexError, match="has rows 0 to 14, asked for 0 to 15"):
        dataset.read_frames(TOP, np.array([0, 15]))


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("write", [write_v21, write_v30])
def test_whatever_bytes_are_damaged_the_error_is_ours(tmp_path: Path, write: Callable[..., Truth]) -> None:
    root, rng = write(tmp_path / "set", cameras={}, lengths=(3, 2)).path, np.random.default_rng(0)
    files = sorted(file for file in root.rglob("*.*") if file.is_file())
    refused = 0
    for _ in range(60):
        file = files[rng.integers(len(files))]
        content = file.read_bytes()
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged if rng.random() < 0.7 else damaged[: rng.integers(len(damaged))])
        try:
            open_dataset(root)
        except FormatError:
            refused += 1
        file.write_bytes(content)
    assert refused > 20

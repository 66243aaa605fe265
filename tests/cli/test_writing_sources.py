"""What commands that write look at in their sources: rates, links, columns, files beside the data."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.cli.main import main
from robomix.formats import open_dataset
from robomix.formats.lerobot.dataset import LeRobotDataset
from tests.fixtures import edit_info, write_v20, write_v21, write_v30
from tests.tools.edited import TOP, assert_equal, digests, episode_rows


def plans(asked: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """(refusals, notes) of a command that ends with `code`."""
    capsys.readouterr()
    assert main([*asked, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    return "\n".join(reason for plan in found["plans"] for reason in plan["refusals"]), "\n".join(found["notes"])


@pytest.mark.parametrize("write", [write_v20, write_v21, write_v30])
@pytest.mark.parametrize("verb", [["keep", "--episodes=0"], ["convert", "--to=v3.0"], ["merge"]], ids=lambda v: v[0])
def test_a_rate_that_is_not_the_videos_is_refused(
    verb: list[str], write: Callable[..., object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "source", lengths=(8, 6), fps=30)
    asked = [verb[0], str(tmp_path / "source"), *verb[1:], f"--out={tmp_path / 'out'}"]
    plans([*asked, "--dry_run"], 0, capsys)
    edit_info(tmp_path / "source", fps=15)
    told, _ = plans(asked, 2, capsys)
    assert "'observation.images.top' follow each other at 30 per second" in told
    assert "says 15 (V06)" in told
    assert not (tmp_path / "out").exists()


def test_a_repair_is_not_refused_for_the_rate_it_mends(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(8, 6), fps=30)
    edit_info(tmp_path / "source", fps=15)
    assert main(["repair", str(tmp_path / "source"), f"--out={tmp_path / 'out'}", "--apply"]) in (0, 1)
    assert main(["keep", str(tmp_path / "out"), "--episodes=0", f"--out={tmp_path / 'kept'}"]) == 0


@pytest.mark.parametrize("fps", [29.97, 59.94, 7.5, 10])
def test_rates_that_are_rounded_are_the_same(fps: float, tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(9,), fps=fps)
    assert main(["keep", str(tmp_path / "source"), "--episodes=0", f"--out={tmp_path / 'out'}"]) == 0


def test_columns_of_bytes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    write_v21(source, lengths=(3,), cameras={})
    [file] = source.glob("data/*/*.parquet")
    table = pq.read_table(file).append_column("mask", pa.array([b"a", b"b", b"c"], pa.binary()))
    pq.write_table(table.replace_schema_metadata(None), file)
    features = json.loads((source / "meta/info.json").read_text())["features"]
    edit_info(source, features=features | {"mask": {"dtype": "binary", "shape": [1], "names": None}})
    asked = ["convert", str(source), "--to=v3.0", f"--out={tmp_path / 'out'}", "--dry_run"]
    assert "robomix drop leaves them out: mask" in plans(asked, 0, capsys)[1]
    asked = ["drop", str(source), "--features", "mask", f"--out={tmp_path / 'out'}", "--dry_run"]
    assert "columns of bytes" not in plans(asked, 0, capsys)[1]


def test_readme_and_licence_go_along_but_not_into_a_merge(tmp_path: Path) -> None:
    write_v30(tmp_path / "source", lengths=(3, 4), cameras={})
    (tmp_path / "source/README.md").write_text("about")
    (tmp_path / "source/LICENSE").write_text("free")
    (tmp_path / "source/notes.txt").write_text("mine")
    write_v30(tmp_path / "other", lengths=(3, 4), cameras={}, seed=1)
    assert main(["keep", str(tmp_path / "source"), "--episodes=0", f"--out={tmp_path / 'kept'}"]) == 0
    assert main(["merge", str(tmp_path / "source"), str(tmp_path / "other"), f"--out={tmp_path / 'merged'}"]) == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["LICENSE", "README.md", "data", "meta"]
    assert (tmp_path / "kept/README.md").read_text() == "about"
    assert sorted(path.name for path in (tmp_path / "merged").iterdir()) == ["data", "meta"]
    assert main(["keep", str(tmp_path / "source"), "--episodes=1", f"--out={tmp_path / 'kept'}", "--force"]) == 0


@pytest.mark.parametrize("linked", ["a file", "a folder"])
def test_what_a_source_links_to_is_not_replaced(
    linked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_v21(tmp_path / "old", lengths=(3, 4))
    shutil.copytree(tmp_path / "old", tmp_path / "source")
    name = "videos" if linked == "a folder" else f"videos/chunk-000/{TOP}/episode_000001.mp4"
    shutil.rmtree(tmp_path / "source" / name) if linked == "a folder" else (tmp_path / "source" / name).unlink()
    os.symlink(tmp_path / "old" / name, tmp_path / "source" / name)
    before = digests(tmp_path / "old")
    asked = ["keep", str(tmp_path / "source"), "--episodes=1", f"--out={tmp_path / 'old'}", "--force"]
    assert f"is a link into {tmp_path / 'old'}" in plans(asked, 2, capsys)[0]
    parts = ["split", str(tmp_path / "source"), "--lists", "a=0", f"--out={tmp_path / 'old'}", "--force"]
    assert "is a link into" in plans(parts, 2, capsys)[0]
    assert digests(tmp_path / "old") == before
    assert main([*asked[:-2], f"--out={tmp_path / 'new'}"]) == 0


def test_a_dataset_merged_with_itself_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v30(tmp_path / "a", lengths=(3, 4))
    told, _ = plans(["merge", str(tmp_path / "a"), str(tmp_path / "a"), f"--out={tmp_path / 'out'}"], 2, capsys)
    assert told.startswith("episodes occur twice")
    assert "\n" not in told


def test_merges_of_merges_know_where_episodes_come_from_first(tmp_path: Path) -> None:
    for seed, name in enumerate("abcd"):
        write_v30(tmp_path / name, lengths=(3,) * (101 if name == "d" else 2), cameras={}, seed=seed)

    def merge(*names: str, out: str) -> list[dict[str, object]]:
        paths = [str(tmp_path / name) for name in names]
        assert main(["merge", *paths, "--provenance", f"--out={tmp_path / out}"]) == 0
        return episode_rows(tmp_path / out)

    assert "first_source" not in merge("a", "b", out="ab")[0]
    assert merge("c", "ab", out="cab")[5]["first_source"] == "b"
    rows = merge("d", "cab", out="all")  # of a group of 100 rows none was merged before
    columns = ("source", "source_episode_index", "first_source", "first_source_episode_index")
    assert [rows[0][key] for key in columns] == ["d", 0, "d", 0]
    assert [rows[106][key] for key in columns] == ["cab", 5, "b", 1]


def test_columns_that_only_later_episodes_have_are_kept(tmp_path: Path) -> None:
    write_v30(tmp_path / "long", lengths=(2,) * 101, cameras={}, seed=1)
    write_v30(tmp_path / "a", lengths=(3,), cameras={}, seed=2)
    write_v30(tmp_path / "b", lengths=(3,), cameras={}, seed=3)
    ab, out = tmp_path / "ab", tmp_path / "out"
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "b"), "--provenance", f"--out={ab}"]) == 0
    assert main(["merge", str(tmp_path / "long"), str(ab), f"--out={out}"]) == 0
    assert [row["source"] for row in episode_rows(out)] == [None] * 101 + ["a", "b"]


def test_a_file_that_is_replaced_meanwhile_is_read_anew(tmp_path: Path) -> None:
    for lengths in ((6, 5), (3, 9)):
        shutil.rmtree(tmp_path / "source", ignore_errors=True)
        write_v21(tmp_path / "source", lengths=lengths, gop=3)
        out = tmp_path / str(lengths[0])
        assert main(["convert", str(tmp_path / "source"), "--to=v3.0", f"--out={out}"]) == 0
        assert_equal(out, tmp_path / "source")


@pytest.mark.parametrize(
    ("asked", "text", "told"),
    [
        (["tasks", "SOURCE", "--map_file=FILE"], "", "the file is empty. It holds, for example, {old text: new text}"),
        (["tasks", "SOURCE", "--map_file=FILE"], "{}", "changes no text. It holds, for example"),
        (["merge", "SOURCE", "SOURCE", "--task_map=FILE"], "{}", "changes no text. It holds, for example"),
        (["merge", "SOURCE", "SOURCE", "--map=FILE"], "{}", "names no dataset. It holds, for example"),
    ],
)
def test_files_that_change_nothing_are_refused(
    asked: list[str], text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_v30(tmp_path / "source", cameras={})
    (tmp_path / "map.yaml").write_text(text)
    argv = [w.replace("SOURCE", str(tmp_path / "source")).replace("FILE", str(tmp_path / "map.yaml")) for w in asked]
    assert main([*argv, f"--out={tmp_path / 'out'}"]) == 2
    assert told in capsys.readouterr().err


def test_a_recording_without_a_rate_is_told_how_to_get_one(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(real_data / "pusht_zarr/pusht_cchi_v7_replay.zarr")
    for asked in (
        ["keep", source, "--episodes=0"],
        ["convert", source, "--to=v3.0"],
        ["convert", source, "--to=robomimic"],
    ):
        assert main([*asked, f"--out={tmp_path / 'out'}"]) == 2
        assert "Give them to robomix convert, such as --fps 20" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["source", "out"])
def test_a_home_of_nobody_is_told(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v30(tmp_path / "source", cameras={})
    paths = {"source": str(tmp_path / "source"), "out": str(tmp_path / "out")} | {place: "~nobody_of_that_name/x"}
    for asked in (["keep", paths["source"], "--episodes=0"], ["merge", paths["source"]]):
        assert main([*asked, f"--out={paths['out']}"]) == 2
        assert "~nobody_of_that_name is no user's home folder" in capsys.readouterr().err


def test_a_current_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from robomix.cli.main import main; sys.exit(main(['keep', 'a']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "here", capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: the current folder is not there any more" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("episodes", [None, "0"])
def test_a_new_task_of_a_gr00t_dataset_is_what_its_readers_find(episodes: str | None, tmp_path: Path) -> None:
    source, key = tmp_path / "source", "annotation.human.task_description"
    write_v21(source, lengths=(3, 4), cameras={}, tasks=["open", "close"])
    for file in source.glob("data/*/*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.append_column(key, table["task_index"]).replace_schema_metadata(None), file)
    features = json.loads((source / "meta/info.json").read_text())["features"]
    edit_info(source, features=features | {key: {"dtype": "int64", "shape": [1], "names": None}})
    (source / "meta/modality.json").write_text(json.dumps({"annotation": {"human.task_description": {}}}))
    chosen = [] if episodes is None else [f"--episodes={episodes}"]
    assert main(["tasks", str(source), "--set=wave", *chosen, f"--out={tmp_path / 'out'}"]) == 0
    made = open_dataset(tmp_path / "out")
    last = "close" if episodes else "wave"
    assert [made.tasks[i] for i in made.task_indices()] == ["wave"] * 3 + [last] * 4
    plain = LeRobotDataset.opened(tmp_path / "out")
    assert [plain.tasks[i] for i in plain.task_indices()] == ["wave"] * 3 + [last] * 4

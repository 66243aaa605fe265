"""Verbs that write datasets, called by mistake: no source is lost, nothing wrong is written, and all is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robomix.cli.main import main
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.source import read_content
from tests.fixtures import edit_info, write_v30
from tests.tools.edited import TOP, digests


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_v30(tmp_path / "source", lengths=(4, 6, 2, 8))
    return tmp_path / "source"


def refusals(asked: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the plan refuses, of all datasets that would be written."""
    capsys.readouterr()
    assert main([*asked, "--json"]) == 2
    plans = json.loads(capsys.readouterr().out)["plans"]
    return "\n".join(reason for plan in plans for reason in plan["refusals"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["delete", "--episodes=" + "9" * 5000], "larger than any"),
        (["shuffle", "--seed=-1"], "seed is -1, expected 0 or more"),
        (["split", "--fractions", "a=0.5", "b=0.5", "--seed=-1"], "seed is -1"),
        (["split", "--fractions", "a=nan"], "fractions are a nan"),
        (["split", "--fractions", "a=0.5", "b" * 256 + "=0.5"], "at most 255 bytes"),
        (["trim", "--idle=action", "--below=nan"], "below is nan, expected 0 or more"),
        (["trim", "--idle=action", "--below=-1"], "below is -1"),
        (["rename", "--features"], "say what to rename"),
        (["drop", "--features"], "say what to drop"),
        (["convert", "--to=v2.1", "--fps=nan"], "Leave it out"),
    ],
)
def test_what_makes_no_sense_is_refused(
    asked: list[str], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([asked[0], str(source), *asked[1:], f"--out={tmp_path / 'out'}"]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_all_episodes_cannot_be_deleted(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no episodes" in refusals(["delete", str(source), "--episodes=0:4", f"--out={tmp_path / 'out'}"], capsys)


@pytest.mark.parametrize("out", ["/", "/" + "/".join(["d" * 200] * 25)], ids=["the root", "too long"])
def test_a_place_that_cannot_be_is_told(out: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keep", str(source), "--episodes=0", f"--out={out}", "--force"]) == 2


def test_a_part_of_a_split_is_not_lost_when_it_is_split_into_the_same_folder(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["split", str(source), "--lists", "a=0,1", "b=2", f"--out={out}"]) == 0
    before = digests(out)
    assert "no source is written to" in refusals(
        ["split", str(out / "a"), "--lists", "c=0", f"--out={out}", "--force"], capsys
    )
    assert digests(out) == before


def test_a_dataset_that_adds_nothing_to_a_merge_is_a_source_too(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(source, tmp_path / "copy")
    before = digests(tmp_path / "copy")
    asked = ["merge", str(source), str(tmp_path / "copy"), "--drop_duplicates", f"--out={tmp_path / 'copy'}", "--force"]
    assert "no source is written to" in refusals(asked, capsys)
    assert digests(tmp_path / "copy") == before


def test_no_hdf5_file_is_put_into_its_source(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(source)
    asked = ["convert", str(source), "--to=robomimic", f"--out={source / 'new.hdf5'}"]
    assert "no source is written to" in refusals(asked, capsys)
    assert digests(source) == before


def test_force_takes_no_other_files_with_the_old_dataset(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copytree(source, tmp_path / "out"))
    (out / "README.md").write_text("a card, as the Hub has them")
    (out / "checkpoints").mkdir()
    asked = ["keep", str(source), "--episodes=0", f"--out={out}", "--force"]
    assert "holds checkpoints, which no LeRobot dataset has" in refusals(asked, capsys)
    (out / "checkpoints").rmdir()
    assert main(asked) == 0


def test_a_tilde_is_the_home_folder(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["keep", "~/source", "--episodes=0", "--out=~/out"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_numbers_that_are_none_are_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = (source / "data").rglob("*.parquet")
    table = pq.read_table(file)
    values = np.array(table["action"].to_pylist(), np.float32)
    values[5] = np.nan
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    place = table.column_names.index("action")
    pq.write_table(table.set_column(place, table.schema.field(place), column), file)
    assert main(["recompute", str(source), f"--out={tmp_path / 'out'}"]) == 2
    assert "episode 1, frame 1: 'action' is NaN" in capsys.readouterr().err
    assert main(["delete", str(source), "--episodes=1", f"--out={tmp_path / 'out'}"]) == 0


def test_a_camera_without_files_is_told(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(source / "videos")
    assert main(["recompute", str(source), f"--out={tmp_path / 'out'}", "--dry_run"]) == 0
    assert f"left out: {TOP}, which meta/info.json declares and no file holds" in capsys.readouterr().out


def test_frames_that_two_episodes_claim_are_not_copied_as_if_they_were_right(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_info(source, fps=5)  # the video has 10
    told = refusals(["recompute", str(source), f"--out={tmp_path / 'out'}"], capsys)
    assert f"episodes 0 and 1 share frames of '{TOP}' (V04)" in told


def test_texts_with_odd_line_ends_go_there_and_back(tmp_path: Path) -> None:
    texts = ["a\u2028b", "c\x85d", "e\x0bf\x1cg\nh"]
    write_v30(tmp_path / "source", tasks=texts, lengths=(2, 4, 2))
    assert main(["convert", str(tmp_path / "source"), "--to=v2.1", f"--out={tmp_path / 'older'}"]) == 0
    assert main(["convert", str(tmp_path / "older"), "--to=v3.0", f"--out={tmp_path / 'back'}"]) == 0
    back = LeRobotDataset.opened(tmp_path / "back")
    assert [back.tasks[back.task_indices()[start]] for start in back.episodes.starts[:-1]] == texts


def test_further_metadata_is_taken_from_the_cache_of_the_hub_and_from_nowhere_else(
    source: Path, tmp_path: Path
) -> None:
    (source / "meta/modality.json").write_text("{}")
    blobs = tmp_path / "hub/blobs"
    blobs.mkdir(parents=True)
    snapshot = Path(shutil.copytree(source, tmp_path / "hub/snapshots/abc"))
    for number, file in enumerate([path for path in snapshot.rglob("*") if path.is_file()]):
        file.rename(blobs / str(number))
        file.symlink_to(blobs / str(number))
    (tmp_path / "secret.txt").write_text("not of this dataset")
    (snapshot / "meta/notes.txt").symlink_to(tmp_path / "secret.txt")
    assert list(read_content(snapshot).meta_files) == ["modality.json"]

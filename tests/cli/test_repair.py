"""`robomix repair` as it is called: what it prints, writes and returns."""

import json
from pathlib import Path

import pytest

from robomix.cli.main import main
from robomix.tools.repair.consent import NAMES
from tests.conftest import PROJECT
from tests.damage import edit_info
from tests.fixtures import write_v21


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """S04, which is mended for certain, and S11 in episode 1, which needs --drop_episodes."""
    write_v21(tmp_path / "wrong")
    edit_info(tmp_path / "wrong", total_tasks=7)
    (tmp_path / "wrong/data/chunk-000/episode_000001.parquet").unlink()
    return tmp_path / "wrong"


def test_the_plan_says_what_becomes_of_each_finding(
    wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["repair", str(wrong), "--out", str(tmp_path / "new")]) == 2
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if "S04" in line)
    assert "mended" in row
    row = next(line for line in out.splitlines() if "│ S11" in line)
    assert "needs a flag: --drop_episodes" in row
    assert "refused: S11" in out
    assert out.splitlines()[-1] == "nothing can be written: 1 reason"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_a_dataset_is_refused_with_its_path(
    wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", str(tmp_path), "--out", str(tmp_path.parent / "new")]) == 2
    assert str(wrong) in capsys.readouterr().err


def test_without_apply_nothing_is_written(wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", str(wrong), "--out", str(tmp_path / "new"), "--drop_episodes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was written; --apply does it"
    assert [path.name for path in tmp_path.iterdir()] == ["wrong"]


def test_apply_writes_and_says_what_is_left(wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new"
    assert main(["repair", str(wrong), "--out", str(new), "--apply", "--drop_episodes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"written to {new}" in lines
    assert lines[-1] == "1 dataset: 1 INFO"  # no frame has the task of the episode that is gone
    assert main(["check", str(new)]) == 0


def test_what_is_left_makes_the_exit_code_1(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    info = json.loads((tmp_path / "wrong/meta/info.json").read_text())
    info["features"]["action"]["names"] = ["one"]  # of two: a person must say what they are called
    (tmp_path / "wrong/meta/info.json").write_text(json.dumps(info))
    assert main(["repair", str(tmp_path / "wrong"), "--out", str(tmp_path / "new"), "--apply"]) == 1


def test_json_is_for_programs(wrong: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", str(wrong), f"--out={tmp_path / 'new'}", "--json", "--apply", "--drop_episodes"]) == 0
    found = json.loads(capsys.readouterr().out)
    outcomes = {finding["id"]: finding["outcome"] for finding in found["findings"]}
    assert outcomes["S04"] == "mended"
    assert outcomes["S11"] == "mended by its flag"
    assert [drop["episodes"] for drop in found["dropped_or_altered"]] == [[1]]
    assert (found["new"]["episodes"], found["applied"], found["refusals"]) == (2, True, [])
    assert [finding["id"] for finding in found["left"]["findings"]] == ["K05"]


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v21(tmp_path / "wrong", cameras={})
    assert main(["repair", str(tmp_path / "wrnog"), f"--out={tmp_path / 'new'}"]) == 2
    assert "did you mean 'wrong'" in capsys.readouterr().err.lower()
    assert main(["repair", str(tmp_path / "wrong"), f"--out={tmp_path / 'new'}", "--fps=-3"]) == 2
    assert "--fps" in capsys.readouterr().err


def test_the_page_explains_every_flag() -> None:
    page = (PROJECT / "docs/repair.md").read_text()
    assert all(f"| `--{name}" in page for name in NAMES)

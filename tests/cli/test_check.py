"""`robomix check` as it is called: what it prints, writes and returns."""

import json
from pathlib import Path

import pytest

from robomix.cli.main import main
from robomix.tools.check.run import DEFECTS
from robomix.tools.check.table import catalogue_markdown
from tests.conftest import PROJECT
from tests.damage import edit_info
from tests.fixtures import write_v21


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    write_v21(tmp_path / "clean", cameras={})
    return tmp_path / "clean"


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """FAIL: S11 in episode 1; WARN: S05."""
    write_v21(tmp_path / "wrong", seed=1)
    (tmp_path / "wrong/data/chunk-000/episode_000001.parquet").unlink()
    edit_info(tmp_path / "wrong", splits={"train": "0:9"})
    return tmp_path / "wrong"


def test_the_exit_code_is_the_verdict(clean: Path, wrong: Path) -> None:
    assert main(["check", str(clean)]) == 0
    assert main(["check", str(clean), str(wrong)]) == 1
    assert main(["check", str(wrong), "--only", "S05"]) == 0
    assert main(["check", str(wrong), "--only", "S05", "--fail_on", "warn"]) == 1
    assert main(["check", str(wrong), "--ignore", "S11,S05", "--fail_on=warn"]) == 0


def test_a_folder_that_holds_datasets_stands_for_them(
    clean: Path, wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(clean.parent)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{clean.parent} is no dataset; looking at the 2 datasets below it"
    assert f"{clean}: nothing found" in lines
    main(["check", str(clean.parent), str(clean), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [report["dataset"] for report in found["datasets"]] == [str(clean), str(wrong)]


def test_a_dataset_that_lost_its_metadata_is_looked_at_itself(
    clean: Path, wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where another lies within."""
    (clean / "meta/info.json").unlink()
    wrong.rename(clean / "backup")
    assert main(["check", str(clean), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [report["dataset"] for report in found["datasets"]] == [str(clean)]


def test_the_table_names_the_defect_the_place_and_the_remedy(
    clean: Path, wrong: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    main(["check", str(clean), str(wrong)])
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "S11" in line)
    words = ("FAIL", "file missing", "episode 1", "data/chunk-000/episode_000001.parquet", "--drop_episodes")
    assert all(word in row for word in words)
    assert "expected: the files" in lines[lines.index(row) + 1]
    assert f"{clean}: nothing found" in lines
    assert any(line.startswith("1 finding can be mended by robomix repair") for line in lines)
    assert lines[-1] == "2 datasets: 1 FAIL, 1 WARN"


def test_json_is_for_programs(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(wrong), "--json", "--only", "S"])
    found = json.loads(capsys.readouterr().out)
    (report,) = found["datasets"]
    assert (found["verdict"], report["dataset"], report["depth"]) == ("FAIL", str(wrong), "files")
    assert report["counts"] == {"FAIL": 1, "WARN": 1, "INFO": 0, "UNVERIFIED": 0}
    assert sorted(finding["id"] for finding in report["findings"]) == ["S05", "S11"]
    assert all(id.startswith("S") for id in report["checked"])


def test_sarif_has_what_its_schema_requires(wrong: Path, tmp_path: Path) -> None:
    """Required by the schema of SARIF 2.1.0: version, runs; tool.driver.name; a rule's id; a result's message."""
    main(["check", str(wrong), "--only=S", "--sarif", str(tmp_path / "found.sarif")])
    log = json.loads((tmp_path / "found.sarif").read_text())
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "robomix"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert sorted(rules) == ["S05", "S11"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note", "none")
        assert result["message"]["text"]
    (missing,) = [result for result in run["results"] if result["ruleId"] == "S11"]
    uri = missing["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == (wrong / "data/chunk-000/episode_000001.parquet").as_uri()
    assert missing["level"] == "error"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "give the path"),
        (["{}/claen"], "Did you mean 'clean'?"),
        (["{}/clean", "--meta", "--decode"], "give one of them"),
        (["{}/clean", "--only", "E99"], "no defect 'E99'"),
        (["{}/clean", "--sarif", "{}/none/found.sarif"], "cannot write"),
    ],
)
def test_mistakes_in_what_is_asked_end_with_2(
    clean: Path, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *(flag.format(clean.parent) for flag in flags)]) == 2
    assert words in capsys.readouterr().err


def test_names_from_files_cannot_steer_the_terminal(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_info(clean, splits={"\x1b[2Jtrain": "0:9"})
    main(["check", str(clean)])
    assert "\x1b[2J" not in capsys.readouterr().out


def test_the_catalogue_is_complete_and_in_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--list", "--markdown"]) == 0
    text = capsys.readouterr().out
    assert text.strip() == catalogue_markdown(DEFECTS)
    assert all(f"| {id} |" in text for id in DEFECTS)
    assert text.strip() in (PROJECT / "docs/defects.md").read_text()

"""`robomix inspect`: exit codes, what it prints and writes."""

import json
from pathlib import Path

import pytest
import yaml

from robomix.cli.main import main
from tests.fixtures import write_v30


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with two datasets."""
    write_v30(tmp_path / "data" / "one")
    write_v30(tmp_path / "data" / "two", seed=1, robot_type="other")
    return tmp_path / "data"


def test_one_dataset_is_shown(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(two / "one")]) == 0
    printed = capsys.readouterr().out
    for text in ("LeRobot v3.0", "testbot", "10 fps", "3, of 3 to 7 frames", "camera, h264", "'task 0' 8 frames"):
        assert text in printed
    assert "dataset:" not in printed


def test_several_are_compared_and_a_mixture_is_printed(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(two)]) == 0
    printed = capsys.readouterr().out
    assert "How they compare" in printed
    assert "2 robots: testbot, other" in printed
    block = yaml.safe_load(printed[printed.index("# Suggested") :])["dataset"]
    assert [entry["name"] for entry in block["datasets"]] == ["one", "two"]


def test_json_is_all_that_is_printed(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(two), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["frames"] for one in record["datasets"]] == [15, 15]
    assert record["compatibility"]["robots"] == ["testbot", "other"]
    assert record["suggestion"].startswith("# Suggested")


def test_the_exit_code_says_what_could_be_read(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (two / "bad" / "meta").mkdir(parents=True)
    (two / "bad" / "meta" / "info.json").write_text("{")
    assert main(["inspect", str(two)]) == 1
    assert main(["inspect", str(two / "bad")]) == 2
    assert main(["inspect", str(two / "nothing")]) == 2
    assert f"cannot be read {two / 'nothing'}: {two / 'nothing'} does not exist" in capsys.readouterr().out


def test_mistakes_are_told(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = two / "mix.yaml"
    out.touch()
    assert main(["inspect", str(two), f"--out={out}"]) == 2
    assert "exists already, and is not overwritten" in capsys.readouterr().err
    assert out.read_text() == ""
    assert main(["inspect", str(two), "--fps", "one=fast"]) == 2
    assert "--fps: found 'one=fast', expected a number, or NAME=NUMBER" in capsys.readouterr().err
    assert main(["inspect"]) == 2
    assert "give the path of a dataset" in capsys.readouterr().err

"""`robomix merge` as it is called: mistakes are told with what, where and the fix, and nothing is written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from robomix.cli.main import main
from tests.fixtures import write_v21, write_v30
from tests.tools.edited import digests

SPEC: dict[str, Any] = {"lengths": (2,), "cameras": {}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Datasets `a`, `b` and `other/b`, in the working folder."""
    write_v21(tmp_path / "a", **SPEC)
    write_v30(tmp_path / "b", **SPEC | {"seed": 1})
    write_v30(tmp_path / "other/b", **SPEC | {"seed": 2})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(
    asked: list[str], told: list[str], folder: Path, capsys: pytest.CaptureFixture[str], *files: str
) -> None:
    for name, text in zip(files[::2], files[1::2], strict=True):
        (folder / name).write_text(text)
    before = digests(folder)
    assert main(["merge", *asked, "--out=m"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("robomix merge: error: ")
    assert "Traceback" not in said
    for text in told:
        assert text in said
    assert digests(folder) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{a: [", ["map.yaml:1:", "not YAML"]),
        ("", ["map.yaml: the file is empty", "{NAME: {observation.images.top: observation.images.front}}"]),
        ("- a", ["map.yaml: holds a list", "such as {NAME: "]),
        ("b: action", ["map.yaml: 'b' has 'action'", "such as {NAME: "]),
        ("bb: {action: act}", ["map.yaml: 'bb' is no dataset", "Did you mean 'b'?", "Here: a, b"]),
        ("b: {acton: act}", ["source 'b'", "'acton', which is not there", "Did you mean 'action'?"]),
        (
            "b: {action: x, observation.state: x}",
            [
                "map.yaml",
                "(b)",
                "'action' and 'observation.state' to the same name 'x'",
                "Map one to another, or to null",
            ],
        ),
        ("b: {action: observation.state}", ["source 'b'", "both 'observation.state' and 'action'", "or to null"]),
        ("b: {action: timestamp}", ["map.yaml", "(b)", "'timestamp'", "a name that robomix does not fill itself"]),
        ("b: {action: 3}", ["map.yaml", "(b)", "found 3, expected text or null"]),
        ("b: {action: x, action: y}", ["map.yaml:1:", "'action'"]),
        ("{b: {action: x}, ./b: {action: y}}", ["map.yaml: './b' is no dataset", "Here: a, b"]),
    ],
)
def test_a_map_that_is_wrong(text: str, told: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(["a", "b", "--map=map.yaml"], told, folder, capsys, "map.yaml", text)


def test_a_map_that_is_not_there_or_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(["a", "b", "--map=mop.yaml"], ["mop.yaml: no such file", str(folder)], folder, capsys)
    assert_refused(["a", "b", "--map=a"], ["a: is a folder. Expected a YAML or JSON file"], folder, capsys)


def test_a_map_that_could_mean_two_datasets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["map.yaml: 'b' is two datasets; name one by its path. Here: ./b, other/b".replace("./b", "b")]
    assert_refused(["b", "other/b", "--map=map.yaml"], told, folder, capsys, "map.yaml", "b: {action: act}")
    text = f"b: {{action: x}}\n{folder / 'b'}: {{action: y}}\n"
    told = [f"map.yaml: {folder / 'b'} is there twice", "Leave one"]
    assert_refused(["a", str(folder / "b"), "--map=map.yaml"], told, folder, capsys, "map.yaml", text)


def mixture(**second: Any) -> str:
    return yaml.safe_dump({"dataset": {"datasets": [{"root": "a"}, {"root": "b"} | second]}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{a: [", ["mix.yaml:1:", "not YAML"]),
        ("", ["mix.yaml: the file is empty", "`dataset:`"]),
        ("datasets: []", ["mix.yaml has no block `dataset:`", "Put what is there below"]),
        (mixture(feature_map={"acton": "x"}), ["source 'b'", "'acton'", "Did you mean 'action'?"]),
        (
            mixture(feature_map={"action": "x", "observation.state": "x"}),
            ["mix.yaml", "datasets[1].feature_map (b)", "to the same name 'x'", "Map one to another, or to null"],
        ),
        (mixture(featuremap={}), ["mix.yaml", "datasets[1].featuremap (b)", "Did you mean 'feature_map'?"]),
        (mixture(root="bb"), ["source 'bb'", "bb does not exist", "Correct `root`"]),
    ],
)
def test_a_mixture_file_that_is_wrong(
    text: str, told: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(["--config=mix.yaml"], told, folder, capsys, "mix.yaml", text)


def test_a_mixture_file_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(["--config=max.yaml"], ["max.yaml: no such file", str(folder)], folder, capsys)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--config=mix.yaml", "--map=map.yaml"], ["--map cannot stand beside --config", "`feature_map` of their own"]),
        (
            ["a", "b", "--config=mix.yaml"],
            ["one of: paths, --first with --second, --config", "Found paths and --config"],
        ),
        (["--first=a"], ["--first with --second", "Found --first"]),
        (["a", "--second=b"], ["Found paths and --second"]),
        ([], ["Found none of them"]),
        (["a", "c"], ["c does not exist, expected a dataset"]),
        (["--first=a", "--second=othr"], ["othr does not exist", "Did you mean 'other'?"]),
    ],
)
def test_datasets_that_are_not_named_in_one_way(
    asked: list[str], told: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("mix.yaml", mixture(), "map.yaml", "b: {action: act}")
    assert_refused(asked, told, folder, capsys, *files)


def test_other_texts_for_tasks_that_are_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["a", "b", "--task_map=tasks.yaml"]
    told = ["no episode has the task 'tsk 0'", "Did you mean 'task 0'? There is: 'task 0'"]
    assert_refused(asked, told, folder, capsys, "tasks.yaml", "tsk 0: x")
    assert_refused(asked, ["tasks.yaml: task 'task 0' becomes 3"], folder, capsys, "tasks.yaml", "task 0: 3")
    assert_refused(asked, ["{old text: new text}"], folder, capsys, "tasks.yaml", "- x")

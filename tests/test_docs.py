"""README and docs as a reader would use them: commands run, programs give what they say, mixture files parse."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from robomix import MixtureConfig
from robomix.cli.main import main
from tests.conftest import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
WRITES_TO = {
    "stats": "--out={}",
    "inspect": "--out={}",
    "check": "--sarif={}",
    "repair": "--out={}",
    "view": "--rrd={}.rrd",
    "verify": "--json",
    "plan": "--json",
    "bench": "--json",
    "materialize": "--out={}",
    "convert": "--out={}.hdf5",
    "merge": "--out={}",
    "push": "--dry_run",
    **dict.fromkeys(("split", "delete", "keep", "trim", "rename", "drop", "tasks", "shuffle", "recompute"), "--out={}"),
}
"""Flags of the commands that are not told by `--output_dir` where to write, or write nothing."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (f"{page.name} {number}", text)
        for page in PAGES
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text()))
        if kind == language
    ]


def cases(language: str) -> pytest.MarkDecorator:
    found = blocks(language)
    return pytest.mark.parametrize("text", [text for _, text in found], ids=[name for name, _ in found])


@pytest.fixture
def in_project(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are meant for the project's root, with the recordings beside it."""
    monkeypatch.chdir(PROJECT)
    if real_data.resolve() != (PROJECT / "../shared/data").resolve():
        pytest.skip("the pages name ../shared/data, and the recordings lie elsewhere")


@cases("bash")
def test_commands_run(text: str, in_project: None, tmp_path: Path) -> None:
    """As they stand, but for where they write. The make targets have tests of their own."""
    for number, command in enumerate(text.strip().splitlines()):
        words = shlex.split(command)
        if words[0] == "make":
            targets = re.findall(r"^(\w+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
            assert words[1] in targets
            continue
        if words[0] == "source":
            continue
        if words[:2] == ["python", "-m"]:
            assert words[2].startswith("examples.")
            assert importlib.import_module(words[2]).main(words[3:]) == 0
            continue
        assert words[0] == "robomix"
        if "--html" in words:
            words[words.index("--html") + 1] = str(tmp_path / f"report{number}.html")
        assert main([*words[1:], WRITES_TO.get(words[1], "--output_dir={}").format(tmp_path / f"out{number}")]) == 0


@cases("python")
def test_programs_run_and_give_what_their_comments_say(text: str, in_project: None) -> None:
    names: dict[str, object] = {}
    exec(compile(text, "page", "exec"), names)
    for line in text.splitlines():
        expression, _, said = line.partition("#")
        said = said.strip().split(": ")[0].split(", memory")[0].split(" uint8")[0]
        if said.startswith(("torch.Size", "tensor(", "(")) and is_expression(expression):
            assert repr(eval(expression, names)) == said


def is_expression(text: str) -> bool:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return False
    return True


@cases("yaml")
def test_mixture_files_are_understood(text: str) -> None:
    data = yaml.safe_load(text)
    if "dataset" in data:
        MixtureConfig.from_dict(data["dataset"])


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_shows_the_example_file_as_it_is() -> None:
    shown = yaml.safe_load(next(text for name, text in blocks("yaml") if name.startswith("README.md")))
    real = yaml.safe_load((PROJECT / "examples/every_format.yaml").read_text())
    for key in ("alpha", "normalize_by"):
        assert shown["dataset"][key] == real["dataset"][key]
    assert all(source in real["dataset"]["datasets"] for source in shown["dataset"]["datasets"])
    assert shown["policy"].items() <= real["policy"].items()
    assert (shown["steps"], shown["batch_size"]) == (real["steps"], real["batch_size"])

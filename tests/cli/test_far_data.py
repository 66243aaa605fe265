"""Verbs that read a mixture file take URLs in it."""

import json
from pathlib import Path

import pytest

from robomix.cli.main import main
from tests.fixtures import write_v30


@pytest.fixture
def mixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mixture file of a dataset by its URL."""
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    write_v30(tmp_path / "far" / "pick", lengths=(12, 15))
    path = tmp_path / "mix.json"
    path.write_text(json.dumps({"dataset": {"datasets": [{"root": f"file://{tmp_path}/far/pick"}]}}))
    return path


@pytest.mark.parametrize("verb", ["verify", "stats"])
def test_a_mixture_of_a_url_is_read(
    mixture: Path, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = [f"--out={tmp_path / 'stats'}"] if verb == "stats" else []
    assert main([verb, str(mixture), *out]) == 0, capsys.readouterr()


def test_a_url_with_nothing_there_is_an_error_of_one_line(mixture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixture.write_text(mixture.read_text().replace("far/pick", "far/pikc"))
    assert main(["verify", str(mixture)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("robomix verify: error: ")
    assert "far/pikc" in told
    assert "Did you mean 'pick'?" in told
    assert str(mixture.parent / "cache") not in told

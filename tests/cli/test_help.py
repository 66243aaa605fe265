"""The help: fast, complete, and about the installed code."""

import subprocess
import sys
from dataclasses import fields

import pytest

from robomix.cli.main import main
from robomix.cli.train_help import entries, policy_help, train_help
from robomix.config import MixtureConfig, SourceConfig
from robomix.training.config import TrainConfig


@pytest.mark.parametrize("cls", [MixtureConfig, SourceConfig, TrainConfig])
def test_every_key_is_explained(cls: type) -> None:
    found = entries(cls.__module__, cls.__name__)
    assert [entry.name for entry in found] == [field.name for field in fields(cls) if field.init]
    assert all(entry.text for entry in found)


def test_help_does_not_wait_for_lerobot() -> None:
    code = "import sys; from robomix.cli.main import main; main(['train', '--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("False\n")


def test_the_flags_of_a_policy_are_listed_on_request() -> None:
    text = policy_help(["--policy.type=act", "--help"])
    assert text is not None
    assert "--policy.chunk_size: a whole number (default 100)" in text
    assert "--policy.type=act --help" in train_help()


def test_version_and_help_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("robomix 0.")
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out

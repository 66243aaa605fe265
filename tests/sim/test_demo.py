"""The demo runs from nothing to its table, here with as little of everything as there can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from robomix.config import MixtureConfig
from robomix.sim import ROBOTS
from tests.conftest import PROJECT

EXAMPLE = PROJECT / "examples" / "three_robots"


def test_the_demo_records_trains_and_evaluates(tmp_path: Path) -> None:
    finished = run_demo(
        tmp_path, "--robots", "sawyer", "fetch", "--demonstrations=2", "--steps=2", "--rollouts=1", "--output=out"
    )
    assert finished.returncode == 0, finished.stderr
    solved = {row.split()[1]: row.split()[6] for row in finished.stdout.splitlines() if "/1 " in row and "%" in row}
    assert solved.keys() == {"sawyer", "fetch"}
    assert set(solved.values()) <= {"0/1", "1/1"}
    pretrained = tmp_path / "out" / "train" / "checkpoints" / "last" / "pretrained_model"
    for robot in ("sawyer", "fetch"):
        assert (pretrained / robot / "model.safetensors").is_file()
        assert len(list((tmp_path / "out" / "videos" / robot).glob("1000000-*.mp4"))) == 1
    assert str(Path("out") / "train" / "checkpoints" / "last") in finished.stdout


def test_the_demo_names_the_robots_it_has(tmp_path: Path) -> None:
    finished = run_demo(tmp_path, "--robots", "roomba")
    assert finished.returncode == 2
    assert "'sawyer', 'aloha', 'fetch'" in finished.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mix.yaml", "mix_cameras.yaml"])
def test_the_mixture_files_are_good_and_name_simulated_robots(name: str) -> None:
    mixture = MixtureConfig.from_dict(yaml.safe_load((EXAMPLE / name).read_text())["dataset"], origin=name)
    assert [source.name for source in mixture.datasets] == ["sawyer", "aloha", "fetch"]
    assert {source.name for source in mixture.datasets} <= ROBOTS.keys()


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m examples.three_robots` in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": "100"}
    command = [sys.executable, "-m", "examples.three_robots", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

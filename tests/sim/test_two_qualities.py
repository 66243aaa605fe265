"""The study of two qualities runs from nothing to its table, here with as little of everything as there can be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from robomix.config import MixtureConfig
from robomix.formats import open_dataset
from tests.conftest import PROJECT

EXAMPLE = PROJECT / "examples" / "two_qualities"
DEMONSTRATIONS = Path("outputs/two_qualities/demonstrations")


def test_the_study_records_trains_and_evaluates(tmp_path: Path) -> None:
    little = ["--experts=1", "--noisy=2", "--noise=0.2", "--seeds", "3", "--steps=2", "--rollouts=1"]
    finished = run_study(tmp_path, *little, "--weightings", "by size", "--output=out")
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    frames = [results["demonstrations"][name]["frames"] for name in ("experts", "noisy")]
    assert frames == [
        open_dataset(tmp_path / DEMONSTRATIONS / f"{name}.hdf5").num_frames for name in ("experts", "noisy")
    ]
    (outcome,) = results["weightings"]
    assert outcome["share_of_experts"] == pytest.approx(frames[0] / sum(frames))
    assert outcome["success"] == outcome["solved"][0] in (0, 1)
    trained = json.loads(next((tmp_path / "out").glob("**/last/pretrained_model/train_config.json")).read_text())
    assert (trained["dataset"]["alpha"], trained["seed"]) == (1.0, 3)
    assert f"{outcome['share_of_experts']:.0%}" in finished.stdout


def test_the_two_files_differ_in_quality_and_have_no_episode_in_common(tmp_path: Path) -> None:
    finished = run_study(tmp_path, "--experts=2", "--noisy=2", "--noise=0.3", "--record_only")
    assert finished.returncode == 0, finished.stderr
    experts, noisy = (open_dataset(tmp_path / DEMONSTRATIONS / f"{name}.hdf5") for name in ("experts", "noisy"))
    assert experts.num_frames < noisy.num_frames
    key = "observation.environment_state"
    starts = [dataset.column(key)[dataset.episodes.starts[:-1]] for dataset in (experts, noisy)]
    assert np.abs(starts[0][:, None] - starts[1]).max(axis=-1).min() > 0.01
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_the_mixture_file_and_the_robomimic_config_name_the_files_that_are_recorded() -> None:
    mixture = MixtureConfig.from_dict(yaml.safe_load((EXAMPLE / "mix.yaml").read_text())["dataset"])
    config = json.loads((EXAMPLE / "robomimic.json").read_text())
    recorded = [("experts", str(DEMONSTRATIONS / "experts.hdf5")), ("noisy", str(DEMONSTRATIONS / "noisy.hdf5"))]
    assert [(source.name, source.root) for source in mixture.datasets] == recorded
    assert [(entry["key"], entry["path"]) for entry in config["train"]["data"]] == recorded


def run_study(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m examples.two_qualities` in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": "100"}
    command = [sys.executable, "-m", "examples.two_qualities", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

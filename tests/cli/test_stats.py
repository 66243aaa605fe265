"""`robomix stats`: what it prints, what it writes, and that a training takes it."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from robomix.cli.main import main
from tests.fixtures import write_v30


@pytest.fixture
def mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mixture of two small datasets, one robot each."""
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    for name in ("one", "two"):
        write_v30(tmp_path / name, lengths=(6, 5), robot_type=name)
    block = {"normalize_by": "embodiment", "datasets": [{"root": str(tmp_path / name)} for name in ("one", "two")]}
    file = tmp_path / "mix.yaml"
    file.write_text(yaml.safe_dump({"dataset": block}))
    return file


def test_a_table_for_each_group_and_files_in_folders_of_their_names(
    mix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = mix.parent / "out"
    assert main(["stats", str(mix), f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "Statistics of 'one': one 100.0%" in printed
    assert "Statistics of 'two': two 100.0%" in printed
    for name in ("one", "two"):
        assert (out / name / "meta/stats.json").is_file()
        assert (out / name / "norm_stats.json").is_file()


def test_json_has_every_group_and_number(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(mix), "--by=global", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert list(record) == ["global"]
    assert record["global"]["sources"] == {"one": 0.5, "two": 0.5}
    assert np.isfinite(record["global"]["features"]["action"]["q99"]).all()


def test_one_asset_for_all_datasets(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assets = mix.parent / "assets"
    assert main(["stats", str(mix), "--by=global", f"--out={assets}", "--asset_id=shared"]) == 0
    assert list(json.loads((assets / "shared/norm_stats.json").read_text())["norm_stats"]) == ["state", "actions"]
    assert main(["stats", str(mix), f"--out={assets}", "--asset_id=shared"]) == 2
    assert "names one folder in --out, but the mixture has 2 groups: one, two" in capsys.readouterr().err


def test_a_chunks_steps_are_printed_for_relative_actions(mix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = yaml.safe_load(mix.read_text())
    for entry in data["dataset"]["datasets"]:
        entry["transforms"] = [{"type": "delta_action", "kwargs": {"reference": "state"}}]
    mix.write_text(yaml.safe_dump(data))
    assert main(["stats", str(mix)]) == 2
    assert "`policy:` block" in capsys.readouterr().err
    mix.write_text(yaml.safe_dump(data | {"policy": {"type": "act", "chunk_size": 4, "n_action_steps": 2}}))
    assert main(["stats", str(mix), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert np.shape(record["one"]["by_step"]["action"]["mean"])[0] == 4
    assert main(["stats", str(mix)]) == 0
    assert "action of 'one' by step of the chunk" in capsys.readouterr().out


def test_a_file_without_a_dataset_block_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mix.yaml").write_text("policy: {type: act}")
    assert main(["stats", str(tmp_path / "mix.yaml")]) == 2
    assert "has no block `dataset:`" in capsys.readouterr().err

"""Training on real arms of different rates: brought to one, and as they are."""

import json
from pathlib import Path

import pytest

from robomix.cli.main import main
from tests.training.test_loop import SMALL


@pytest.fixture
def config(real_data: Path, tmp_path: Path) -> Path:
    """A Dobot at 10 fps and a humanoid at 30, with small pictures, and the humanoid's rests left out."""
    small = {"type": "resize_images", "kwargs": {"height": 32, "width": 32}}
    dobot = {"root": str(real_data / "cr5_v21"), "episodes": [0], "transforms": [small]}
    humanoid = {
        "root": str(real_data / "g1_v30"),
        "episodes": [0, 1],
        "feature_map": {"observation.images.cam_high": "observation.images.top"},
        "transforms": [small],
        "idle": {"key": "observation.state", "below": 0.01, "longer_than": 2},
    }
    dataset = {"normalize_by": "source", "use_imagenet_stats": False, "datasets": [dobot, humanoid]}
    training = {"policy": SMALL, "batch_size": 4, "steps": 3, "log_freq": 1, "save_freq": 0, "num_workers": 0}
    path = tmp_path / "mix.json"
    path.write_text(json.dumps({"dataset": dataset} | training))
    return path


def test_real_arms_train_at_one_rate(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["train", f"--config_path={config}", "--dataset.rate=10", f"--output_dir={out}"]) == 0
    printed = capsys.readouterr()
    assert "lasts" not in printed.out
    assert "source 'g1_v30': idle leaves out" in printed.err
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3]
    written = json.loads((out / "checkpoints/last/pretrained_model/mixture.json").read_text())
    assert [row["fps"] for row in written["table"]] == [10, 10]
    assert written["config"]["rate"] == 10
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=4"]) == 0
    again = ["train", "--resume=true", f"--output_dir={out}", "--steps=5", "--dataset.rate=native"]
    assert main(again) == 2
    assert "g1_v30" in capsys.readouterr().err


def test_at_their_own_rates_it_is_told_what_a_chunk_lasts(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", "--dry_run"]) == 0
    assert (
        "a chunk of 4 actions lasts 0.40 s in cr5_v21 (10 fps), 0.13 s in g1_v30 (30 fps); dataset.rate resamples them "
        "to one rate"
    ) in capsys.readouterr().out

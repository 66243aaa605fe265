"""The example whose sources become alike by joining features, trained as it stands."""

import json
from pathlib import Path

import pytest

from robomix.cli.main import main
from tests.conftest import PROJECT


@pytest.mark.filterwarnings("ignore:.*left out annotation")
def test_a_robot_in_pieces_and_a_whole_one_train_together(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if real_data.resolve() != (PROJECT / "../shared/data").resolve():
        pytest.skip("the example names ../shared/data, and the recordings lie elsewhere")
    monkeypatch.chdir(PROJECT)
    assert main(["train", "--config_path=examples/joined_features.yaml", f"--output_dir={tmp_path / 'out'}"]) == 0

    policy = json.loads((tmp_path / "out/checkpoints/000002/pretrained_model/franka_v21/config.json").read_text())
    shapes = {key: feature["shape"] for key, feature in policy["input_features"].items()}
    assert shapes == {"observation.state": [13], "observation.images.base_view": [3, 120, 160]}
    assert policy["output_features"]["action"]["shape"] == [8]

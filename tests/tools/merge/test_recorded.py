"""What a merge reads of LeRobot datasets without the column cache is what opening them gives."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import FormatError
from robomix.formats import open_dataset
from robomix.mixture.fetching import locate
from robomix.mixture.split import episode_keys
from robomix.tools.merge.recorded import RecordedDataset, opened
from tests.fixtures import write_v20, write_v21, write_v30

LEROBOT = {"gop": 1, "lengths": (4, 3)}


def recorded(path: Path, **entry: object) -> object:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(path), **entry}]})
    return opened(config, config.datasets[0], locate(config.datasets[0]))


@pytest.mark.parametrize("write", [write_v20, write_v21, write_v30])
def test_numbers_tasks_and_hashes_are_those_of_the_opened_dataset(write: Callable[..., object], tmp_path: Path) -> None:
    write(tmp_path / "set", **LEROBOT)
    found, expected = recorded(tmp_path / "set"), open_dataset(tmp_path / "set")
    assert isinstance(found, RecordedDataset)
    assert (found.fps, found.robot_type, list(found.features)) == (
        expected.fps,
        expected.robot_type,
        list(expected.features),
    )
    for key, feature in expected.features.items():
        if feature.kind == "numeric":
            np.testing.assert_array_equal(found.column(key), expected.column(key))
            assert found.features[key] == feature
    texts = [[d.tasks[i] for i in d.task_indices()] for d in (found, expected)]
    assert texts[0] == texts[1]
    np.testing.assert_array_equal(found.episodes.starts, expected.episodes.starts)
    every = np.arange(found.num_episodes)
    np.testing.assert_array_equal(episode_keys(found, every), episode_keys(expected, every))


def test_a_plain_merge_puts_nothing_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOMIX_CACHE", str(tmp_path / "cache"))
    write_v21(tmp_path / "a", **LEROBOT)
    write_v30(tmp_path / "b", **LEROBOT, seed=1)
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "m")]) == 0
    assert not os.path.exists(tmp_path / "cache")


def test_what_needs_frames_or_another_rate_is_opened(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", **LEROBOT)
    transforms = [{"type": "pad_action", "kwargs": {"target_dim": 12}}]
    assert not isinstance(recorded(tmp_path / "set", transforms=transforms), RecordedDataset)


def lacking_a_column(path: Path) -> None:
    file = sorted(path.glob("data/*/*.parquet"))[1]
    pq.write_table(pq.read_table(file).drop_columns(["action"]), file)


def unknown_task(path: Path) -> None:
    (path / "meta/tasks.jsonl").write_text(json.dumps({"task_index": 7, "task": "another"}))


@pytest.mark.parametrize("damage", [lacking_a_column, unknown_task])
def test_what_opening_refuses_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    write_v21(tmp_path / "set", **LEROBOT)
    damage(tmp_path / "set")
    with pytest.raises(FormatError) as expected:
        open_dataset(tmp_path / "set")
    with pytest.raises(FormatError) as found:
        recorded(tmp_path / "set")
    assert str(found.value).split(":")[-1].split(",")[0] in str(expected.value)


def test_declared_features_that_no_file_has_are_told(tmp_path: Path) -> None:
    write_v21(tmp_path / "set", **LEROBOT)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    info["features"]["observation.force"] = {"dtype": "float32", "shape": [3], "names": None}
    (tmp_path / "set/meta/info.json").write_text(json.dumps(info))
    with pytest.warns(UserWarning, match=r"left out 'observation\.force'.* no episode has a column for it"):
        recorded(tmp_path / "set")

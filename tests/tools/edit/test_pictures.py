"""Pictures that become cells of a table do so a few at a time; that changes nothing but how rows are grouped."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robomix.cli.main import main
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build import tables
from tests.fixtures import write_v21
from tests.formats.writing import lerobot_dataset
from tests.hdf5_files import write_robomimic
from tests.tools.edited import TOP, assert_equal, episode_rows


def pictures(source: Path, target: Path) -> Path:
    assert main(["convert", str(source), "--to=v3.0", "--storage=image", f"--out={target}"]) == 0
    return target


@pytest.mark.parametrize("frames", [1, 3, 7])
def test_a_long_episode_is_written_a_few_pictures_at_a_time(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, lengths = tmp_path / "source", (7, 2, 5)
    write_v21(source, lengths=lengths)
    at_once = pictures(source, tmp_path / "at once")
    monkeypatch.setattr(tables, "_PIXELS_AT_ONCE", frames * 3 * 32 * 48)
    made = pictures(source, tmp_path / "a few")
    (file,) = made.glob("data/*/*.parquet")
    metadata = pq.read_metadata(file)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [min(frames, n - first) for n in lengths for first in range(0, n, frames)]
    assert pq.read_table(file).equals(pq.read_table(next(at_once.glob("data/*/*.parquet"))))
    assert episode_rows(made) == episode_rows(at_once)
    assert (made / "meta/stats.json").read_bytes() == (at_once / "meta/stats.json").read_bytes()
    assert_equal(made, source)
    assert len(lerobot_dataset(made)) == 14


def test_numbers_and_statistics_of_measured_pictures_are_those_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another format, whose cameras have no statistics yet."""
    truth = write_robomimic(tmp_path / "lift.hdf5", cameras=("top",), size=(16, 24))
    monkeypatch.setattr(tables, "_PIXELS_AT_ONCE", 2 * 3 * 16 * 24)
    made = pictures(truth.path, tmp_path / "out")
    dataset = LeRobotDataset.opened(made)
    np.testing.assert_array_equal(dataset.read_frames(TOP, np.arange(16)), truth.frames[TOP])
    np.testing.assert_array_equal(dataset.column("action"), truth.columns["action"])
    for row, start, length in zip(episode_rows(made), dataset.episodes.starts, truth.lengths, strict=False):
        own = truth.frames[TOP][start : start + length].transpose(1, 0, 2, 3).reshape(3, -1) / 255
        np.testing.assert_allclose(np.reshape(row[f"stats/{TOP}/mean"], 3), own.mean(1), rtol=1e-12)
        assert row[f"stats/{TOP}/count"] == [length]

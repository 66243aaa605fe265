"""What robomix writes goes through LeRobot's own commands, and what these make of it comes back."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.formats import Dataset, open_dataset
from robomix.tools.check.run import check
from tests.fixtures import write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset

TOP, WRIST = "observation.images.top", "observation.images.wrist"
LEROBOT: dict[str, Any] = {"gop": 1, "cameras": {TOP: (64, 96)}}


@pytest.fixture
def lerobot(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a command of LeRobot's, as its entry point does, in this process."""

    def run(command: str, *argv: object) -> None:
        script = __import__(f"lerobot.scripts.lerobot_{command.replace('-', '_')}", fromlist=["main"])
        monkeypatch.setattr(script, "init_logging", lambda: None)
        monkeypatch.setattr(sys, "argv", [f"lerobot-{command}", *map(str, argv)])
        logging.disable(logging.WARNING)
        try:
            script.main()
        finally:
            logging.disable(logging.NOTSET)

    return run


def robomix(*argv: object) -> None:
    assert main([*map(str, argv)]) == 0


def two(folder: Path) -> list[Path]:
    """A v2.1 and a v3.0 dataset with other numbers, widths and cameras."""
    write_v21(folder / "a", **LEROBOT | {"lengths": (4, 3, 5)})
    write_v30(
        folder / "b",
        **LEROBOT | {"lengths": (6, 2), "seed": 1, "action_dim": 4, "cameras": {TOP: (64, 96), WRIST: (64, 64)}},
    )
    return [folder / "a", folder / "b"]


def merged(folder: Path, *flags: str) -> Path:
    robomix("merge", *two(folder), "--out", folder / "m", "--keep=union", "--codec=h264", *flags)
    return folder / "m"


def converted(folder: Path, *flags: str) -> Path:
    write_v20(folder / "old", **LEROBOT | {"lengths": (4, 3), "tasks": ["it's größer", "物を取る"]})
    robomix("convert", folder / "old", "--to=v3.0", "--out", folder / "new", *flags)
    return folder / "new"


def exported(folder: Path) -> Path:
    """Through HDF5, into lossless video."""
    write_v21(folder / "one task", **LEROBOT | {"lengths": (4, 3), "tasks": ["lift"] * 2})
    robomix("convert", folder / "one task", "--to=robomimic", "--out", folder / "demo.hdf5")
    robomix("convert", folder / "demo.hdf5", "--to=v3.0", "--codec=h264_lossless", "--out", folder / "back")
    return folder / "back"


MADE: dict[str, Callable[[Path], Path]] = {
    "merged": merged,
    "merged as pictures": lambda folder: merged(folder, "--storage=image"),
    "converted": converted,
    "converted to pictures": lambda folder: converted(folder, "--storage=image"),
    "from HDF5": exported,
}


@pytest.mark.parametrize("made", MADE)
def test_lerobot_shows_it(made: str, tmp_path: Path, lerobot: Callable[..., None]) -> None:
    load_recording = pytest.importorskip("rerun.dataframe", reason="rerun is not installed").load_recording
    path = MADE[made](tmp_path)
    shown = ("--mode=local", "--save=1", f"--output-dir={tmp_path / 'rrd'}", "--num-workers=0")
    lerobot("dataset-viz", f"--repo-id=me/{path.name}", f"--root={path}", "--episode-index=1", *shown)
    recording = load_recording(tmp_path / f"rrd/me_{path.name}_episode_1.rrd")
    view = recording.view(index="frame_index", contents="/action")
    values = view.select("/action:Scalars:scalars").read_all().column(0).to_pylist()
    ours = open_dataset(path)
    np.testing.assert_array_equal(np.array(values, np.float32), of_episodes(ours, "action", [1]))


def of_episodes(dataset: Dataset, key: str, episodes: Sequence[int]) -> np.ndarray:
    starts = dataset.episodes.starts
    rows = np.concatenate([np.arange(starts[e], starts[e + 1]) for e in episodes])
    return dataset.read_frames(key, rows) if dataset.features[key].is_camera else dataset.column(key)[rows]


def assert_episodes(found: Path, source: Path, episodes: Sequence[int]) -> None:
    """`found` has these episodes of `source`: the numbers exactly, the tasks, and frames but for LeRobot's encoding."""
    new, old = open_dataset(found), open_dataset(source)
    for key, feature in old.features.items():
        values, expected = of_episodes(new, key, range(len(episodes))), of_episodes(old, key, episodes)
        assert values.shape == expected.shape
        if feature.is_camera and feature.storage == "video":
            assert abs(values.astype(float) - expected).mean() < 4, key
        else:
            np.testing.assert_array_equal(values, expected, key)
    texts = [old.tasks[old.task_indices()[old.episodes.starts[e]]] for e in episodes]
    assert [new.tasks[new.task_indices()[start]] for start in new.episodes.starts[:-1]] == texts


@pytest.mark.parametrize("made", ["merged", "merged as pictures", "converted"])
def test_lerobot_deletes_and_splits_it(made: str, tmp_path: Path, lerobot: Callable[..., None]) -> None:
    path = MADE[made](tmp_path)
    count = open_dataset(path).num_episodes
    edit = (f"--repo_id=me/{path.name}", f"--root={path}")
    lerobot(
        "edit-dataset", *edit, "--new_repo_id=me/less", f"--new_root={tmp_path / 'less'}",
        "--operation.type=delete_episodes", "--operation.episode_indices=[0]",
    )  # fmt: skip
    assert_episodes(tmp_path / "less", path, range(1, count))
    lerobot(
        "edit-dataset", *edit, f"--new_root={tmp_path / 'parts'}",
        "--operation.type=split", f'--operation.splits={{"a": [0], "b": {list(range(1, count))}}}',
    )  # fmt: skip
    assert_episodes(tmp_path / "parts/a", path, [0])
    assert_episodes(tmp_path / "parts/b", path, range(1, count))


@pytest.mark.parametrize("flags", [(), ("--storage=image",)])
def test_lerobot_merges_it_with_its_originals(
    flags: tuple[str, ...], tmp_path: Path, lerobot: Callable[..., None]
) -> None:
    """Its merge takes v3.0 only, of equal features: so parts of a merged dataset, and the whole of it."""
    path = merged(tmp_path, *flags)
    robomix("split", path, "--lists", "a=0:3", "b=3:5", "--out", tmp_path / "parts")
    sources = [path, tmp_path / "parts/a", tmp_path / "parts/b"]
    lerobot(
        "edit-dataset", "--new_repo_id=me/all", f"--new_root={tmp_path / 'all'}", "--operation.type=merge",
        "--operation.repo_ids=['me/m', 'me/a', 'me/b']", f"--operation.roots={[str(source) for source in sources]}",
    )  # fmt: skip
    assert len(lerobot_dataset(tmp_path / "all")) == 2 * open_dataset(path).num_frames
    assert_episodes(tmp_path / "all", path, [*range(5), *range(5)])


def test_what_lerobot_made_of_it_is_merged_with_the_originals(tmp_path: Path, lerobot: Callable[..., None]) -> None:
    path = merged(tmp_path)
    lerobot(
        "edit-dataset", "--repo_id=me/m", f"--root={path}", "--new_repo_id=me/less", f"--new_root={tmp_path / 'less'}",
        "--operation.type=delete_episodes", "--operation.episode_indices=[1, 2, 4]",
    )  # fmt: skip
    write_v30(tmp_path / "c", **LEROBOT | {"lengths": (2,), "seed": 7})
    sources = (tmp_path / "less", tmp_path / "c", *(tmp_path / name for name in "ab"))
    robomix(
        "merge", *sources, "--out", tmp_path / "mm", "--keep=union", "--codec=h264", "--drop_duplicates",
    )  # fmt: skip
    assert [f.defect.id for f in check(tmp_path / "mm").findings if f.level == "FAIL"] == []
    again, once = open_dataset(tmp_path / "mm"), open_dataset(path)
    assert again.episodes.lengths.tolist() == [4, 6, 2, 3, 5, 2]
    order = {0: 0, 1: 3, 3: 1, 4: 2, 5: 4}  # episode of `mm` to that of `m`; 2 is of `c`
    for new, old in order.items():
        for key in ("action", "observation.state", "action_dim_is_pad"):
            np.testing.assert_array_equal(of_episodes(again, key, [new]), of_episodes(once, key, [old]), key)

"""A frame store reads back what was written, and one that is damaged or a trap is refused by name."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix import MixtureConfig, open_dataset
from robomix.errors import FormatError
from robomix.formats.frame_store import HEADER
from robomix.tools.check.finding import Verdict
from robomix.tools.check.run import check
from robomix.tools.materialize.plan import make_plan
from robomix.tools.materialize.run import carry_out
from tests.fixtures import write_v21
from tests.hdf5_files import write_robomimic

TOP = "observation.images.top"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three episodes of 5, 7 and 3 frames, at their own size."""
    write_v21(tmp_path / "set", storage="image", episode_ids=(4, 7, 9), robot_type="arm")
    config = MixtureConfig.from_dict({"datasets": [{"root": str(tmp_path / "set")}]})
    carry_out(make_plan(config, tmp_path / "small", height=32, width=48, storage="frames"), {})
    return tmp_path / "small" / "set"


def test_it_is_the_dataset_it_was_made_of(store: Path, tmp_path: Path) -> None:
    original, stored = open_dataset(tmp_path / "set"), open_dataset(store)
    assert (stored.fps, stored.robot_type, stored.tasks) == (original.fps, "arm", original.tasks)
    assert stored.episodes.ids.tolist() == [4, 7, 9]
    assert stored.episodes.starts.tolist() == [0, 5, 12, 15]
    for key in ("observation.state", "action"):
        np.testing.assert_array_equal(stored.column(key), original.column(key))
        assert stored.features[key] == original.features[key]
    np.testing.assert_array_equal(stored.task_indices(), original.task_indices())
    rows = [14, 0, 5, 5]
    np.testing.assert_array_equal(stored.read_frames(TOP, rows), original.read_frames(TOP, rows))
    assert stored.cache_folder is None
    arrived = pickle.loads(pickle.dumps(stored))
    np.testing.assert_array_equal(arrived.read_frames(TOP, rows), original.read_frames(TOP, rows))


def test_what_a_simulator_needs_is_kept(tmp_path: Path) -> None:
    """A robomimic file of 20 Hz, stored at 10: its environment, and how many of its steps a frame lasts."""
    write_robomimic(tmp_path / "demo.hdf5", cameras=["agentview"])
    config = MixtureConfig.from_dict({"rate": 10, "datasets": [{"root": str(tmp_path / "demo.hdf5"), "name": "sim"}]})
    carry_out(make_plan(config, tmp_path / "small", height=8, width=8, storage="frames"), {})
    original, stored = open_dataset(tmp_path / "demo.hdf5"), open_dataset(tmp_path / "small" / "sim")
    assert stored.env_args == original.env_args is not None
    assert (stored.fps, stored.recorded_fps) == (10, 20)
    assert stored.episodes.ids.tolist() == [0, 2, 10]
    assert stored.episodes.lengths.tolist() == [3, 4, 2]


def test_a_frame_lies_where_the_format_says(store: Path, tmp_path: Path) -> None:
    data = (store / "cameras" / f"{TOP}.bin").read_bytes()
    size = 3 * 32 * 48
    assert len(data) == 15 * size
    frame = np.frombuffer(data[6 * size : 7 * size], np.uint8).reshape(3, 32, 48)
    np.testing.assert_array_equal(frame, open_dataset(tmp_path / "set").read_frames(TOP, [6])[0])


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def harm(store: Path) -> None:
        header = json.loads((store / HEADER).read_text())
        change(header)
        (store / HEADER).write_text(json.dumps(header))

    return harm


def truncated(store: Path) -> None:
    path = store / "cameras" / f"{TOP}.bin"
    path.write_bytes(path.read_bytes()[:-1])


def linked_out(store: Path) -> None:
    path = store / "columns" / "action.bin"
    path.rename(store.parent / "action.bin")
    path.symlink_to(store.parent / "action.bin")


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "bytes, expected"),
    "missing": (lambda store: (store / "columns" / "action.bin").unlink(), "does not exist"),
    "linked out": (linked_out, "leads out of the store"),
    "other version": (edited(lambda h: h.update(version=2)), "version 2"),
    "other file": (
        edited(lambda h: h["arrays"]["column action"].update(file="../../x")),
        "expected 'columns/action.bin'",
    ),
    "huge": (edited(lambda h: h["arrays"]["column action"].update(shape=[1 << 60])), "expected its file"),
    "objects": (edited(lambda h: h["arrays"]["column action"].update(dtype="|O")), "expected its file"),
    "other shape": (edited(lambda h: h["features"]["action"].update(shape=[3])), "is stored as"),
    "unknown kind": (edited(lambda h: h["features"]["action"].update(kind="pickle")), "feature 'action'"),
    "no features": (edited(lambda h: h.update(features=None)), "feature 'all'"),
    "no rate": (edited(lambda h: h.update(fps=[0, 1])), "fps is"),
    "no tasks": (edited(lambda h: h.update(tasks=[])), "tasks are"),
    "fewer tasks": (edited(lambda h: h.update(tasks=["one"])), "does not name one of 1 texts"),
    "no fingerprint": (edited(lambda h: h.pop("fingerprint")), "fingerprint"),
    "no JSON": (lambda store: (store / HEADER).write_text("{"), "not valid JSON"),
}


@pytest.mark.parametrize("name", HARM)
def test_a_damaged_store_is_refused(name: str, store: Path) -> None:
    harm, expected = HARM[name]
    harm(store)
    with pytest.raises(FormatError, match=expected):
        open_dataset(store)


def test_episodes_that_do_not_add_up_are_refused(store: Path) -> None:
    path = store / "columns" / "starts.bin"
    np.array([0, 5, 4, 15], "<i8").tofile(path)
    with pytest.raises(FormatError, match="`starts` does not say"):
        open_dataset(store)


def test_check_looks_at_its_numbers(store: Path) -> None:
    report = check(store)
    assert report.verdict not in (Verdict.FAIL, Verdict.WARN)

"""Everything wrong that can be given to the writer is named, with what was found and what was expected."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.formats.lerobot.writer import DatasetWriter
from tests.formats.writing import FEATURES, TOP, WRIST, add_episodes, episode, lerobot_dataset
from tests.pictures import pictures, row_and_camera

BAD_EPISODES = {
    "missing key": ({"action": ...}, r"no column 'action'"),
    "unexpected key": ({"actoin": np.zeros((4, 2))}, r"unexpected column 'actoin'.*Did you mean 'action'"),
    "length": ({"action": np.zeros((3, 2))}, r"column 'action': found shape \(3, 2\), expected \(4, 2\)"),
    "shape": ({"pose": np.zeros((4, 6), np.float32)}, r"'pose': found shape \(4, 6\), expected \(4, 2, 3\)"),
    "dtype": ({"action": np.zeros((4, 2), np.float32)}, r"'action': found dtype float32, expected float64.*astype"),
    "NaN": ({"action": np.array([[0, 1], [0, 1], [0, np.nan], [0, 1]])}, r"'action', frame 2, entry \(1,\): found nan"),
    "infinity": ({"gripper": np.array([0, -np.inf, 0, 0], np.float32)}, r"'gripper', frame 1: found -inf"),
    "camera size": ({TOP: pictures(range(4), 0, 32, 32)}, r"camera '.*top': found uint8 of shape \(4, 3, 32, 32\)"),
    "camera dtype": ({TOP: np.zeros((4, 3, 32, 48))}, r"camera '.*top': found float64"),
    "channels last": (
        {WRIST: np.zeros((4, 31, 41, 3), np.uint8)},
        r"wrist': .*expected uint8 of shape \(4, 3, 31, 41\)",
    ),
    "no frames": ({key: column[:0] for key, column in episode(1).items()}, "has no frames"),
}


@pytest.mark.parametrize("name", BAD_EPISODES)
def test_a_bad_episode_is_named_and_the_writer_goes_on(tmp_path: Path, name: str) -> None:
    changes, message = BAD_EPISODES[name]
    with DatasetWriter(tmp_path / "set", fps=10, features=FEATURES) as writer:
        writer.add_episode(episode(2), "t")
        bad = {key: value for key, value in (episode(4) | changes).items() if value is not ...}
        with pytest.raises(ConfigError, match=f"Episode 1.*{message}"):
            writer.add_episode(bad, "t")
        writer.add_episode(episode(3, 2), "t")
    assert [row_and_camera(item[TOP].numpy())[0] for item in lerobot_dataset(tmp_path / "set")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (["a", "b"], "found 2 task texts, expected one, or one for each of 3 frames"),
        (["a", None, "b"], "frame 1: .*None"),
    ],
)
def test_bad_task_texts_are_named(tmp_path: Path, task: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        add_episodes(tmp_path / "set", episode(3), task=task)


STREAMS = {
    "short": (lambda: iter(pictures(range(2), 0, 32, 48)), "found 2 frames, expected 3"),
    "long": (lambda: iter(pictures(range(5), 0, 32, 48)), "found more than 3 frames"),
    "other size": (lambda: iter(pictures(range(3), 0, 32, 64)), r"found uint8 of shape \(3, 32, 64\)"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_fails_is_named_and_ends_the_dataset(tmp_path: Path, name: str) -> None:
    stream, message = STREAMS[name]
    writer = DatasetWriter(tmp_path / "set", fps=10, features=FEATURES)
    writer.__enter__()
    writer.add_episode(episode(2), "t")
    with pytest.raises(ConfigError, match=f"Episode 1, camera 'observation.images.top'.*{message}"):
        writer.add_episode(episode(3) | {TOP: stream()}, "t")
    with pytest.raises(ConfigError, match="cannot go on"):
        writer.add_episode(episode(3), "t")
    with pytest.raises(ConfigError, match="an episode failed"):
        writer.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_an_episode_of_streams_alone_needs_its_length(tmp_path: Path) -> None:
    features = {TOP: FEATURES[TOP]}
    with DatasetWriter(tmp_path / "set", fps=10, features=features) as writer:
        with pytest.raises(ConfigError, match=r"length is not known.*one text per frame"):
            writer.add_episode({TOP: iter(pictures(range(3), 0, 32, 48))}, "t")
        writer.add_episode({TOP: iter(pictures(range(3), 0, 32, 48))}, ["t"] * 3)
    assert writer.lengths == [3]


BAD_ARGUMENTS = {
    "no features": ({"features": {}}, "at least one numeric column or camera"),
    "slash": ({"features": {"a/b": FEATURES["action"]}}, r"'a/b'.*must not hold"),
    "bookkeeping": ({"features": {"timestamp": FEATURES["gripper"]}}, "'timestamp'.*fills it in"),
    "text": ({"features": {"note": Feature("text", "str", ())}}, "'note' is of kind 'text'"),
    "dtype": ({"features": {"a": Feature("numeric", "complex64", (2,))}}, "'a' has dtype 'complex64'"),
    "names": ({"features": {"a": Feature("numeric", "float32", (2,), ("x",))}}, r"shape \(2,\) has 1 names"),
    "grey": ({"features": {"c": Feature("camera", "uint8", (1, 32, 48), storage="video")}}, "expected uint8 RGB"),
    "storage": ({"features": {"c": Feature("camera", "uint8", (3, 32, 48))}}, "storage 'column'"),
    "odd": ({"features": {"c": Feature("camera", "uint8", (3, 33, 48), storage="video")}}, "'c' is 33x48.*as images"),
    "codec": ({"codec": "h265"}, "Unknown video codec 'h265'"),
    "fps 0": ({"fps": 0}, "fps is 0"),
    "fps NaN": ({"fps": float("nan")}, "fps is nan"),
    "limit": ({"video_file_mb": 0}, "expected them above 0"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_arguments_are_checked_before_anything_is_written(tmp_path: Path, name: str) -> None:
    changes, message = BAD_ARGUMENTS[name]
    with pytest.raises(ConfigError, match=message):
        DatasetWriter(tmp_path / "set", **{"fps": 10, "features": FEATURES} | changes)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_outside_its_block_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not open: use it in a `with` block"):
        DatasetWriter(tmp_path / "set", fps=10, features=FEATURES).add_episode(episode(1), "t")

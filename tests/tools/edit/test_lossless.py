"""`h264_lossless` gives back every pixel that was encoded, to robomix and to LeRobot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.check.run import check
from tests.fixtures import write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset
from tests.tools.edited import TOP, assert_equal, frames_of

LOSSLESS = "--codec=h264_lossless"


def converted(source: Path, target: Path, *flags: str) -> Path:
    assert main(["convert", str(source), "--to=v3.0", f"--out={target}", *flags]) == 0
    return target


def odd_videos(folder: Path) -> list[str]:
    """What `check` finds wrong with the videos and their declarations."""
    found = [f.defect.id for f in check(folder).findings if f.level in ("FAIL", "WARN")]
    return [defect for defect in found if defect.startswith("V")]


@pytest.mark.parametrize("write", [write_v20, write_v21, write_v30])
@pytest.mark.parametrize("spec", [{"fps": 29.97}, {"codec": "libsvtav1", "cameras": {TOP: (64, 64)}}, {"b_frames": 2}])
def test_video_to_pictures_to_video_gives_equal_frames(write: Any, spec: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "source", **{"lengths": (1, 8, 4), "gop": 4} | spec)
    pictures = converted(tmp_path / "source", tmp_path / "pictures", "--storage=image")
    videos = converted(pictures, tmp_path / "videos", "--storage=video", LOSSLESS)
    made = LeRobotDataset.opened(videos)
    assert made.features[TOP].storage == "video"
    assert_equal(videos, tmp_path / "source")
    exact = LeRobotDataset.opened(tmp_path / "source").read_frames(TOP, np.arange(13))
    np.testing.assert_array_equal(np.concatenate(frames_of(videos, float(made.fps))), exact)
    theirs = lerobot_dataset(videos)
    for i in (0, 1, 8, 12):
        np.testing.assert_array_equal(theirs[i][TOP].numpy(), exact[i])
    assert odd_videos(videos) == []


def test_pictures_of_odd_sides_become_video(tmp_path: Path) -> None:
    truth = write_v21(tmp_path / "source", storage="image", cameras={TOP: (31, 41)})
    videos = converted(tmp_path / "source", tmp_path / "videos", "--storage=video", LOSSLESS)
    np.testing.assert_array_equal(LeRobotDataset.opened(videos).read_frames(TOP, np.arange(15)), truth.frames[TOP])
    np.testing.assert_array_equal(lerobot_dataset(videos)[14][TOP].numpy(), truth.frames[TOP][14])


def test_what_is_cut_from_lossless_video_stays_lossless_unasked(tmp_path: Path) -> None:
    truth = write_v30(tmp_path / "source", storage="image", lengths=(6, 4))
    videos = converted(tmp_path / "source", tmp_path / "videos", "--storage=video", LOSSLESS)
    block = json.loads((videos / "meta/info.json").read_text())["features"][TOP]["info"]
    assert (block["video.codec"], block["video.pix_fmt"], block["video.crf"]) == ("h264", "gbrp", 0)
    assert main(["trim", str(videos), "--episodes", "0=1:6", f"--out={tmp_path / 'less'}"]) == 0
    found = LeRobotDataset.opened(tmp_path / "less").read_frames(TOP, np.arange(9))
    np.testing.assert_array_equal(found, truth.frames[TOP][1:])
    assert odd_videos(tmp_path / "less") == []

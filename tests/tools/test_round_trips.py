"""There and back: a dataset that goes through other formats, or through parts, is in the end what it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.cli.main import main
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.formats.robomimic.dataset import RobomimicDataset
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content
from robomix.tools.edit.episodes import delete
from robomix.tools.edit.join import join
from robomix.tools.edit.split import by_lists
from tests.fixtures import write_v21, write_v30
from tests.tools.edited import TOP, assert_equal, digests, edited, frames_of

SMALL = {TOP: (32, 32)}
SPECS: dict[str, dict[str, Any]] = {
    "episodes of one frame": {"lengths": (1, 4, 1, 1, 2), "gop": 1},
    "29.97 frames per second": {"fps": 29.97, "lengths": (4, 6, 2)},
    "texts of all kinds": {"tasks": ['it\'s "here"', "größer → 物を取る", "100 %, done"], "lengths": (2, 4, 2)},
    "reordered frames": {"b_frames": 2, "gop": 4, "lengths": (8, 4, 12)},
    "AV1": {"codec": "libsvtav1", "lengths": (4, 6, 2), "cameras": {TOP: (64, 64)}},
    "HEVC": {"codec": "hevc", "lengths": (4, 6, 2), "cameras": {TOP: (64, 96)}},
    "single pictures": {"storage": "image"},
    "several tasks in an episode": {"tasks": ["a", ["b", "a", "a", "b"], ["b", "c"]], "lengths": (2, 4, 2)},
}
FILES: dict[str, Any] = {
    "episodes_per_data_file": 2,
    "episodes_per_video_file": 1,
    "episodes_per_meta_file": 1,
    "tasks_shuffled": True,
    "files_per_chunk": 2,
}
"""v3.0 in many files, with tasks in no order."""


@pytest.mark.parametrize("spec", SPECS)
def test_an_older_version_comes_back_from_the_newer(spec: str, tmp_path: Path) -> None:
    folder = tmp_path / "Müller's data"
    write_v21(folder / "source", **SPECS[spec])
    plans = [
        edited(folder / "source", folder / "newer", version="v3.0"),
        edited(folder / "newer", folder / "back", version="v2.1"),
    ]
    assert [plan.encoded for plan in plans] == [(), ()]
    assert_equal(folder / "back", folder / "source")
    edited(folder / "back", folder / "newer again", version="v3.0")
    assert digests(folder / "newer again") == digests(folder / "newer")


@pytest.mark.parametrize("spec", SPECS)
def test_parts_put_together_are_the_whole(spec: str, tmp_path: Path) -> None:
    write_v30(tmp_path / "source", **FILES | SPECS[spec])
    content = read_content(tmp_path / "source")
    ids = [episode.origin.episode for episode in content.episodes]
    for name, part in by_lists(content, {"a": ids[:2], "b": ids[2:]}).items():
        carry_out(make_plan(part, tmp_path / name))
    joined = join([read_content(tmp_path / name) for name in "ab"], ["a", "b"])
    assert joined.refusals == ()
    plan = make_plan(joined.content, tmp_path / "whole")
    assert plan.encoded == ()
    carry_out(plan)
    assert_equal(tmp_path / "whole", tmp_path / "source")


def test_what_was_joined_joins_again(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_v30(tmp_path / str(seed), seed=seed, lengths=(4, 2), tasks=["a", "b"][:: 1 - 2 * seed])
    names = ["0", "1"]
    for target, parts in (("01", names), ("0101", ["01", *names])):
        joined = join([read_content(tmp_path / name) for name in parts], parts)
        carry_out(make_plan(joined.content, tmp_path / target))
    frames = [frame for name in names for frame in frames_of(tmp_path / name, 10)]
    for found, expected in zip(frames_of(tmp_path / "0101", 10), frames * 2, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_files_longer_than_a_thousand_seconds_are_cut_at_the_right_frame(tmp_path: Path) -> None:
    """Frame 3,300 of 3 per second lies at 1,100 s, where float32 is too coarse for LeRobot's 0.1 ms."""
    lengths = (1500, 1899, 1, 400)
    write_v30(tmp_path / "source", lengths=lengths, fps=3, cameras=SMALL, gop=1, stats=False)
    plan = edited(tmp_path / "source", tmp_path / "older", version="v2.1")
    assert plan.encoded == ()
    edited(tmp_path / "older", tmp_path / "back", version="v3.0")
    assert_equal(tmp_path / "back", tmp_path / "source")
    edited(tmp_path / "back", tmp_path / "less", lambda content: delete(content, [0]))
    found, expected = frames_of(tmp_path / "less", 3), frames_of(tmp_path / "source", 3)[1:]
    for new, old in zip(found, expected, strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_robomimic_file_gives_back_what_went_into_it(tmp_path: Path) -> None:
    write_v30(tmp_path / "source", tasks=["it's one"] * 3, fps=29.97, robot_type="panda")
    assert main(["convert", str(tmp_path / "source"), "--to=robomimic", f"--out={tmp_path / 'demo.hdf5'}"]) == 0
    hdf5, source = RobomimicDataset.opened(tmp_path / "demo.hdf5"), LeRobotDataset.opened(tmp_path / "source")
    assert (hdf5.fps, hdf5.robot_type, hdf5.tasks) == (source.fps, "panda", ("it's one",))
    back = ["convert", str(tmp_path / "demo.hdf5"), "--to=v3.0", "--storage=image", f"--out={tmp_path / 'back'}"]
    assert main(back) == 0
    result = LeRobotDataset.opened(tmp_path / "back")
    assert set(result.features) == set(source.features)
    assert (result.fps, result.robot_type, result.tasks) == (source.fps, "panda", ("it's one",))
    rows = np.arange(source.num_frames)
    np.testing.assert_array_equal(result.read_frames(TOP, rows), source.read_frames(TOP, rows))
    for key in ("observation.state", "action"):
        assert result.column(key).dtype == source.column(key).dtype
        np.testing.assert_array_equal(result.column(key), source.column(key))


def test_several_tasks_do_not_fit_into_a_robomimic_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v30(tmp_path / "source")
    assert main(["convert", str(tmp_path / "source"), "--to=robomimic", f"--out={tmp_path / 'demo'}", "--json"]) == 2
    said = capsys.readouterr().out
    assert "the format holds one task, and the dataset has 2" in said
    assert "name it demo.hdf5" in said
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_videos_become_pictures_of_the_same_pixels_and_pictures_become_videos(version: str, tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(3, 5), gop=1)
    for name, target, storage in [("source", "pictures", "image"), ("pictures", "videos", "video")]:
        said = [str(tmp_path / name), f"--to={version}", f"--storage={storage}", f"--out={tmp_path / target}"]
        assert main(["convert", *said, "--codec=h264"]) == 0
    source, pictures, videos = (LeRobotDataset.opened(tmp_path / name) for name in ("source", "pictures", "videos"))
    assert [d.features[TOP].storage for d in (source, pictures, videos)] == ["video", "image", "video"]
    rows = np.arange(8)
    exact = source.read_frames(TOP, rows)
    np.testing.assert_array_equal(pictures.read_frames(TOP, rows), exact)
    assert abs(videos.read_frames(TOP, rows).astype(float) - exact).mean() < 4
    assert not (tmp_path / "pictures/videos").exists()
    np.testing.assert_array_equal(videos.column("action"), source.column("action"))

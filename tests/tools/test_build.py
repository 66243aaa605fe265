"""The engine that writes datasets out of parts of others: nothing changes on the way from any version to any other."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robomix.errors import ConfigError, FormatError
from robomix.formats.base import Dataset
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.content import Drawn
from robomix.tools.build.layout import Version, lay_out
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content
from robomix.tools.check.run import check
from tests.fixtures import decode_video, write_v20, write_v21, write_v30
from tests.formats.writing import lerobot_dataset

WRITERS = {"v2.0": write_v20, "v2.1": write_v21, "v3.0": write_v30}
VERSIONS: tuple[Version, ...] = ("v2.0", "v2.1", "v3.0")
TOP = "observation.images.top"
RICH = {
    "lengths": (6, 1, 8, 3),
    "gop": 1,
    "tasks": ["pick", "place", ["pick", "place", "place", "pick"] * 2, ["place", "pick", "pick"]],
    "extra": {"gripper": (1,), "pose": (2, 3)},
}
SPECS: dict[str, dict[str, Any]] = {
    "rich": RICH,
    "reordered frames": {"b_frames": 2, "gop": 12, "lengths": (12, 24, 12)},
    "hevc": {"codec": "hevc", "lengths": (6, 2, 8), "cameras": {TOP: (64, 96)}},
    "av1": {"codec": "libsvtav1", "lengths": (6, 2, 8), "cameras": {TOP: (64, 64)}},
    "pictures": {"storage": "image"},
    "29.97 frames per second": {"fps": 29.97, "lengths": (4, 6, 2)},
    "float64 in lists": {"value_dtype": "float64", "lists": "variable", "lengths": (4, 6, 2)},
}
"""Episodes begin with key frames, as they do in what LeRobot writes: what all files can be cut at."""


def converted(source: Path, target: Path, version: Version, workers: int = 1, codec: str = "h264") -> Path:
    carry_out(make_plan(read_content(source), target, version=version), workers=workers, codec=codec)
    return target


def assert_same(result: Dataset, source: Dataset, rows: np.ndarray) -> None:
    """All numbers in their types, all texts, and the frames at `rows`, to the last bit."""
    assert list(result.features) == [key for key in source.features if key in result.features]
    assert result.fps == source.fps
    assert result.robot_type == source.robot_type
    np.testing.assert_array_equal(result.episodes.lengths, source.episodes.lengths)
    texts = [[dataset.tasks[i] for i in dataset.task_indices()] for dataset in (result, source)]
    assert texts[0] == texts[1]
    for key, feature in source.features.items():
        if feature.is_camera:
            np.testing.assert_array_equal(result.read_frames(key, rows), source.read_frames(key, rows), key)
        elif feature.kind == "numeric":
            assert result.column(key).dtype == source.column(key).dtype
            np.testing.assert_array_equal(result.column(key), source.column(key), key)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


PAIRS = [(spec, source, target) for spec in SPECS for source in VERSIONS for target in VERSIONS]


@pytest.mark.parametrize(
    ("spec", "source", "target"), [p for p in PAIRS if p[0] == "rich" or p[1] > p[2] or p[1] == "v2.1"]
)
def test_every_version_becomes_every_other(spec: str, source: str, target: Version, tmp_path: Path) -> None:
    truth = WRITERS[source](tmp_path / "source", **SPECS[spec])
    before = digests(tmp_path / "source")
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "result", version=target)
    carry_out(plan)
    result = LeRobotDataset.opened(tmp_path / "result")
    assert_same(result, LeRobotDataset.opened(tmp_path / "source"), np.arange(truth.num_frames))
    assert result.format == f"LeRobot {target}"
    for key, values in truth.columns.items():
        np.testing.assert_array_equal(result.column(key).reshape(values.shape), values)
    assert plan.encoded_frames == 0
    assert digests(tmp_path / "source") == before


@pytest.mark.parametrize("target", VERSIONS)
@pytest.mark.parametrize("name", ["cr5_v21", "g1_v21", "g1_v30", "gr1_v20", "franka_v21"])
def test_real_recordings_become_every_version(name: str, target: Version, real_data: Path, tmp_path: Path) -> None:
    source = LeRobotDataset.opened(real_data / name)
    converted(real_data / name, tmp_path / "result", target)
    starts = source.episodes.starts
    rows = np.unique(np.concatenate([starts[:-1], starts[1:] - 1, np.arange(0, source.num_frames, 97)]))
    assert_same(LeRobotDataset.opened(tmp_path / "result"), source, rows)


@pytest.mark.parametrize("target", VERSIONS)
@pytest.mark.parametrize("source", VERSIONS)
def test_check_finds_nothing_in_what_was_written(source: str, target: Version, tmp_path: Path) -> None:
    WRITERS[source](tmp_path / "source", **RICH | {"lengths": (5, 4, 7, 3), "tasks": None})
    converted(tmp_path / "source", tmp_path / "result", target)
    assert [(f.defect.id, f.found) for f in check(tmp_path / "result").findings if f.level in ("FAIL", "WARN")] == []


@pytest.mark.parametrize("source", VERSIONS)
def test_lerobot_reads_the_result(source: str, tmp_path: Path) -> None:
    truth = WRITERS[source](tmp_path / "source", **RICH)
    converted(tmp_path / "source", tmp_path / "result", "v3.0")
    theirs = lerobot_dataset(tmp_path / "result")
    frames = LeRobotDataset.opened(tmp_path / "source").read_frames(TOP, np.arange(truth.num_frames))
    assert len(theirs) == truth.num_frames
    for i in range(truth.num_frames):
        sample = theirs[i]
        np.testing.assert_array_equal(sample[TOP].numpy(), frames[i])
        np.testing.assert_array_equal(sample["observation.state"].numpy(), truth.columns["observation.state"][i])
        assert sample["task"] == truth.row_tasks[i]


@pytest.mark.parametrize("target", VERSIONS)
def test_the_number_of_processes_changes_no_byte(target: Version, tmp_path: Path) -> None:
    write_v21(tmp_path / "source", **RICH)
    alone, together = (converted(tmp_path / "source", tmp_path / str(n), target, workers=n) for n in (1, 2))
    assert digests(alone) == digests(together)


def test_there_and_back_gives_the_same_files(tmp_path: Path) -> None:
    """The second way round begins with files that the engine wrote: they come out as they were."""
    write_v30(tmp_path / "source", **RICH)
    first = converted(tmp_path / "source", tmp_path / "first", "v2.1")
    second = converted(converted(first, tmp_path / "third", "v3.0"), tmp_path / "second", "v2.1")
    assert digests(second) == digests(first)


def test_episodes_that_share_a_group_of_pictures_are_copied_together(tmp_path: Path) -> None:
    """One key frame for a whole file: its episodes cannot be cut apart, but need not be."""
    truth = write_v30(tmp_path / "source", gop=250)
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "result", version="v3.0")
    assert plan.encoded_frames == 0
    carry_out(plan)
    source, result = (LeRobotDataset.opened(tmp_path / name) for name in ("source", "result"))
    assert_same(result, source, np.arange(truth.num_frames))


def test_what_must_be_cut_apart_is_encoded_and_the_plan_says_so(tmp_path: Path) -> None:
    write_v30(tmp_path / "source", lengths=(5, 7, 3), gop=250, cameras={TOP: (64, 64)})
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "result", version="v2.1")
    assert plan.encoded_frames == 7 + 3  # the first episode begins with the key frame
    assert "key frame" in plan.encoded[0][0] or "group" in plan.encoded[0][0]
    carry_out(plan, codec="h264")
    frames = LeRobotDataset.opened(tmp_path / "result").read_frames(TOP, np.arange(15)).astype(float)
    exact = LeRobotDataset.opened(tmp_path / "source").read_frames(TOP, np.arange(15)).astype(float)
    assert abs(frames - exact).mean() < 4


def test_files_begin_anew_at_their_size_and_where_the_decoder_changes(tmp_path: Path) -> None:
    write_v21(tmp_path / "source", lengths=(5, 7, 3, 4))
    content = read_content(tmp_path / "source")
    assert [(file.first, file.stop) for file in lay_out(content).videos] == [(0, 4)]
    tiny = lay_out(content, data_mb=1e-6, video_mb=1e-6)
    assert [(file.first, file.stop) for file in tiny.videos] == [(i, i + 1) for i in range(4)]
    assert [file.place.file for file in tiny.data] == [0, 1, 2, 3]


def test_what_the_metadata_has_beyond_lerobots_own_is_kept(tmp_path: Path) -> None:
    write_v21(tmp_path / "source")
    lines = (tmp_path / "source/meta/episodes.jsonl").read_text().splitlines()
    marked = [line.replace("}", f', "operator": "{i}"}}') for i, line in enumerate(lines)]
    (tmp_path / "source/meta/episodes.jsonl").write_text("\n".join(marked))
    (tmp_path / "source/meta/notes.txt").write_text("a note")
    converted(tmp_path / "source", tmp_path / "result", "v3.0")
    assert (tmp_path / "result/meta/notes.txt").read_text() == "a note"
    assert [dict(episode.carried) for episode in read_content(tmp_path / "result").episodes] == [
        {"operator": "0"},
        {"operator": "1"},
        {"operator": "2"},
    ]


def test_nothing_is_published_where_the_result_is_not_sound(tmp_path: Path) -> None:
    """The video changes between plan and writing: the check at the end notices."""
    write_v21(tmp_path / "source")
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "result")
    next((tmp_path / "source").rglob("*.mp4")).write_bytes(b"no video")
    with pytest.raises(FormatError):
        carry_out(plan)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_all_refusals_are_told_at_once(tmp_path: Path) -> None:
    write_v21(tmp_path / "source")
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "source", refusals=["a reason of the tool."])
    with pytest.raises(ConfigError, match="a reason of the tool") as caught:
        carry_out(plan)
    assert "exists already" in str(caught.value)


def test_a_dataset_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    write_v21(tmp_path / "source")
    next((tmp_path / "source").rglob("*.parquet")).write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(FormatError, match="parquet"):
        read_content(tmp_path / "source")


def test_encoded_frames_have_statistics_of_their_own(tmp_path: Path) -> None:
    write_v30(tmp_path / "source", gop=250, cameras={TOP: (64, 64)})
    plan = make_plan(read_content(tmp_path / "source"), tmp_path / "result", version="v2.1")
    assert isinstance(plan.content.episodes[1].videos[TOP], Drawn)
    carry_out(plan, codec="h264")
    second = decode_video(sorted((tmp_path / "result").rglob("*.mp4"))[1]) / 255
    mean = read_content(tmp_path / "result").episodes[1].camera_stats[TOP]["mean"]
    np.testing.assert_allclose(np.reshape(mean, 3), second.mean((0, 2, 3)), atol=0.02)

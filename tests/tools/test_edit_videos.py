"""Edits of datasets whose videos are coded in all ways there are: every frame that is copied is the one it was."""

from pathlib import Path

import numpy as np
import pytest

from robomix.tools.edit.episodes import delete, keep
from robomix.video.decoding_order import CutError, decoding_order
from tests.fixtures import decode_video, write_v21, write_v30
from tests.lerobot_files import V3_VIDEO
from tests.tools.edited import TOP, edited, frames_of
from tests.video.odd_files import COUNT, HEIGHT, ODD_FILES, WIDTH, write_odd

GROUP = {"AV1": 10, "open groups, HEVC": 10, "intra refresh instead of key frames": 10, "intra refresh in Matroska": 10}
"""Distance of key frames where it is not 12."""
OPEN = [
    "their first is no key frame of a closed group",
    "their last are decoded together with those that follow (an open group)",
]
NEVER_CUT = {
    "one key frame": OPEN,
    "open groups, H.264": OPEN,
    "open groups, HEVC": OPEN,
    "intra refresh instead of key frames": ["their first is called a key frame and is none (intra refresh)"],
    "intra refresh in Matroska": OPEN,
}
"""What the report says of files that cannot be cut after their first episode, and before their last."""


def write_dataset(path: Path, kind: str) -> list[np.ndarray]:
    """A v3.0 dataset of three episodes in one such file; the frames of each."""
    group = GROUP.get(kind, 12)
    lengths = (group, group, COUNT - 2 * group)
    write_v30(path, lengths=lengths, fps=30, cameras={TOP: (HEIGHT, WIDTH)})
    video = path / V3_VIDEO.format(video_key=TOP, chunk_index=0, file_index=0)
    write_odd(video, ODD_FILES[kind])
    frames = decode_video(video)
    assert len(frames) == COUNT
    return [frames[:group], frames[group : 2 * group], frames[2 * group :]]


@pytest.mark.parametrize("kind", sorted(set(ODD_FILES) - {"AVI", "edit list that cuts the start"}))
def test_frames_are_copied_where_that_can_be_and_the_report_tells_of_the_others(kind: str, tmp_path: Path) -> None:
    frames = write_dataset(tmp_path / "source", kind)
    plan = edited(tmp_path / "source", tmp_path / "result", lambda content: delete(content, [1]))
    found = frames_of(tmp_path / "result", 30)
    if kind not in NEVER_CUT:
        assert plan.encoded == ()
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate([frames[0], frames[2]]))
        return
    assert sorted(reason for reason, _ in plan.encoded) == NEVER_CUT[kind]
    encoded = {part.episode: part.frames for part in plan.encoded_parts}
    assert encoded == {e: len(frames[e]) for e in ((0, 2) if NEVER_CUT[kind] is OPEN else (2,))}
    for i, (new, old) in enumerate(zip(found, (frames[0], frames[2]), strict=True)):
        assert abs(new.astype(float) - old).mean() < 6, i
    again = edited(tmp_path / "result", tmp_path / "again", lambda content: keep(content, [1, 0]))
    assert again.encoded == ()  # what was encoded begins with key frames, and can be cut from then on
    np.testing.assert_array_equal(np.concatenate(frames_of(tmp_path / "again", 30)), np.concatenate(found[::-1]))


@pytest.mark.parametrize("kind", sorted(NEVER_CUT))
def test_episodes_that_cannot_be_cut_apart_are_copied_while_they_stay_together(kind: str, tmp_path: Path) -> None:
    frames = write_dataset(tmp_path / "source", kind)
    plan = edited(tmp_path / "source", tmp_path / "result")
    assert plan.encoded == ()
    np.testing.assert_array_equal(np.concatenate(frames_of(tmp_path / "result", 30)), np.concatenate(frames))


@pytest.mark.parametrize("kind", ["B-frames", "AV1", "open groups, HEVC"])
def test_videos_of_one_episode_each_are_copied_whole(kind: str, tmp_path: Path) -> None:
    """v2.1: nothing is cut, so open groups are no obstacle."""
    write_v21(tmp_path / "source", lengths=(COUNT, COUNT), fps=30, cameras={TOP: (HEIGHT, WIDTH)})
    files = sorted((tmp_path / "source").rglob("*.mp4"))
    for file in files:
        write_odd(file, ODD_FILES[kind])
    plan = edited(tmp_path / "source", tmp_path / "result", lambda content: delete(content, [0]))
    assert plan.encoded == ()
    (left,) = (tmp_path / "result").rglob("*.mp4")
    np.testing.assert_array_equal(decode_video(left), decode_video(files[1]))


def test_the_odd_files_are_what_they_are_called(tmp_path: Path) -> None:
    """Those that cannot be cut really have no closed key frame where their episodes part."""
    for kind in NEVER_CUT:
        write_odd(tmp_path / "video", ODD_FILES[kind])
        try:
            order = decoding_order(tmp_path / "video")
        except CutError:
            continue
        assert "refresh" in kind or not order.can_cut(GROUP.get(kind, 12)), kind

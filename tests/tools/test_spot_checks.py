"""A copy of a video is looked at before it is published: frames that decode to others than their source's are found."""

from fractions import Fraction
from pathlib import Path

import pytest

from robomix.errors import FormatError
from robomix.tools.build.spot_checks import check_spots
from robomix.video.remux import Clip, remux
from tests.pictures import pictures, write_video

FPS = Fraction(30)


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Three files of 4 frames, all different."""
    for i in range(3):
        write_video(tmp_path / f"{i}.mp4", pictures(range(10 * i, 10 * i + 4), 0, 64, 64), FPS)
    return [Clip(tmp_path / f"{i}.mp4", 0, 4) for i in range(3)]


def test_a_faithful_copy_passes(tmp_path: Path, clips: list[Clip]) -> None:
    for some in (clips, clips[:1]):
        remux(some, tmp_path / "copy.mp4", FPS)
        check_spots(some, tmp_path / "copy.mp4")


@pytest.mark.parametrize("wrong", [[0, 1, 0], [0, 0, 2], [1]])
def test_a_copy_with_other_frames_is_refused(tmp_path: Path, clips: list[Clip], wrong: list[int]) -> None:
    remux([clips[i] for i in wrong], tmp_path / "copy.mp4", FPS)
    with pytest.raises(FormatError, match="read back, its frame"):
        check_spots(clips[: len(wrong)], tmp_path / "copy.mp4")

"""Recordings of real robots: what `check` says of their time stamps, videos and numbers, and of other formats."""

from pathlib import Path

import pytest

from robomix.tools.check.finding import Depth, Verdict
from robomix.tools.check.run import check, check_all

LEROBOT = ("cr5_v21", "franka_v21", "g1_v21", "g1_v30", "gr1_v20")


@pytest.mark.parametrize("name", LEROBOT)
def test_videos_and_numbers_of_good_recordings_do_not_fail(name: str, real_data: Path) -> None:
    mine = [f for f in check(real_data / name).findings if f.defect.id[0] in "CVT"]
    assert not [f for f in mine if f.level in (Verdict.FAIL, Verdict.UNVERIFIED)]
    warned = {f.defect.id for f in mine if f.level is Verdict.WARN}
    assert warned == ({"C01"} if name in ("cr5_v21", "gr1_v20") else set())


def test_wall_clock_times_are_told_with_the_tolerance_they_need(real_data: Path) -> None:
    found = {f.defect.id: f for f in check(real_data / "cr5_v21").findings}
    assert found["C01"].mendable
    assert found["C01"].episodes == tuple(range(8))
    assert "frame numbers are right" in found["C01"].found
    assert "16 of 1,873 are gaps" in found["C03"].found


def test_times_that_start_late_and_still_joints_are_told(real_data: Path) -> None:
    found = check(real_data / "gr1_v20").findings
    assert "5 episodes do not start at 0" in next(f.found for f in found if f.defect.id == "C01")
    still = {f.key: f.found for f in found if f.defect.id == "T02"}
    assert "25 of 44 entries never change" in still["action"]
    assert "18 of 44 entries never change" in still["observation.state"]


def test_a_camera_slower_than_the_recording_is_told(real_data: Path) -> None:
    found = [f for f in check(real_data / "g1_v30", Depth.DECODE).findings if f.defect.id[0] == "V"]
    assert [f.defect.id for f in found] == ["V12"]
    assert "the camera gave fewer than fps says" in found[0].found


def test_videos_that_were_not_downloaded_fail(real_data: Path) -> None:
    found = {f.defect.id: f for f in check(real_data / "broken_lfs_pointers_v21").findings if f.level is Verdict.FAIL}
    assert "Git LFS pointer" in found["V01"].found


def test_the_wrong_codec_in_info_json_is_told(real_data: Path) -> None:
    found = [f for f in check(real_data / "broken_panda_v30_nodata").findings if f.defect.id == "V14"]
    assert {f.key for f in found} == {"observation.images.top", "observation.images.wrist"}
    assert "'mp4v', but 'h264'" in found[0].found


def test_a_raw_recording_is_refused_with_its_reason(real_data: Path) -> None:
    failed = [f for f in check(real_data / "robosuite_raw_hdf5").findings if f.level is Verdict.FAIL]
    assert [f.defect.id for f in failed] == ["H01"]
    assert "raw recording of simulator states" in failed[0].found


def test_an_angle_that_wraps_is_told(real_data: Path) -> None:
    found = check(real_data / "pusht_zarr" / "pusht_cchi_v7_replay.zarr").findings
    assert "a full turn (radians)" in next(f.found for f in found if f.defect.id == "T05")


def test_records_that_are_there_twice_are_told(real_data: Path) -> None:
    found = check(real_data / "bridge_rlds" / "bridge_dataset" / "1.0.0").findings
    (copies,) = [f for f in found if f.defect.id == "T07"]
    assert copies.level is Verdict.WARN
    assert len(copies.episodes) == 50


def test_the_same_recording_in_two_formats_is_told(real_data: Path) -> None:
    across = check_all([real_data / "g1_v21", real_data / "g1_v30"]).across
    assert [f.defect.id for f in across] == ["T07"]
    assert across[0].episodes == tuple(range(7))
    assert across[0].dataset.endswith("g1_v30")

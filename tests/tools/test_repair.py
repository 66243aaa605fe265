"""`repair` beside the corpus: the source is safe, what is right stays as it is, refusals come at once."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.table import Table

from robomix.errors import ConfigError, FormatError
from robomix.formats.lerobot.dataset import LeRobotDataset
from robomix.tools.build.source import read_content
from robomix.tools.check.finding import Depth, Verdict
from robomix.tools.check.run import DEFECTS
from robomix.tools.repair.consent import NAMES, Consent, Flags, Need
from robomix.tools.repair.plan import Outcome
from robomix.tools.repair.run import carry_out, plan_repair
from robomix.tools.repair.table import as_tables
from tests.damage import edit_info, truncate
from tests.defects.corpus import data_files, edit_json, edit_list, edit_table, video_files
from tests.defects.videos import shift_window
from tests.fixtures import decode_video, write_v21, write_v30
from tests.formats.writing import lerobot_dataset
from tests.hdf5_files import write_aloha, write_robomimic
from tests.tools.test_defects_repair import digests

CAMERA = "observation.images.top"
STATE = "observation.state"


def mended(path: Path, target: Path, **flags: object) -> Path:
    carry_out(plan_repair(path, target, Flags(**flags)))  # type: ignore[arg-type]
    return target


def test_every_flag_of_the_catalogue_is_one_of_the_repair() -> None:
    assert {defect.flag for defect in DEFECTS.values() if defect.flag} <= set(NAMES)


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    edit_info(tmp_path / "wrong", total_frames=3)
    before = digests(tmp_path)
    plan_repair(tmp_path / "wrong", tmp_path / "new")
    assert digests(tmp_path) == before


def test_a_source_that_may_not_be_written_to_is_mended(tmp_path: Path) -> None:
    write_v30(tmp_path / "wrong")
    edit_info(tmp_path / "wrong", total_frames=3)
    shift_window(tmp_path / "wrong", 1, -0.1, -0.1)
    before = digests(tmp_path / "wrong")
    folders = [Path(folder) for folder, _, _ in os.walk(tmp_path / "wrong")]
    for path in [*folders, *(p for p in (tmp_path / "wrong").rglob("*") if p.is_file())]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    mended(tmp_path / "wrong", tmp_path / "new")
    for folder in folders:
        folder.chmod(0o755)
    assert digests(tmp_path / "wrong") == before
    assert all(os.access(path, os.W_OK) for path in (tmp_path / "new").rglob("*"))


@pytest.mark.parametrize("write", [write_v21, write_v30])
def test_what_is_right_stays_as_it_is(write: object, tmp_path: Path) -> None:
    """A dataset in which nothing is wrong comes out with the same rows, frames, statistics, texts and further files."""
    spec = {"extra": {"gripper": (1,), "pose": (2, 3)}, "value_dtype": "float64", "tasks": ["b", ["a", "b"] * 3, "a"]}
    write(tmp_path / "clean", lengths=(4, 6, 2), **spec)  # type: ignore[operator]
    (tmp_path / "clean/README.md").write_text("a readme")
    (tmp_path / "clean/meta/notes").mkdir()
    (tmp_path / "clean/meta/notes/one.txt").write_text("a note")
    edit_info(tmp_path / "clean", licence="MIT", splits={"train": "0:2", "val": "2:3"})
    edit_list(tmp_path / "clean", lambda rows: [row.update(operator=f"o{i}") for i, row in enumerate(rows)] and None)
    new = mended(tmp_path / "clean", tmp_path / "new")
    mine, theirs = read_content(new), read_content(tmp_path / "clean")
    assert (mine.info, mine.tasks, mine.features) == (theirs.info, theirs.tasks, theirs.features)
    assert json.loads((new / "meta/info.json").read_text())["splits"] == {"train": "0:2", "val": "2:3"}
    assert (new / "README.md").read_text() == "a readme"
    assert (new / "meta/notes/one.txt").read_text() == "a note"
    for one, other in zip(mine.episodes, theirs.episodes, strict=True):
        assert one.rows.table().equals(other.rows.table())
        assert (one.tasks, dict(one.carried)) == (other.tasks, dict(other.carried))
        assert np.array_equal(one.camera_stats[CAMERA]["mean"], other.camera_stats[CAMERA]["mean"])
        assert [(clip.start, clip.stop) for clip in one.videos.values()] == [
            (clip.start, clip.stop) for clip in other.videos.values()
        ]
    for a, b in zip(video_files(new), video_files(tmp_path / "clean"), strict=True):
        np.testing.assert_array_equal(decode_video(a), decode_video(b))


@pytest.mark.parametrize("has_whole", [True, False])
def test_statistics_of_the_whole_stay_where_v21_has_them(has_whole: bool, tmp_path: Path) -> None:
    """v2.1 does not demand them, but trainings of other libraries read them; what is written is measured anew."""
    truth = write_v21(tmp_path / "wrong")
    if has_whole:
        (tmp_path / "wrong/meta/stats.json").write_text(json.dumps({STATE: {"mean": [5.0]}}))
    new = mended(tmp_path / "wrong", tmp_path / "new")
    assert (new / "meta/stats.json").exists() is has_whole
    assert read_content(new).has_whole_stats is has_whole
    if has_whole:
        stats = json.loads((new / "meta/stats.json").read_text())
        assert {STATE, CAMERA, "action"} <= set(stats)
        np.testing.assert_allclose(stats[STATE]["mean"], truth.columns[STATE].mean(axis=0), rtol=1e-5)


def test_a_video_with_garbage_inside_is_blamed_and_not_the_disk(tmp_path: Path) -> None:
    """Its index is sound, so that only decoding tells; without it the plan cannot know."""
    write_v21(tmp_path / "wrong", lengths=(8, 6), cameras={CAMERA: (128, 192)}, codec="libsvtav1")
    video = video_files(tmp_path / "wrong")[0]
    sound = video.read_bytes()
    begin = sound.index(b"mdat") + 4
    stop = len(sound) if sound.index(b"moov") < begin else sound.index(b"moov") - 4
    middle = (begin + stop) // 2
    video.write_bytes(
        sound[:middle] + bytes([0x55, 0xAA]) * ((stop - middle) // 2) + sound[middle + (stop - middle) // 2 * 2 :]
    )
    with pytest.raises(FormatError, match=r"V09.*check --decode") as error:
        mended(tmp_path / "wrong", tmp_path / "new")
    assert str(video) in str(error.value)
    assert "disk" not in str(error.value)
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new", Flags(drop_episodes=True), Depth.DECODE)
    carry_out(plan)
    assert [need.episodes for need in plan.consent.granted] == [(0,)]


def test_what_could_not_be_looked_at_is_told_once_for_each_reason(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    edit_info(tmp_path / "wrong", fps="fast")
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new")
    unverified = [one.finding for one in plan.treatments if one.finding.level == Verdict.UNVERIFIED]
    table = next(iter(as_tables(plan)))
    assert isinstance(table, Table)
    assert len(unverified) > len({finding.found for finding in unverified})
    assert table.row_count == len(plan.treatments) - len(unverified) + len({finding.found for finding in unverified})


def test_a_second_repair_changes_nothing(tmp_path: Path) -> None:
    write_v30(tmp_path / "wrong")
    edit_info(tmp_path / "wrong", total_frames=3, splits={})
    first = mended(tmp_path / "wrong", tmp_path / "first")
    assert digests(mended(first, tmp_path / "second")) == digests(first)


def test_lerobot_reads_what_was_mended(tmp_path: Path) -> None:
    truth = write_v30(tmp_path / "wrong", lengths=(4, 6, 2))
    shift_window(tmp_path / "wrong", 1, -0.3, -0.3)
    edit_list(tmp_path / "wrong", lambda rows: rows[0].update(dataset_to_index=9, length=1))
    theirs = lerobot_dataset(mended(tmp_path / "wrong", tmp_path / "new"))
    frames = decode_video(video_files(tmp_path / "wrong")[0])
    for i in range(12):
        np.testing.assert_array_equal(theirs[i][CAMERA].numpy(), frames[i])
        np.testing.assert_array_equal(theirs[i][STATE].numpy(), truth.columns[STATE][i])
        assert int(theirs[i]["episode_index"]) == ([0] * 4 + [1] * 6 + [2] * 2)[i]


def test_the_undamaged_episodes_of_a_video_that_is_cut_off_are_kept(tmp_path: Path) -> None:
    write_v30(tmp_path / "wrong", lengths=(6, 8, 6), cameras={CAMERA: (128, 192)})
    frames = decode_video(video_files(tmp_path / "wrong")[0])
    truncate(video_files(tmp_path / "wrong")[0], 0.9)
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new", Flags(drop_episodes=True))
    carry_out(plan)
    kept = sum(episode.length for episode in plan.work.plan.content.episodes)  # type: ignore[union-attr]
    assert kept == 14
    np.testing.assert_array_equal(decode_video(video_files(tmp_path / "new")[0]), frames[:14])


def test_episodes_that_are_left_out_are_named_with_the_reason(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong", lengths=(4, 6, 2, 5))
    data_files(tmp_path / "wrong")[1].unlink()
    video_files(tmp_path / "wrong")[3].write_bytes(b"nothing")
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new")
    assert len(plan.refusals) == 2
    assert plan.refusals[0].startswith("S11")
    assert "--drop_episodes" in plan.refusals[0]
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new", Flags(drop_episodes=True))
    assert [need.episodes for need in plan.consent.granted] == [(1,), (3,)]
    carry_out(plan)
    new, old = LeRobotDataset.opened(tmp_path / "new"), read_content(tmp_path / "new")
    assert new.episodes.ids.tolist() == [0, 1]
    assert new.episodes.lengths.tolist() == [4, 2]
    assert len(old.episodes) == 2


def test_a_recording_that_was_killed_keeps_its_sound_beginning(tmp_path: Path) -> None:
    """Its list counts four, the third video is missing: the first two can be trusted."""
    write_v21(tmp_path / "wrong", lengths=(4, 6, 2, 5))
    video_files(tmp_path / "wrong")[2].unlink()
    edit_info(tmp_path / "wrong", total_episodes=5, total_frames=30)
    flags = {"drop_episodes": True, "keep_verified_prefix": True}
    new = mended(tmp_path / "wrong", tmp_path / "new", **flags)
    assert LeRobotDataset.opened(new).episodes.lengths.tolist() == [4, 6]


def test_remarks_are_not_reasons_to_drop_episodes(tmp_path: Path) -> None:
    """An episode of one frame is allowed; --drop_episodes is for what is broken."""
    write_v21(tmp_path / "wrong", lengths=(4, 1, 2))
    edit_info(tmp_path / "wrong", total_frames=9)
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new", Flags(drop_episodes=True))
    outcomes = {treatment.finding.defect.id: treatment.outcome for treatment in plan.treatments}
    assert outcomes["E10"] is Outcome.LEFT
    carry_out(plan)
    assert LeRobotDataset.opened(tmp_path / "new").episodes.lengths.tolist() == [4, 1, 2]


def test_numbers_of_many_types_are_made_one_only_without_loss(tmp_path: Path) -> None:
    """One file in float64, whose values float32 does not hold: all become float64, and the declaration says so."""
    write_v30(tmp_path / "wrong", episodes_per_data_file=1)
    file = data_files(tmp_path / "wrong")[1]
    table = pq.read_table(file)
    wide = np.array(table["action"].to_pylist()) + 1e-12
    place = table.column_names.index("action")
    column = pa.FixedSizeListArray.from_arrays(pa.array(wide.reshape(-1)), 2)
    pq.write_table(table.set_column(place, "action", column), file)
    new = read_content(mended(tmp_path / "wrong", tmp_path / "new"))
    assert new.features["action"]["dtype"] == "float64"
    np.testing.assert_array_equal(new.episodes[1].rows.table()["action"].to_pylist(), wide)


def test_files_that_nothing_refers_to_are_kept_unless_they_are_to_go(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    old = tmp_path / "wrong/videos/chunk-000/old/episode_000000.mp4"
    old.parent.mkdir()
    shutil.copy(video_files(tmp_path / "wrong")[0], old)
    assert (mended(tmp_path / "wrong", tmp_path / "a") / old.relative_to(tmp_path / "wrong")).is_file()
    assert not (
        mended(tmp_path / "wrong", tmp_path / "b", drop_orphans=True) / old.relative_to(tmp_path / "wrong")
    ).exists()


def test_rows_that_cannot_be_ordered_are_refused(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")

    def spoil(columns: dict) -> None:
        columns["frame_index"] = [0, 3, 1, 1, 2]

    edit_table(data_files(tmp_path / "wrong")[0], spoil)
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new", Flags(repack=True))
    assert plan.refusals == ("rows of episode 0 are out of order, and frame_index repeats.",)


def test_a_list_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    edit_list(tmp_path / "wrong", lambda rows: rows.append(rows[1] | {"tasks": ["something else"]}))
    plan = plan_repair(tmp_path / "wrong", tmp_path / "new")
    assert plan.refusals == ("episode 1 is listed twice, with different entries.",)


def test_all_flags_that_are_needed_are_named_at_once(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    data_files(tmp_path / "wrong")[1].unlink()
    edit_json(tmp_path / "wrong/meta/info.json", lambda info: info.pop("fps") and None)
    (tmp_path / "wrong/meta/tasks.jsonl").write_text("")
    with pytest.raises(ConfigError) as caught:
        carry_out(plan_repair(tmp_path / "wrong", tmp_path / "new"))
    assert all(flag in str(caught.value) for flag in ("--fps", "--drop_episodes", "--placeholder_tasks"))


def test_the_new_dataset_must_be_elsewhere_and_new(tmp_path: Path) -> None:
    write_v21(tmp_path / "wrong")
    with pytest.raises(ConfigError, match="lies within"):
        plan_repair(tmp_path / "wrong", tmp_path / "wrong/new")
    (tmp_path / "taken").mkdir()
    assert "exists already" in plan_repair(tmp_path / "wrong", tmp_path / "taken").refusals[0]


def test_an_impossible_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="--fps"):
        plan_repair(tmp_path, tmp_path / "new", Flags(fps=-1))


def test_formats_that_are_not_mended_are_named(tmp_path: Path) -> None:
    write_aloha(tmp_path / "aloha")
    plan = plan_repair(tmp_path / "aloha", tmp_path / "new")
    assert "no other is mended" in plan.refusals[0]


@pytest.mark.parametrize("name", ["cr5_v21", "g1_v30", "franka_v21"])
def test_real_recordings_keep_all_numbers_and_frames(name: str, real_data: Path, tmp_path: Path) -> None:
    new = LeRobotDataset.opened(mended(real_data / name, tmp_path / "new"))
    old = LeRobotDataset.opened(real_data / name)
    rows = np.unique(np.r_[old.episodes.starts[:-1], old.episodes.starts[1:] - 1, 0 : old.num_frames : 211])
    for key, feature in old.features.items():
        if feature.is_camera:
            np.testing.assert_array_equal(new.read_frames(key, rows), old.read_frames(key, rows))
        elif feature.kind == "numeric":
            np.testing.assert_array_equal(new.column(key), old.column(key))


def test_consent_says_what_a_flag_would_do() -> None:
    consent = Consent(Flags(repack=True))
    consent.ask("repack", "rows lie apart", (1,))
    consent.ask("drop_episodes", "a file is missing", (2,))
    assert consent.granted == (Need("repack", "rows lie apart", (1,)),)
    assert consent.refusals == ("a file is missing: --drop_episodes would leave out these episodes.",)


def test_of_each_group_of_equal_demonstrations_the_first_stays(tmp_path: Path) -> None:
    path = tmp_path / "demo.hdf5"
    write_robomimic(path, ids=(0, 1, 2, 3, 4), lengths=(5, 6, 5, 6, 5))
    with h5py.File(path, "a") as file:
        for copy, original in ((2, 0), (4, 0), (3, 1)):
            del file[f"data/demo_{copy}"]
            file.copy(f"data/demo_{original}", f"data/demo_{copy}")
    made = mended(path, tmp_path / "new.hdf5", drop_duplicates=True)
    with h5py.File(made) as file:
        assert sorted(file["data"]) == ["demo_0", "demo_1"]

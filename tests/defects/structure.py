"""Defects of family S: info.json, the other metadata, and the files of a dataset."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from tests.damage import edit_info, replace_by_lfs_pointer, truncate
from tests.defects.corpus import (
    V2,
    Expected,
    Injection,
    data_files,
    edit_json,
    edit_list,
    episode_files,
    injection,
    video_files,
)

INJECTIONS: list[Injection] = []
CAMERA = "observation.images.top"
ONE_FILE_EACH = {"episodes_per_data_file": 1, "episodes_per_video_file": 1}


def list_of(folder: Path, what: str) -> Path:
    """The file that lists episodes or tasks."""
    lines = folder / f"meta/{what}.jsonl"
    return (
        lines if lines.exists() else episode_files(folder)[0] if what == "episodes" else folder / "meta/tasks.parquet"
    )


@injection(INJECTIONS, "S01")
def info_json_is_missing(folder: Path) -> None:
    (folder / "meta/info.json").unlink()


@injection(INJECTIONS, "S01")
def info_json_is_cut_off(folder: Path) -> None:
    truncate(folder / "meta/info.json")


@injection(INJECTIONS, "S01")
def no_features_are_declared(folder: Path) -> None:
    edit_info(folder, features={})


@injection(INJECTIONS, "S01")
def chunks_size_is_missing(folder: Path) -> None:
    edit_info(folder, chunks_size=...)


@injection(INJECTIONS, "S01")
def the_list_of_episodes_is_missing(folder: Path) -> None:
    list_of(folder, "episodes").unlink()


@injection(INJECTIONS, "S01")
def the_list_of_episodes_is_a_pointer(folder: Path) -> None:
    replace_by_lfs_pointer(list_of(folder, "episodes"))


@injection(INJECTIONS, "S01")
def the_tasks_are_missing(folder: Path) -> None:
    list_of(folder, "tasks").unlink()


@injection(INJECTIONS, "S01", companions=("E04",))
def an_episode_has_no_length(folder: Path) -> None:
    edit_list(folder, lambda rows: rows[1].update(length=None))


@injection(INJECTIONS, "S02")
def the_version_is_missing(folder: Path) -> None:
    edit_info(folder, codebase_version=...)


@injection(INJECTIONS, "S02")
def the_version_is_unknown(folder: Path) -> None:
    edit_info(folder, codebase_version="v9.0")


@injection(INJECTIONS, "S02")
def the_version_is_that_of_another_layout(folder: Path) -> None:
    found = json.loads((folder / "meta/info.json").read_text())["codebase_version"]
    edit_info(folder, codebase_version="v2.1" if found == "v3.0" else "v3.0")


@injection(INJECTIONS, "S04")
def too_few_episodes_are_counted(folder: Path) -> None:
    edit_info(folder, total_episodes=2)


@injection(INJECTIONS, "S04")
def too_many_frames_are_counted(folder: Path) -> None:
    edit_info(folder, total_frames=16)


@injection(INJECTIONS, "S04")
def frames_are_not_counted(folder: Path) -> None:
    edit_info(folder, total_frames=...)


@injection(INJECTIONS, "S04")
def too_many_tasks_are_counted(folder: Path) -> None:
    edit_info(folder, total_tasks=7)


@injection(INJECTIONS, "S04", V2)
def videos_and_chunks_are_counted_wrongly(folder: Path) -> None:
    edit_info(folder, total_videos=2, total_chunks=0)


@injection(INJECTIONS, "S05")
def a_split_goes_beyond_the_episodes(folder: Path) -> None:
    edit_info(folder, splits={"train": "0:100"})


@injection(INJECTIONS, "S05")
def a_split_is_no_range(folder: Path) -> None:
    edit_info(folder, splits={"train": "all"})


@injection(INJECTIONS, "S06")
def fps_is_missing(folder: Path) -> None:
    edit_info(folder, fps=...)


@injection(INJECTIONS, "S06")
def fps_is_zero(folder: Path) -> None:
    edit_info(folder, fps=0)


@injection(INJECTIONS, "S06")
def fps_is_no_number(folder: Path) -> None:
    edit_info(folder, fps=float("nan"))


@injection(INJECTIONS, "S08")
def the_data_template_leads_nowhere(folder: Path) -> None:
    edit_json(folder / "meta/info.json", lambda info: info.update(data_path="rows/" + info["data_path"]))


@injection(INJECTIONS, "S08")
def the_video_template_leads_nowhere(folder: Path) -> Expected:
    edit_json(folder / "meta/info.json", lambda info: info.update(video_path="films/" + info["video_path"]))
    return Expected(CAMERA, (0, 1, 2))


@injection(INJECTIONS, "S08")
def the_data_template_is_that_of_another_version(folder: Path) -> None:
    edit_info(folder, data_path="data/{shard:05d}.parquet")


@injection(INJECTIONS, "S08", V2)
def a_data_file_lies_in_another_chunk(folder: Path) -> Expected:
    (folder / "data/chunk-007").mkdir()
    data_files(folder)[1].rename(folder / "data/chunk-007/episode_000001.parquet")
    return Expected(episodes=(1,))


@injection(INJECTIONS, "S09")
def a_file_browser_left_its_file(folder: Path) -> None:
    (folder / "data/.DS_Store").write_bytes(b"Bud1")


@injection(INJECTIONS, "S09")
def a_recorder_left_its_pictures(folder: Path) -> None:
    (folder / "images" / CAMERA / "episode_000003").mkdir(parents=True)
    (folder / "images" / CAMERA / "episode_000003/frame_000000.png").write_bytes(b"png")


@injection(INJECTIONS, "S09")
def a_link_leads_out(folder: Path) -> None:
    outside = folder.parent / "outside.txt"
    outside.write_text("not of this dataset")
    (folder / "meta/notes.txt").symlink_to(outside)


@injection(INJECTIONS, "S09")
def a_template_is_an_absolute_path(folder: Path) -> None:
    edit_json(folder / "meta/info.json", lambda info: info.update(data_path="/mnt/recordings/" + info["data_path"]))


@injection(INJECTIONS, "S10")
def a_video_is_of_no_declared_camera(folder: Path) -> None:
    file = video_files(folder)[0]
    other = folder / file.relative_to(folder).as_posix().replace(CAMERA, "observation.images.old")
    other.parent.mkdir(parents=True)
    shutil.copy(file, other)


@injection(INJECTIONS, "S10")
def a_video_is_of_no_listed_episode(folder: Path) -> None:
    file = video_files(folder)[0]
    name = "episode_000009.mp4" if file.name.startswith("episode") else "file-009.mp4"
    shutil.copy(file, file.with_name(name))


@injection(INJECTIONS, "S11", spec=ONE_FILE_EACH)
def a_data_file_is_missing(folder: Path) -> Expected:
    data_files(folder)[1].unlink()
    return Expected(episodes=(1,))


@injection(INJECTIONS, "S11", spec=ONE_FILE_EACH)
def a_video_is_missing(folder: Path) -> Expected:
    video_files(folder)[1].unlink()
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "S11")
def all_data_files_are_missing(folder: Path) -> None:
    shutil.rmtree(folder / "data")


@injection(INJECTIONS, "S12", ("v3.0",))
def a_file_number_of_the_rows_is_null(folder: Path) -> Expected:
    edit_list(folder, lambda rows: rows[1].update({"data/file_index": None}))
    return Expected(episodes=(1,))


@injection(INJECTIONS, "S12", ("v3.0",))
def the_chunk_numbers_of_a_camera_are_absent(folder: Path) -> Expected:
    file = episode_files(folder)[0]
    table = pq.read_table(file)
    pq.write_table(table.drop_columns([f"videos/{CAMERA}/chunk_index"]), file)
    return Expected(CAMERA, (0, 1, 2))

"""Videos: family V."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robomix.tools.check.finding import Depth
from tests.damage import replace_by_lfs_pointer
from tests.defects.corpus import (
    V2,
    Expected,
    Injection,
    edit_json,
    edit_table,
    episode_files,
    injection,
    video_files,
)
from tests.defects.films import blank_packet, rewrite, turn
from tests.pictures import decode_video

INJECTIONS: list[Injection] = []
CAMERA = "observation.images.top"
V3 = ("v3.0",)
LONG = {"lengths": (30, 40, 30)}
BIG = {"cameras": {CAMERA: (128, 192)}}


def shift_window(folder: Path, episode: int, start: float, stop: float) -> None:
    """v3.0: move both ends of an episode's window by so many seconds."""

    def edit(columns: dict) -> None:
        columns[f"videos/{CAMERA}/from_timestamp"][episode] += start
        columns[f"videos/{CAMERA}/to_timestamp"][episode] += stop

    edit_table(episode_files(folder)[0], edit)


@injection(INJECTIONS, "V01")
def no_video_in_the_file(folder: Path) -> Expected:
    video_files(folder)[0].write_bytes(b"not a video" * 50)
    return Expected(CAMERA)


@injection(INJECTIONS, "V01", V2)
def git_lfs_pointer_instead_of_a_video(folder: Path) -> Expected:
    replace_by_lfs_pointer(video_files(folder)[1])
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V01", companions=("S09",))
def empty_video(folder: Path) -> Expected:
    video_files(folder)[0].write_bytes(b"")
    return Expected(CAMERA)


@injection(INJECTIONS, "V01", V2)
def video_cut_off_before_its_index(folder: Path) -> Expected:
    file = video_files(folder)[2]
    rewrite(file, muxer={"movflags": "disable_chpl"})  # the index last
    file.write_bytes(file.read_bytes()[:-800])
    return Expected(CAMERA, (2,))


@injection(INJECTIONS, "V02", V2, spec=BIG)
def video_cut_off_behind_its_index(folder: Path) -> Expected:
    file = video_files(folder)[1]
    file.write_bytes(file.read_bytes()[:-200])
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V02", V3, spec=BIG)
def shared_video_cut_off_behind_its_index(folder: Path) -> Expected:
    file = video_files(folder)[0]
    file.write_bytes(file.read_bytes()[:-200])
    return Expected(CAMERA, (2,))


@injection(INJECTIONS, "V03", V2)
def a_frame_less_than_rows(folder: Path) -> Expected:
    file = video_files(folder)[1]
    rewrite(file, decode_video(file)[:-1])
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V03", V2)
def two_frames_more_than_rows(folder: Path) -> Expected:
    file = video_files(folder)[2]
    frames = decode_video(file)
    rewrite(file, np.concatenate([frames, frames[-2:]]))
    return Expected(CAMERA, (2,))


@injection(INJECTIONS, "V03", V3, companions=("V04", "V06"))
def a_frame_lost_in_the_middle(folder: Path) -> Expected:
    file = video_files(folder)[0]
    frames = decode_video(file)
    rewrite(file, np.delete(frames, 7, axis=0), times=[time for time in range(len(frames)) if time != 7])
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V04", V3)
def window_begins_a_frame_early(folder: Path) -> Expected:
    shift_window(folder, 1, -0.1, -0.1)
    return Expected(CAMERA, (0, 1))


@injection(INJECTIONS, "V04", V3)
def window_runs_past_the_end(folder: Path) -> Expected:
    shift_window(folder, 2, 0.2, 0.2)
    return Expected(CAMERA, (2,))


@injection(INJECTIONS, "V04", V3)
def all_windows_at_the_start(folder: Path) -> Expected:
    shift_window(folder, 1, -0.5, -0.5)
    shift_window(folder, 2, -1.2, -1.2)
    return Expected(CAMERA, (0, 1, 2))


@injection(INJECTIONS, "V04", V3)
def frames_that_belong_to_no_episode(folder: Path) -> Expected:
    frames = decode_video(video_files(folder)[0])
    rewrite(video_files(folder)[0], np.concatenate([frames, frames[:2]]))
    return Expected(CAMERA, ())


@injection(INJECTIONS, "V04", V3)
def frames_between_two_episodes_that_belong_to_none(folder: Path) -> Expected:
    frames = decode_video(video_files(folder)[0])
    rewrite(video_files(folder)[0], np.concatenate([frames[:5], frames[3:]]))
    shift_window(folder, 1, 0.2, 0.2)
    shift_window(folder, 2, 0.2, 0.2)
    return Expected(CAMERA, ())


@injection(INJECTIONS, "V05", V3)
def window_between_two_frames(folder: Path) -> Expected:
    shift_window(folder, 1, 0.003, 0.003)
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V05", V3)
def window_ends_a_frame_late(folder: Path) -> Expected:
    shift_window(folder, 2, 0, 0.1)
    return Expected(CAMERA, (2,))


@injection(INJECTIONS, "V05", V3)
def windows_without_a_start(folder: Path) -> Expected:
    file = episode_files(folder)[0]
    table = pq.read_table(file)
    place = table.column_names.index(f"videos/{CAMERA}/from_timestamp")
    pq.write_table(table.set_column(place, table.column_names[place], pa.nulls(len(table), pa.float64())), file)
    return Expected(CAMERA, (0, 1, 2))


@injection(INJECTIONS, "V06")
def first_frame_shown_late(folder: Path) -> Expected:
    file = video_files(folder)[0]
    rewrite(file, times=range(1, len(decode_video(file)) + 1))
    return Expected(CAMERA)


@injection(INJECTIONS, "V06")
def times_in_milliseconds(folder: Path) -> Expected:
    file = video_files(folder)[0]
    count = len(decode_video(file))
    times = [100 * i + (i % 3) for i in range(count)]
    rewrite(file, times=times, unit=Fraction(1, 1000), muxer={"video_track_timescale": "1000"})
    return Expected(CAMERA)


@injection(INJECTIONS, "V06", companions=("V14", "S06"))
def video_of_another_rate(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], unit=Fraction(1, 20), rate=Fraction(20))
    return Expected(CAMERA)


@injection(INJECTIONS, "V07")
def no_edit_list_for_reordered_frames(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], bf=2, g=12, muxer={"use_editlist": "0"})
    return Expected(CAMERA)


@injection(INJECTIONS, "V08", V2, companions=("V14",))
def another_codec_in_one_file(folder: Path) -> Expected:
    rewrite(video_files(folder)[1], codec="mpeg4")
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V08", V2, companions=("V14",))
def another_pixel_format_in_one_file(folder: Path) -> Expected:
    rewrite(video_files(folder)[1], pix_fmt="yuv444p")
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V08", V2, companions=("V14", "F04"))
def another_size_in_one_file(folder: Path) -> Expected:
    rewrite(video_files(folder)[1], decode_video(video_files(folder)[1])[:, :, ::2, ::2])
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V09", depth=Depth.DECODE, spec=BIG)
def coded_picture_overwritten(folder: Path) -> Expected:
    blank_packet(video_files(folder)[0], 0)
    return Expected(CAMERA, (0,))


@injection(INJECTIONS, "V10", spec={"lengths": (80, 80)})
def one_key_frame_for_all(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], g=250, x264opts="scenecut=0")
    return Expected(CAMERA)


@injection(INJECTIONS, "V10", V3)
def episodes_begin_between_key_frames(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], g=250, x264opts="scenecut=0")
    return Expected(CAMERA, (1, 2))


@injection(INJECTIONS, "V11", companions=("V14",))
def audio_track(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], audio=True)
    return Expected(CAMERA)


@injection(INJECTIONS, "V11")
def turned_by_the_player(folder: Path) -> Expected:
    turn(video_files(folder)[0])
    return Expected(CAMERA)


@injection(INJECTIONS, "V11", companions=("V08",))
def pixels_that_are_not_square(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], aspect=Fraction(4, 3))
    return Expected(CAMERA)


@injection(INJECTIONS, "V11", companions=("V08", "V14"))
def ten_bits(folder: Path) -> Expected:
    rewrite(video_files(folder)[0], pix_fmt="yuv420p10le")
    return Expected(CAMERA)


@injection(INJECTIONS, "V12", V2, depth=Depth.DECODE, spec=LONG, companions=("A02", "A03", "A05"))
def black_pictures(folder: Path) -> Expected:
    file = video_files(folder)[1]
    frames = decode_video(file)
    frames[10:15] = 0
    rewrite(file, frames)
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V12", V2, depth=Depth.DECODE, spec=LONG)
def frozen_camera(folder: Path) -> Expected:
    file = video_files(folder)[1]
    frames = decode_video(file)
    frames[10:30] = frames[10]
    rewrite(file, frames)
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V12", V2, depth=Depth.DECODE, spec=LONG)
def every_third_picture_repeated(folder: Path) -> Expected:
    file = video_files(folder)[0]
    frames = decode_video(file)
    frames[2::3] = frames[1::3][: len(frames[2::3])]
    rewrite(file, frames, g=250)
    return Expected(CAMERA, (0,))


@injection(INJECTIONS, "V12", ("v2.0", "v3.0"), depth=Depth.DECODE, companions=("A03", "A05"))
def red_and_blue_exchanged(folder: Path) -> Expected:
    every = []
    for file in video_files(folder):
        frames = decode_video(file)
        frames[:, 0] //= 2
        rewrite(file, frames)
        every.append(frames)
    red, green, blue = np.concatenate(every).mean((0, 2, 3)) / 255
    means = [[[blue]], [[green]], [[red]]]
    edit_json(folder / "meta/stats.json", lambda stats: stats[CAMERA].update(mean=means))
    return Expected(CAMERA)


@injection(INJECTIONS, "V13", V2, depth=Depth.DECODE, spec=LONG, companions=("A02", "A03"))
def another_scene_in_the_second_half(folder: Path) -> Expected:
    file = video_files(folder)[1]
    frames = decode_video(file)
    smooth = np.linspace(60, 70, len(frames)).astype(np.uint8)
    frames[:] = smooth[:, None, None, None]
    frames[20:] += 100
    rewrite(file, frames)
    return Expected(CAMERA, (1,))


@injection(INJECTIONS, "V14")
def another_codec_in_info_json(folder: Path) -> Expected:
    edit_json(folder / "meta/info.json", lambda info: info["features"][CAMERA]["info"].update({"video.codec": "av1"}))
    return Expected(CAMERA)


@injection(INJECTIONS, "V14")
def audio_in_info_json(folder: Path) -> Expected:
    edit_json(folder / "meta/info.json", lambda info: info["features"][CAMERA]["info"].update({"has_audio": True}))
    return Expected(CAMERA)

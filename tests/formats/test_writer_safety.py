"""Errors, kills, damaged files and existing folders: the target holds a whole dataset or what it held before."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from robomix.errors import ConfigError, FormatError
from robomix.formats.lerobot.writer import DatasetWriter
from robomix.formats.publish import exchange, exchange_by_renames
from robomix.video.encode import encode_video
from tests.damage import truncate
from tests.formats.writing import FEATURES, add_episodes, episode, windows, write
from tests.pictures import pictures

PROJECT = Path(__file__).resolve().parents[2]


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_episodes(tmp_path / "set", episode(3), then=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_no_episodes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got no episodes"):
        add_episodes(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


DAMAGES = {
    "frame lost": ("file-000.mp4", lambda file: encode_video(file, pictures(range(39), 0, 32, 48), Fraction(10))),
    "other fps": ("file-000.mp4", lambda file: encode_video(file, pictures(range(40), 0, 32, 48), Fraction(11))),
    "video cut": ("file-000.mp4", truncate),
    "table cut": ("file-000.parquet", truncate),
    "table gone": ("file-000.parquet", Path.unlink),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_files_that_do_not_read_back_are_not_published(tmp_path: Path, name: str) -> None:
    file, damage = DAMAGES[name]

    def damage_the_first_file() -> None:
        folder = "videos" if file.endswith("mp4") else "data"
        damage(next(tmp_path.glob(f".set.*.partial/result/{folder}/**/{file}")))

    episodes = [episode(40), episode(40, 40), episode(40, 80)]
    limits = {"data_file_mb": 0.001, "video_file_mb": 0.001, "codec": "h264"}
    with pytest.raises(FormatError, match="read back"):
        add_episodes(tmp_path / "set", *episodes, then=damage_the_first_file, **limits)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import signal, sys, time
from pathlib import Path
from tests.formats.writing import FEATURES, DatasetWriter, episode
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
with DatasetWriter(Path(sys.argv[1]), fps=10, features=FEATURES, overwrite=True) as writer:
    writer.add_episode(episode(3), "t")
    print("in the middle", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_leaves_the_name_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    write(old, [2])
    before = {file: file.read_bytes() for file in old.rglob("*") if file.is_file()}
    for target in (old, new):
        command = [sys.executable, "-c", KILLED, str(target)]
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(number)
        process.communicate(timeout=30)
    assert not new.exists()
    assert {file: file.read_bytes() for file in old.rglob("*") if file.is_file()} == before
    left = [path.name for path in tmp_path.iterdir() if path != old]
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)
    assert len(left) == (2 if number == signal.SIGKILL else 0)


def test_an_existing_folder_is_refused_and_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write(path, [2])
    with pytest.raises(ConfigError, match=r"exists already.*overwrite"):
        DatasetWriter(path, fps=10, features=FEATURES)
    write(path, [4], overwrite=True)
    assert len(windows(path)) == 1
    assert windows(path)[0]["length"] == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("swap", [exchange, exchange_by_renames])
def test_exchanging_folders_swaps_their_content(tmp_path: Path, swap: Callable[[Path, Path], None]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").touch()
    swap(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b.txt"]
    assert os.listdir(tmp_path / "b") == ["a.txt"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_overwriting_spares_folders_that_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("thesis")
    with pytest.raises(ConfigError, match="not a folder of a LeRobot dataset"):
        DatasetWriter(tmp_path, fps=10, features=FEATURES, overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "thesis"


def test_a_folder_that_appears_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "set"

    def make_folder() -> None:
        path.mkdir()
        (path / "other").write_text("work")

    with pytest.raises(ConfigError, match="exists already"):
        add_episodes(path, episode(3), then=make_folder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]
    assert os.listdir(path) == ["other"]

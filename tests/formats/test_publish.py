"""What grows beside its target: held by who writes it, gone on with or removed when that process is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robomix.errors import ConfigError, FormatError
from robomix.formats.publish import resumable_folder, staged_file, staged_folder
from tests.conftest import PROJECT

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
HOLDS = """
import sys, time
from pathlib import Path
from robomix.formats.publish import resumable_folder
with resumable_folder(Path(sys.argv[1]), lambda _: None, sys.argv[2]) as stage:
    (stage.root / "half").write_text("done so far")
    print("in the middle", flush=True)
    time.sleep(60)
"""


def free(target: Path) -> None:
    if target.exists():
        raise ConfigError(f"{target} exists already.")


def anything(_: Path) -> None:
    pass


def begun(target: Path, key: str = KEY) -> subprocess.Popen[str]:
    """A process in the middle of writing `target`."""
    command = [sys.executable, "-c", HOLDS, str(target), key]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def test_what_a_killed_process_built_is_there_for_the_next_of_the_same_plan(tmp_path: Path) -> None:
    end(begun(tmp_path / "set"))
    assert not (tmp_path / "set").exists()
    with resumable_folder(tmp_path / "set", free, KEY) as stage:
        assert (stage.root / "half").read_text() == "done so far"
    assert os.listdir(tmp_path) == ["set"]
    assert os.listdir(tmp_path / "set") == ["half"]


def test_what_a_killed_process_left_of_another_plan_is_removed(tmp_path: Path) -> None:
    end(begun(tmp_path / "set", OTHER))
    with resumable_folder(tmp_path / "set", free, KEY) as stage:
        assert os.listdir(stage.root) == []
        assert [path.name for path in tmp_path.iterdir()] == [f".set.{KEY}.partial"]


def test_a_writer_that_cannot_go_on_removes_it_too(tmp_path: Path) -> None:
    for write in (staged_folder, staged_file):
        end(begun(tmp_path / "set"))
        with write(tmp_path / "set", free) as staging:
            staging.mkdir(exist_ok=True)
            assert len(os.listdir(tmp_path)) == 1
        assert os.listdir(tmp_path) == ["set"]
        (tmp_path / "set").rmdir()


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_a_second_writer_of_the_same_target_is_refused(tmp_path: Path, key: str) -> None:
    first = begun(tmp_path / "set")
    with pytest.raises(ConfigError, match="is being written by another process"):
        resumable_folder(tmp_path / "set", free, key).__enter__()
    with pytest.raises(ConfigError, match="is being written by another process"):
        staged_folder(tmp_path / "set", free).__enter__()
    assert os.listdir(tmp_path) == [f".set.{KEY}.partial"]
    assert (tmp_path / f".set.{KEY}.partial/result/half").exists()
    end(first)


def test_neighbours_whose_names_are_alike_are_left_alone(tmp_path: Path) -> None:
    end(begun(tmp_path / "set.more"))
    ours = [".set.partial", ".set.notes.partial", f".set.{KEY}.partial.txt"]
    for name in ours:
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/thesis").touch()
    (tmp_path / f".set.{OTHER}.partial").symlink_to("elsewhere")
    before = sorted(os.listdir(tmp_path))
    with staged_folder(tmp_path / "set", free):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "set"])
    assert os.listdir(tmp_path / "elsewhere") == ["thesis"]


@pytest.mark.parametrize(
    ("error", "stays"),
    [(FormatError("wrong"), False), (OSError(28, "No space left"), True), (KeyboardInterrupt(), True)],
)
def test_only_what_can_be_gone_on_with_stays(tmp_path: Path, error: BaseException, stays: bool) -> None:
    with pytest.raises(type(error)), resumable_folder(tmp_path / "set", free, KEY):
        raise error
    assert os.listdir(tmp_path) == [f".set.{KEY}.partial"] * stays


def test_an_error_of_the_system_is_known_under_what_was_made_of_it(tmp_path: Path) -> None:
    with pytest.raises(FormatError), resumable_folder(tmp_path / "set", free, KEY):
        raise FormatError("cannot be read back") from OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == [f".set.{KEY}.partial"]


def test_a_replaced_folder_goes_only_when_the_new_one_is_there(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/old").touch()
    with resumable_folder(tmp_path / "set", anything, KEY) as stage:
        (stage.root / "new").touch()
        assert os.listdir(tmp_path / "set") == ["old"]
    assert os.listdir(tmp_path) == ["set"]
    assert os.listdir(tmp_path / "set") == ["new"]


def test_nothing_counts_as_finished_that_the_disk_has_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    def build() -> None:
        with resumable_folder(tmp_path / "set", free, KEY) as stage:
            (stage.root / "file").write_text("whole in memory only")
            (stage.done / "marker").touch()

    with monkeypatch.context() as patch:
        patch.setattr("robomix.formats.publish.sync_below", full)
        with pytest.raises(OSError, match="No space left"):
            build()
    with resumable_folder(tmp_path / "set", free, KEY) as stage:
        assert os.listdir(stage.root) == ["file"]
        assert os.listdir(stage.done) == []

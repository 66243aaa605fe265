"""A build that was stopped goes on: what is finished is believed after a look, and only for the very same build."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robomix.errors import ConfigError, FormatError
from robomix.formats.lerobot.write_stats import PixelCounts
from robomix.tools.build.content import Content
from robomix.tools.build.fingerprint import fingerprint
from robomix.tools.build.layout import DataFile
from robomix.tools.build.markers import Marked
from robomix.tools.build.plan import Plan, carry_out, make_plan
from robomix.tools.build.shards import WrittenFrames, WrittenRows
from robomix.tools.build.source import read_content
from robomix.tools.build.write import Build
from robomix.tools.edit.parts import write_parts
from tests.conftest import PROJECT
from tests.fixtures import write_v21
from tests.tools.edited import digests

LENGTHS = (5, 4, 6, 3)
STOPPED = """
import os, signal, sys
from pathlib import Path
from robomix.tools.build import write
from robomix.tools.build.plan import carry_out, make_plan
from robomix.tools.build.source import read_content
from tests.tools.test_resuming import STEPS

source, target, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
STEPS[sys.argv[4]](write.Build, count)
carry_out(make_plan(read_content(source), target, version="v2.1"))
"""


def kill_after(build: type[Build], count: int) -> None:
    """The process is killed in the middle of its file number `count`, of which half is there."""
    own, written = build.write, []

    def write(self: Build, file: DataFile) -> object:
        result = own(self, file)
        written.append(file)
        if len(written) == count:
            os.truncate(self.root / file.name, 100)
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    build.write = write  # type: ignore[method-assign, assignment]


def fill_disk_after(build: type[Build], count: int) -> None:
    """From file number `count` on no file may have more than 100 bytes, as on a disk that is full."""
    import resource

    own, written = build.write, []
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def write(self: Build, file: DataFile) -> object:
        written.append(file)
        if len(written) == count:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        return own(self, file)

    build.write = write  # type: ignore[method-assign, assignment]


STEPS: dict[str, Callable[[type[Build], int], None]] = {"kill": kill_after, "fill": fill_disk_after}


def stopped(source: Path, target: Path, count: int, how: str = "kill") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STOPPED, str(source), str(target), str(count), how]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)


def planned(source: Path, target: Path) -> Plan:
    return make_plan(read_content(source), target, version="v2.1")


def written_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are written from now on, not taken as they lie."""
    own, names = Build.write, list[str]()

    def write(self: Build, file: DataFile) -> object:
        names.append(file.name)
        return own(self, file)

    monkeypatch.setattr(Build, "write", write)
    return names


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_v21(tmp_path / "source", lengths=LENGTHS, gop=1)
    return tmp_path / "source"


@pytest.fixture
def expected(source: Path, tmp_path: Path) -> dict[str, str]:
    carry_out(planned(source, tmp_path / "expected"))
    return digests(tmp_path / "expected")


def test_finished_files_are_not_written_again(
    source: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopped(source, tmp_path / "set", 6).returncode == -signal.SIGKILL
    names = written_by(monkeypatch)
    carry_out(planned(source, tmp_path / "set"))
    # 4 data files and 4 videos: the sixth was being written.
    assert names == [f"videos/chunk-000/observation.images.top/episode_{i:06d}.mp4" for i in (1, 2, 3)]
    assert digests(tmp_path / "set") == expected
    assert sorted(os.listdir(tmp_path)) == ["expected", "set", "source"]


def test_parts_of_a_split_are_gone_on_with_together(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(target: Path) -> None:
        content = read_content(source)
        parts = {"first": content.episodes[:2], "second": content.episodes[2:]}
        plans = {
            name: make_plan(replace(content, episodes=own), target / name, version="v2.1")
            for name, own in parts.items()
        }
        write_parts(plans, target, dict.fromkeys(plans, "h264"))

    def interrupt(root: Path) -> None:
        if root.name == "second":
            raise KeyboardInterrupt

    split(tmp_path / "expected")
    with monkeypatch.context() as patch:
        patch.setattr("robomix.tools.edit.parts.expect_sound", interrupt)
        with pytest.raises(KeyboardInterrupt):
            split(tmp_path / "set")
    assert not (tmp_path / "set").exists()
    names = written_by(monkeypatch)
    split(tmp_path / "set")
    assert names == []
    assert digests(tmp_path / "set") == digests(tmp_path / "expected")


def test_a_finished_file_that_was_damaged_since_is_written_again(
    source: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(source, tmp_path / "set", 6)
    root = next(tmp_path.glob(".set.*.partial/result"))
    table = root / "data/chunk-000/episode_000002.parquet"
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    (root / "data/chunk-000/episode_000003.parquet").unlink()
    names = written_by(monkeypatch)
    carry_out(planned(source, tmp_path / "set"))
    assert [name for name in names if name.startswith("data/")] == [
        "data/chunk-000/episode_000002.parquet",
        "data/chunk-000/episode_000003.parquet",
    ]
    assert digests(tmp_path / "set") == expected


def test_what_a_stopped_build_left_unfinished_gets_into_no_dataset(
    source: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    stopped(source, tmp_path / "set", 6)
    root = next(tmp_path.glob(".set.*.partial/result"))
    (root / "meta/episodes").mkdir(parents=True)
    (root / "meta/episodes/half.parquet").touch()
    (root / "videos/.episode_000001.mp4.77.partial").touch()
    carry_out(planned(source, tmp_path / "set"))
    assert digests(tmp_path / "set") == expected


def test_a_source_that_changed_since_is_read_anew(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(source, tmp_path / "set", 6)
    os.utime(source / "data/chunk-000/episode_000000.parquet", (1, 1))
    names = written_by(monkeypatch)
    carry_out(planned(source, tmp_path / "set"))
    assert len(names) == 8
    assert sorted(os.listdir(tmp_path)) == ["set", "source"]


@pytest.mark.parametrize("step", [1, 4, 5, 8])
def test_a_disk_that_fills_up_is_told_and_gone_on_with(
    step: int, source: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    before = digests(source)
    done = stopped(source, tmp_path / "set", step, "fill")
    assert "ConfigError" in done.stderr.splitlines()[-1]
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "set").exists()
    assert digests(source) == before
    carry_out(planned(source, tmp_path / "set"))
    assert digests(tmp_path / "set") == expected
    assert sorted(os.listdir(tmp_path)) == ["expected", "set", "source"]


def test_a_source_that_changes_while_being_read_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that goes on: a file is appended to, another comes."""
    own = Build.write

    def write(self: Build, file: DataFile) -> object:
        with open(source / "meta/episodes.jsonl", "a") as lines:
            lines.write("\n")
        (source / "data/chunk-000/episode_000004.parquet").touch()
        return own(self, file)

    monkeypatch.setattr(Build, "write", write)
    with pytest.raises(FormatError, match=r"episode_000004.parquet and 1 more files changed while being read"):
        carry_out(planned(source, tmp_path / "set"))
    assert os.listdir(tmp_path) == ["source"]


def test_a_place_that_may_not_be_written_to_is_refused(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        carry_out(replace(planned(source, tmp_path / "file/set"), refusals=()))


def test_builds_are_told_apart_by_what_they_write(source: Path, tmp_path: Path) -> None:
    content = read_content(source)
    note, other = tmp_path / "note", tmp_path / "other"
    for path in (note, other):
        path.write_text("a note")
    with_note = replace(content, meta_files={"note": note})
    same = [content, read_content(source)]
    differing: list[Content] = [
        content,
        replace(content, robot_type="another"),
        replace(content, episodes=content.episodes[:3]),
        replace(content, episodes=content.episodes[::-1]),
        replace(content, episodes=(replace(content.episodes[0], tasks=("x",)), *content.episodes[1:])),
        with_note,
    ]
    assert len({fingerprint(one) for one in same}) == 1
    assert len({fingerprint(one) for one in differing}) == len(differing)
    assert fingerprint(with_note) == fingerprint(replace(content, meta_files={"note": other}))
    other.write_text("another note")
    assert fingerprint(with_note) != fingerprint(replace(content, meta_files={"note": other}))


def test_a_build_has_the_same_name_in_every_process(source: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from robomix.tools.build.fingerprint import fingerprint; "
        "from robomix.tools.build.source import read_content; print(fingerprint(read_content(Path(sys.argv[1]))))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code, str(source)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert names == {fingerprint(read_content(source))}


class Says:
    """A writer that writes nothing: its file is there."""

    def __init__(self, result: object) -> None:
        self.result, self.times = result, 0

    def write(self, file: DataFile) -> object:
        self.times += 1
        return self.result


def test_a_marker_gives_back_what_was_counted_to_the_last_bit(tmp_path: Path) -> None:
    pixels = PixelCounts()
    pixels.add(np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
    stats = {"mean": np.array([1 / 3, np.nan]), "count": np.array([7], np.int64)}
    (tmp_path / "file").write_text("a file")
    for result in (
        WrittenRows(({"action": stats}, {}), {"observation.image": pixels}, 6),
        WrittenFrames((0, 5), (stats, None), pixels, 6),
        WrittenFrames((0,), (None,), None, 6),
    ):
        writer = Says(result)
        for path in tmp_path.glob("*.json"):
            path.unlink()
        marked = Marked(writer, tmp_path, tmp_path)
        file = DataFile("file", None, 0, 1)  # type: ignore[arg-type]
        assert marked.write(file) is result
        again = marked.write(file)
        assert writer.times == 1
        assert repr(fingerprint(again)) == repr(fingerprint(result))

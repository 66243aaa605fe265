"""However a command with several processes ends, nothing of it is left but what the next run goes on with."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import write_v30
from tests.tools.killing import Commands, Ended

SHARED = Path("/dev/shm")
AT_WORK = ".new.*.partial/done/*.json"
"""There once the first file is finished, of eighty."""
ENDS: dict[str, tuple[int, dict[str, Any]]] = {
    "as it should": (0, {}),
    "with an error": (2, {"at": 2, "deed": "truncate"}),
    "by Ctrl-C": (130, {"once": AT_WORK, "stop": signal.SIGINT}),
    "by SIGTERM": (-signal.SIGTERM, {"once": AT_WORK, "stop": signal.SIGTERM}),
    "by SIGKILL": (-signal.SIGKILL, {"once": AT_WORK, "stop": signal.SIGKILL}),
}


@pytest.fixture(scope="module", autouse=True)
def imported(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Torch makes a temporary folder when it is imported, which is not looked at."""
    assert delete(commands, tmp_path_factory.mktemp("first")).code == 0


def delete(commands: Commands, folder: Path, **moment: Any) -> Ended:
    source, out = folder / "source", folder / "out"
    write_v30(source, lengths=(3,) * 40, gop=1)
    words = ["delete", source, "--episodes=0", "--version=v2.1", "--workers=2", "--out", out / "new"]
    out.mkdir()
    return commands.run(*words, within=out, argument=str(next(source.rglob("*.mp4"))), **moment)


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left(how: str, commands: Commands, tmp_path: Path) -> None:
    code, moment = ENDS[how]
    before, temporary = shared(), {*commands.temporary.rglob("*")}
    ended = delete(commands, tmp_path, **moment)
    assert ended.code == code, ended.output
    assert ended.left == ()
    assert {*commands.temporary.rglob("*")} == temporary
    assert orphans(before) == set()
    is_resumable = code not in (0, 2)
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert [name.endswith(".partial") for name in left] == ([True] if is_resumable else [False] if code == 0 else [])


def shared() -> set[str]:
    return set(os.listdir(SHARED)) if SHARED.is_dir() else set()


def orphans(before: set[str]) -> set[str]:
    """Files in shared memory that came since, and that no process uses; others may come and go meanwhile."""
    for _ in range(50):
        used, found = used_files(), set[str]()
        for name in shared() - before:
            with suppress(FileNotFoundError):
                found |= {name} if (SHARED / name).stat().st_ino not in used else set()
        if not found:
            break
        time.sleep(0.1)
    return found


def used_files() -> set[int]:
    """Files in shared memory that are mapped or open, by inode: semaphores are mapped under another name."""
    used = set[int]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another's
            lines = (process / "maps").read_text().splitlines()
            used |= {int(line.split()[4]) for line in lines if str(SHARED) in line}
            opened = [entry for entry in (process / "fd").iterdir() if os.readlink(entry).startswith(str(SHARED))]
            used |= {entry.stat().st_ino for entry in opened}
    return used

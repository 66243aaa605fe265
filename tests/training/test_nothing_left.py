"""However a training with loader workers ends, it leaves no process, no shared memory and no temporary folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import PROJECT
from tests.training.test_loop import mixture_file

PATIENCE = 120
SHARED_MEMORY = Path("/dev/shm")


def train(data: Path, folder: Path, steps: int) -> subprocess.Popen[bytes]:
    """A training with two workers in a session of its own, with its temporary files in `folder`/tmp."""
    (folder / "tmp").mkdir()
    mix = mixture_file(data, folder / "mix.json", num_workers=2, steps=steps, log_freq=1, save_freq=0)
    return subprocess.Popen(
        [sys.executable, "-m", "robomix", "train", f"--config_path={mix}", f"--output_dir={folder / 'out'}"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(PROJECT / "src")},
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        start_new_session=True,
    )


def wait_for(condition: Callable[[], object], what: str) -> None:
    for _ in range(PATIENCE * 20):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE} s for {what}")


def reports(folder: Path) -> int:
    metrics = folder / "out" / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.is_file() else 0


def processes(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def shared_memory() -> set[str]:
    return set(os.listdir(SHARED_MEMORY)) if SHARED_MEMORY.is_dir() else set()


def abandoned(names: set[str]) -> set[str]:
    """Of files in shared memory, those that no process has open: others may share memory of their own meanwhile."""
    inodes = {}
    for name in names:
        with suppress(FileNotFoundError):
            inodes[name] = str((SHARED_MEMORY / name).stat().st_ino)  # its name in a process may be an earlier one
    used = set[str]()
    for process in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            used |= {line.split()[4] for line in process.read_text().splitlines() if str(SHARED_MEMORY) in line}
    return {name for name in names & shared_memory() if inodes.get(name) not in used}


def assert_nothing_left(run: subprocess.Popen[bytes], folder: Path, shared_before: set[str]) -> None:
    wait_for(lambda: not processes(run.pid), f"the processes {processes(run.pid)} to end")
    assert list((folder / "tmp").iterdir()) == []
    assert not abandoned(shared_memory() - shared_before)


@pytest.mark.slow  # mixture/test_workers.py has the short one
def test_a_killed_training_leaves_nothing(data: Path, tmp_path: Path) -> None:
    shared = shared_memory()
    run = train(data, tmp_path, steps=100_000)
    wait_for(lambda: reports(tmp_path) > 3 or run.poll() is not None, "the training to begin")
    assert len(processes(run.pid)) > 2, (tmp_path / "log").read_text()
    run.kill()
    run.wait()
    assert_nothing_left(run, tmp_path, shared)


@pytest.mark.slow
def test_a_training_that_is_stopped_leaves_nothing(data: Path, tmp_path: Path) -> None:
    shared = shared_memory()
    run = train(data, tmp_path, steps=100_000)
    wait_for(lambda: reports(tmp_path) > 3 or run.poll() is not None, "the training to begin")
    run.send_signal(signal.SIGTERM)
    assert run.wait(PATIENCE) == 128 + signal.SIGTERM
    assert_nothing_left(run, tmp_path, shared)


@pytest.mark.slow
def test_a_training_that_ends_leaves_nothing(data: Path, tmp_path: Path) -> None:
    shared = shared_memory()
    run = train(data, tmp_path, steps=5)
    assert run.wait(PATIENCE) == 0
    assert_nothing_left(run, tmp_path, shared)


@pytest.mark.slow
def test_a_training_that_fails_leaves_nothing(data: Path, tmp_path: Path) -> None:
    shared = shared_memory()
    run = train(data, tmp_path, steps=100_000)
    wait_for(lambda: reports(tmp_path) > 3 or run.poll() is not None, "the training to begin")
    metrics = tmp_path / "out" / "metrics.jsonl"
    metrics.unlink()
    metrics.mkdir()  # the next report cannot be written
    assert run.wait(PATIENCE) == 2, (tmp_path / "log").read_text()
    assert "cannot write" in (tmp_path / "log").read_text()
    assert_nothing_left(run, tmp_path, shared)

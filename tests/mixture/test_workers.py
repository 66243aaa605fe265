"""Workers end with the process they read for, even in the middle of a batch, and leave no temporary folder."""

import multiprocessing
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from robomix.mixture.loader import make_loader
from robomix.mixture.resolve import streams
from robomix.mixture.schedule import Schedule
from tests.conftest import PROJECT
from tests.memory import ArrayDataset, mixture, source

PATIENCE = 60


@dataclass
class Stall:
    """An image transform that is not done for minutes from its fifth picture on."""

    pictures: int = 0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        self.pictures += 1
        if self.pictures > 4:
            time.sleep(600)
        return image


def main(ending: str) -> None:
    """Takes a batch of four from each of two workers, which are then busy for long; and ends, or waits to be killed."""
    arrays = {"action": np.zeros((50, 2), np.float32), "observation.images.top": np.zeros((50, 3, 4, 4), np.uint8)}
    made = mixture(source(ArrayDataset(arrays, [50]), "a"), image_transform=Stall())
    schedule = Schedule(streams(made.sources, 0.0), seed=0, batch_size=4)
    with closing(make_loader(made, schedule, stop=10, num_workers=2)) as loader:
        batches = iter(loader)
        assert len([next(batches), next(batches)]) == 2
        print("reading", flush=True)
        if ending == "killed":
            next(batches)
        if ending == "fails":
            raise ValueError("on purpose")


@pytest.mark.parametrize("ending", ["killed", "fails"])
def test_busy_workers_end_with_their_parent_and_leave_no_folder(ending: str, tmp_path: Path) -> None:
    code = f"from tests.mixture.test_workers import main; main({ending!r})"
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT / "src")}
    run = psutil.Popen([sys.executable, "-c", code], cwd=PROJECT, env=environment, stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"reading\n"
    children = run.children(recursive=True)
    assert len(children) >= 2
    if ending == "killed":
        assert os.listdir(tmp_path)  # there is something to leave
        run.kill()
    assert run.wait(PATIENCE) == {"killed": -9, "fails": 1}[ending]
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert os.listdir(tmp_path) == []


def test_workers_that_are_still_handing_batches_over_end_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    pictures = np.zeros((50, 3, 480, 640), np.uint8)
    arrays = {"action": np.zeros((50, 2), np.float32), "observation.images.top": pictures}
    made = mixture(source(ArrayDataset(arrays, [50]), "a"))
    schedule = Schedule(streams(made.sources, 0.0), seed=0, batch_size=16)
    with closing(make_loader(made, schedule, stop=1000, num_workers=2, prefetch_factor=4)) as loader:
        next(iter(loader))
        started = multiprocessing.active_children()
    assert [worker.exitcode for worker in started] == [0, 0]
    assert "terminate called" not in capfd.readouterr().err

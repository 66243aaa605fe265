"""Signals and errors at awkward moments: a checkpoint is written first, and no process is left behind."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from robomix.cli.main import main
from robomix.training.metrics import MetricsFile
from robomix.training.signals import ignore_signals, signals_held, stop_on_signals
from tests.training.test_loop import mixture_file


def test_a_signal_between_two_steps_still_gets_its_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record = MetricsFile.write

    def write_and_be_stopped(self: MetricsFile, record: dict[str, Any]) -> None:
        write_record(self, record)
        if record["step"] == 4:  # the step is done, and not one after which a checkpoint is due
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MetricsFile, "write", write_and_be_stopped)
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}"]) == 128 + signal.SIGTERM
    assert (out / "checkpoints" / "last").resolve().name == "000005"
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [4, 5]


def wait_for_word(ready: Any) -> None:
    ignore_signals(0)
    ready.wait(60)


def test_a_worker_that_is_still_starting_survives_ctrl_c() -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    with signals_held():
        worker = spawn.Process(target=wait_for_word, args=(ready,), daemon=True)
        worker.start()
    os.kill(worker.pid or 0, signal.SIGINT)
    time.sleep(0.2)
    ready.set()
    worker.join(60)
    assert worker.exitcode == 0


def test_a_signal_that_comes_meanwhile_is_not_lost() -> None:
    with stop_on_signals() as stop:
        with signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM


def test_a_finished_run_says_that_nothing_is_left(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=2"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume=true", f"--output_dir={out}"]) == 0
    assert "nothing is left to do" in capsys.readouterr().err

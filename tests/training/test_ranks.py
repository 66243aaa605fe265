"""Several processes of one training: they share the batches of one, go on from its checkpoints, and end together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.factory import make_mixture
from robomix.mixture.loader import ScheduledBatches
from robomix.mixture.resolve import make_schedule
from robomix.training.model_folders import weights_folder
from tests.training.test_loop import SMALL, mixture_file

GLOBAL_BATCH = 16
PLAIN = SMALL | {"use_vae": False, "dropout": 0.0}
"""Nothing random in its loss, so that the number of ranks makes no difference but that of rounding."""
SGD = {"type": "sgd", "lr": 0.05, "momentum": 0.9, "grad_clip_norm": 1.0}


def file_of(data: Path, folder: Path, **training: Any) -> Path:
    settings = {"policy": PLAIN, "optimizer": SGD, "use_policy_training_preset": False, "batch_size": GLOBAL_BATCH}
    settings |= {"steps": 8, "save_freq": 4, "log_freq": 1}
    return mixture_file(data, folder / "mix.json", **settings | training)


def launched(ranks: int, *arguments: str, launcher: str = "torchrun") -> subprocess.Popen[str]:
    """`robomix train` on so many processes of this machine; stdout and stderr are one stream."""
    torchrun = ["torch.distributed.run", f"--nproc_per_node={ranks}", "--standalone"]
    accelerate = ["accelerate.commands.launch", "--multi_gpu", f"--num_processes={ranks}", "--main_process_port=0"]
    # Of `accelerate launch`, `--cpu` starts one process whatever else is said; the policy's device is the CPU anyway.
    command = [sys.executable, "-m", *(torchrun if launcher == "torchrun" else accelerate), "-m", "robomix.train"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def run(ranks: int, *arguments: str, launcher: str = "torchrun") -> str:
    process = launched(ranks, *arguments, launcher=launcher)
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert f"and {ranks - 1} more ranks" in printed
    return printed


def weights(run: Path, step: str = "last") -> dict[str, torch.Tensor]:
    return load_file(weights_folder((run / "checkpoints" / step).resolve()) / "model.safetensors")


def losses(run: Path) -> dict[int, float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {record["step"]: record["loss"] for record in records if "loss" in record}


def assert_same_training(one: Path, other: Path) -> None:
    assert losses(one) == pytest.approx(losses(other), rel=1e-4)
    for key, value in weights(one).items():
        torch.testing.assert_close(weights(other)[key], value, rtol=1e-4, atol=1e-6, msg=key)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    config = file_of(data, folder)
    assert main(["train", f"--config_path={config}", f"--output_dir={folder / 'out'}"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def of_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the same run of two processes."""
    folder = tmp_path_factory.mktemp("two")
    config = file_of(data, folder, batch_size=GLOBAL_BATCH // 2)
    run(2, f"--config_path={config}", f"--output_dir={folder / 'out'}", "--num_workers=1")
    return folder / "out"


def test_two_ranks_learn_what_one_does(alone: Path, of_two: Path) -> None:
    assert_same_training(of_two, alone)
    then, now = weights(alone, "000004"), weights(alone)
    assert any(not torch.allclose(then[key], now[key], rtol=1e-3) for key in then)  # it does learn


@pytest.mark.slow
def test_four_ranks_learn_what_one_does_in_two_parts_as_well(data: Path, alone: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 8)
    parts = "--gradient_accumulation_steps=2"
    run(4, f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", parts, launcher="accelerate")
    assert_same_training(tmp_path / "out", alone)


def test_parts_of_a_step_add_up_to_the_step(data: Path, alone: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 4, gradient_accumulation_steps=4)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'out'}"]) == 0
    assert_same_training(tmp_path / "out", alone)


def goes_on(run: Path, folder: Path) -> Path:
    """A copy of a run, as it was after step 4."""
    shutil.copytree(run, folder, symlinks=True)
    last = folder / "checkpoints" / "last"
    last.unlink()
    last.symlink_to("000004")
    shutil.rmtree(folder / "checkpoints" / "000008")
    return folder


def test_one_process_goes_on_where_two_stopped(
    alone: Path, of_two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = goes_on(of_two, tmp_path / "out")
    assert main(["train", "--resume=true", f"--output_dir={out}"]) == 0
    assert_same_training(out, alone)
    assert f"batch_size {GLOBAL_BATCH} per rank" in capsys.readouterr().err


@pytest.mark.slow
def test_four_ranks_go_on_where_two_stopped(alone: Path, of_two: Path, tmp_path: Path) -> None:
    out = goes_on(of_two, tmp_path / "out")
    run(4, "--resume=true", f"--output_dir={out}")
    assert_same_training(out, alone)


def test_a_flag_that_changes_the_global_batch_is_refused(
    of_two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = goes_on(of_two, tmp_path / "out")
    assert main(["train", "--resume=true", f"--output_dir={out}", "--batch_size=4"]) == 2
    assert "batch_size: 16 then, 4 now" in capsys.readouterr().err


def test_parts_that_do_not_fit_the_global_batch_are_refused(
    of_two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = goes_on(of_two, tmp_path / "out")
    assert main(["train", "--resume=true", f"--output_dir={out}", "--gradient_accumulation_steps=3"]) == 2
    assert "global batch of 16 cannot be shared out equally" in capsys.readouterr().err


@pytest.mark.parametrize(("ranks", "parts"), [(1, 1), (2, 1), (4, 1), (1, 4), (2, 2), (8, 2)])
def test_ranks_and_parts_share_out_one_global_batch(data: Path, ranks: int, parts: int) -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(data / "arm")}, {"root": str(data / "crane")}]})
    mixture = make_mixture(config)
    schedule = make_schedule(mixture.sources, config, seed=3, batch_size=GLOBAL_BATCH)
    slices = [
        list(ScheduledBatches(mixture, schedule, start=2, stop=5, rank=rank, world_size=ranks, parts=parts))
        for rank in range(ranks)
    ]
    for t in range(3):
        shared = [request for own in slices for request in own[t * parts : (t + 1) * parts]]
        assert {len(request) for request in shared} == {GLOBAL_BATCH // ranks // parts}
        drawn = schedule.batch(2 + t)
        np.testing.assert_array_equal(np.concatenate([request.draw for request in shared]), drawn.number)
        index = mixture.index_of(drawn.source, drawn.frame)
        np.testing.assert_array_equal(np.concatenate([request.index for request in shared]), index)


def test_a_batch_that_cannot_be_shared_out_is_refused(data: Path) -> None:
    config = MixtureConfig.from_dict({"datasets": [{"root": str(data / "arm")}]})
    mixture = make_mixture(config)
    schedule = make_schedule(mixture.sources, config, seed=3, batch_size=6)
    with pytest.raises(ConfigError, match="6 cannot be shared equally by 2 ranks, in 2 parts each"):
        ScheduledBatches(mixture, schedule, stop=1, world_size=2, parts=2)


def ranks_of(launcher: psutil.Process) -> dict[int, psutil.Process]:
    """The processes it has started, by their rank."""
    return {
        int(child.environ()["RANK"]): child
        for child in launcher.children()
        if "RANK" in child.environ() and "robomix.train" in child.cmdline()
    }


def test_a_killed_rank_ends_the_others_with_a_word_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 2, steps=100_000, save_freq=5)
    out = tmp_path / "out"
    process = launched(2, f"--config_path={config}", f"--output_dir={out}", "--num_workers=1")
    begun = time.monotonic()
    while not (out / "checkpoints" / "last").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() - begun < 300
        time.sleep(0.1)
    launcher = psutil.Process(process.pid)
    started = launcher.children(recursive=True)
    ranks_of(launcher)[1].kill()
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "has lost another rank" in printed
    assert f"--resume=true --output_dir={out} goes on" in printed
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    steps = int((out / "checkpoints" / "last").resolve().name) + 2
    assert main(["train", "--resume=true", f"--output_dir={out}", f"--steps={steps}"]) == 0
    assert (out / "checkpoints" / "last").resolve().name == f"{steps:06d}"


def failed(ranks: int, *arguments: str) -> str:
    process = launched(ranks, *arguments)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    return printed


def test_an_error_that_all_ranks_meet_is_told_once(data: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path)
    printed = failed(3, f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", "--policy.n_action_steps=99")
    assert printed.count("robomix train: error:") == 1


@pytest.mark.slow
def test_an_error_of_one_rank_is_told_by_it_and_ends_the_others(data: Path, tmp_path: Path) -> None:
    broken = {"root": str(data / "arm"), "transforms": [{"type": "tests.training.broken_rank:broken_on_rank_1"}]}
    config = file_of(data, tmp_path, dataset={"datasets": [broken]})
    printed = failed(2, f"--config_path={config}", f"--output_dir={tmp_path / 'out'}")
    assert printed.index("this frame is broken") < printed.index("rank 0 of 2 has lost another rank")
    assert "goes on" not in printed  # there is no checkpoint


@pytest.mark.slow
def test_sigterm_to_one_rank_stops_all_after_the_same_step(data: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 2, steps=100_000, save_freq=0)
    out = tmp_path / "out"
    process = launched(2, f"--config_path={config}", f"--output_dir={out}")
    wait_for_steps(process, out)
    ranks_of(psutil.Process(process.pid))[1].terminate()
    printed, _ = process.communicate(timeout=90)
    step = int((out / "checkpoints" / "last").resolve().name)
    assert f"stopped at step {step} by a signal to another rank; --resume=true" in printed


def wait_for_steps(process: subprocess.Popen[str], out: Path) -> None:
    begun = time.monotonic()
    while not ((out / "metrics.jsonl").exists() and (out / "metrics.jsonl").read_text().count("\n") > 3):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() - begun < 300
        time.sleep(0.1)


@pytest.mark.slow
def test_sigterm_to_the_launcher_leaves_a_checkpoint(data: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 2, steps=100_000, save_freq=0)
    out = tmp_path / "out"
    process = launched(2, f"--config_path={config}", f"--output_dir={out}")
    wait_for_steps(process, out)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=90)
    assert (out / "checkpoints" / "last" / "training_state").is_dir()


@pytest.mark.slow
def test_the_launcher_says_the_precision(data: Path, alone: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, steps=2)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes=1", "--cpu"]
    command += ["--mixed_precision=bf16", "-m", "robomix.train", f"--config_path={config}"]
    subprocess.run([*command, f"--output_dir={tmp_path / 'out'}"], check=True, timeout=300)
    rounded = losses(tmp_path / "out")
    assert rounded[1] == pytest.approx(losses(alone)[1], rel=2e-2)
    assert rounded[1] != pytest.approx(losses(alone)[1], rel=1e-6)

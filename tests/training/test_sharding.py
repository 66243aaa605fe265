"""Ranks that hold a part of the policy each (FSDP) train, save, validate and go on as one process that holds all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import FullyShardedDataParallelPlugin
from safetensors.torch import load_file

from robomix.cli.main import main
from robomix.errors import ConfigError
from robomix.training.lerobot import DistributedType
from robomix.training.model_folders import PRETRAINED, STATE
from robomix.training.runner import PolicyRunner
from robomix.training.sharding import Whole, check_launcher
from tests.training import train_sharded
from tests.training.point_env import Cart
from tests.training.test_evaluation import BC, CART, write
from tests.training.test_loop import mixture_file
from tests.training.test_ranks import PLAIN, assert_same_training, goes_on

GLOBAL_BATCH = 12
ADAMW = {"type": "adamw", "lr": 1e-3, "eps": 1e-3, "weight_decay": 0.0, "grad_clip_norm": 1.0}
"""With a state for each weight. So great an `eps` keeps it from taking rounding for a gradient where there is none."""


def file_of(data: Path, folder: Path, **training: Any) -> Path:
    """A mixture whose held-out frames make 5 batches of 6: an odd number, for two ranks."""
    sources = [{"root": str(data / "arm"), "val_fraction": 0.5}, {"root": str(data / "crane"), "weight": 2.0}]
    settings = {"dataset": {"normalize_by": "source", "datasets": sources}, "batch_size": GLOBAL_BATCH}
    settings |= {"policy": PLAIN, "optimizer": ADAMW, "use_policy_training_preset": False}
    settings |= {"scheduler": {"type": "diffuser", "name": "cosine", "num_warmup_steps": 2}}
    settings |= {"steps": 8, "save_freq": 4, "log_freq": 1, "val_freq": 4}
    return mixture_file(data, folder / "mix.json", **settings | training)


def sharded(ranks: int, *arguments: str, code: int = 0, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={ranks}", "--standalone"]
    command += ["-m", train_sharded.__name__, *arguments]
    settings = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings, timeout=400
    )
    assert (done.returncode == 0) == (code == 0), done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    config = file_of(data, folder)
    assert main(["train", f"--config_path={config}", f"--output_dir={folder / 'out'}"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def of_two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the same run of two processes that share the policy."""
    folder = tmp_path_factory.mktemp("two")
    config = file_of(data, folder, batch_size=GLOBAL_BATCH // 2)
    sharded(2, f"--config_path={config}", f"--output_dir={folder / 'out'}")
    return folder / "out"


def assert_same_run(one: Path, other: Path) -> None:
    """The same losses, of training and validation, weights, and state of the optimizer in every place."""
    assert_same_training(one, other)
    measured = [r["val"]["loss_per_source"] for r in records(one) if "val" in r]
    assert len(measured) == 2
    assert measured == [pytest.approx(r["val"]["loss_per_source"], rel=1e-4) for r in records(other) if "val" in r]
    states = [run / "checkpoints" / "last" / STATE for run in (one, other)]
    mine, others = (load_file(state / "optimizer_state.safetensors") for state in states)
    assert mine.keys() == others.keys()
    for key, value in mine.items():
        torch.testing.assert_close(value, others[key], rtol=1e-3, atol=1e-5, msg=key)
    groups = [json.loads((state / "optimizer_param_groups.json").read_text()) for state in states]
    assert groups[0] == groups[1]


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_two_sharded_ranks_train_and_validate_as_one_process(alone: Path, of_two: Path) -> None:
    assert_same_run(of_two, alone)


def test_a_sharded_checkpoint_is_one_like_any_other(alone: Path, of_two: Path) -> None:
    files = [sorted(str(p.relative_to(run)) for p in (run / "checkpoints").rglob("*")) for run in (alone, of_two)]
    assert files[0] == files[1]
    assert PolicyRunner(of_two / "checkpoints" / "last" / PRETRAINED / "arm").policy.config.type == "act"


def test_one_process_goes_on_where_two_sharded_ones_stopped(alone: Path, of_two: Path, tmp_path: Path) -> None:
    out = goes_on(of_two, tmp_path / "out")
    assert main(["train", "--resume=true", f"--output_dir={out}"]) == 0
    assert_same_run(out, alone)


def test_sharded_ranks_go_on_where_one_process_stopped(alone: Path, tmp_path: Path) -> None:
    out = goes_on(alone, tmp_path / "out")
    sharded(2, "--resume=true", f"--output_dir={out}")
    assert_same_run(out, alone)


@pytest.mark.slow
def test_three_sharded_ranks_go_on_where_two_stopped(alone: Path, of_two: Path, tmp_path: Path) -> None:
    out = goes_on(of_two, tmp_path / "out")
    sharded(3, "--resume=true", f"--output_dir={out}")
    assert_same_run(out, alone)


@pytest.mark.slow
def test_layers_that_are_gathered_one_by_one_learn_the_same(data: Path, tmp_path: Path) -> None:
    """With parts of a step. All layers of all ranks: each is gathered in turn."""
    settings: dict[str, Any] = {"dataset": {"datasets": [{"root": str(data / "arm"), "val_fraction": 0.5}]}}
    settings |= {"optimizer": {"type": "adamw", "lr": 1e-3, "eps": 1e-3}, "steps": 4, "save_freq": 2}
    config = file_of(data, tmp_path, **settings)
    assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / 'alone'}"]) == 0
    config = file_of(data, tmp_path, **settings | {"batch_size": 3, "gradient_accumulation_steps": 2})
    layers = {"FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_TRANSFORMER_CLS_TO_WRAP": "ACTEncoderLayer"}
    sharded(2, f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", environment=layers)
    assert_same_training(tmp_path / "out", tmp_path / "alone")
    sharded(2, "--resume=true", f"--output_dir={tmp_path / 'out'}", "--steps=5", environment=layers)


@pytest.mark.slow
def test_robots_whose_samples_take_other_ways_through_single_layers_are_refused(data: Path, tmp_path: Path) -> None:
    config = file_of(data, tmp_path, batch_size=GLOBAL_BATCH // 2)
    layers = {"FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_TRANSFORMER_CLS_TO_WRAP": "ACTEncoderLayer"}
    printed = sharded(2, f"--config_path={config}", f"--output_dir={tmp_path / 'out'}", code=2, environment=layers)
    assert "Give --fsdp_auto_wrap_policy=NO_WRAP" in printed


def test_what_cannot_be_gathered_is_refused() -> None:
    def of(**settings: Any) -> SimpleNamespace:
        return SimpleNamespace(state=SimpleNamespace(fsdp_plugin=FullyShardedDataParallelPlugin(**settings)))

    check_launcher(of(use_orig_params=True))
    with pytest.raises(ConfigError, match="fsdp_version: found 2, expected 1"):
        check_launcher(of(fsdp_version=2))
    with pytest.raises(ConfigError, match="fsdp_use_orig_params: found false"):
        check_launcher(of(use_orig_params=False))


def test_weights_that_would_be_rounded_are_refused() -> None:
    class Policy(torch.nn.Linear):
        config = SimpleNamespace(type="act")

    sharding = SimpleNamespace(distributed_type=DistributedType.FSDP, is_main_process=False)
    Whole(Policy(2, 2), sharding)
    with pytest.raises(ConfigError, match="in bfloat16, expected float32"):
        Whole(Policy(2, 2, dtype=torch.bfloat16), sharding)


@pytest.mark.slow
def test_what_is_evaluated_is_the_whole_policy(tmp_path: Path) -> None:
    write(tmp_path / "cart", Cart())
    source = {"root": str(tmp_path / "cart"), "env": CART}
    settings: dict[str, Any] = {"dataset": {"datasets": [source]}, "policy": BC, "batch_size": 32, "num_workers": 0}
    settings |= {"steps": 400, "env_eval_freq": 400, "save_freq": 0}
    settings |= {"eval": {"n_episodes": 4, "batch_size": 2, "use_async_envs": False}}
    (tmp_path / "mix.json").write_text(json.dumps(settings))
    sharded(2, f"--config_path={tmp_path / 'mix.json'}", f"--output_dir={tmp_path / 'out'}")
    (result,) = [line["eval"] for line in records(tmp_path / "out") if "eval" in line]
    assert next(iter(result.values()))["success"] == 1.0

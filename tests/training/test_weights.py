"""Weights that move and weights of the loss, in trainings: resumed bit for bit, told in tables, and what they do."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from robomix.cli.main import main
from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.factory import make_mixture
from robomix.mixture.resolve import make_schedule, shares, stages, stages_records, stages_table
from robomix.statistics.compute import mixture_stats
from robomix.training.loss_weights import LossWeights
from robomix.training.objectives import Learner, Objective
from tests.memory import ArrayDataset, source
from tests.training.test_loop import assert_same_parameters, mixture_file

STAGES = [
    {"step": 0, "weights": {"arm": 1, "crane": 0}},
    {"step": 4, "weights": {"arm": 1, "crane": 1}, "interpolate": "linear"},
    {"step": 8, "weights": {"arm": 1, "crane": 3}},
]


def moving(data: Path, path: Path, weight_schedule: Any = STAGES, **training: Any) -> Path:
    config = json.loads(mixture_file(data, path, **training).read_text())
    config["dataset"]["weight_schedule"] = weight_schedule
    path.write_text(json.dumps(config))
    return path


def reports(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 12 steps through all stages."""
    folder = tmp_path_factory.mktemp("run")
    config = moving(data, folder / "mix.json")
    assert main(["train", f"--config_path={config}", f"--output_dir={folder / 'out'}"]) == 0
    return folder / "out"


def test_samples_follow_the_stages(run: Path) -> None:
    """Of 8 a step: crane is due 0, 1, 2, 3 in steps 0 to 3, then 4 a step, then 6."""
    drawn = [record["samples_per_source"] for record in reports(run)]
    assert drawn == [{"arm": 26, "crane": 6}, {"arm": 42, "crane": 22}, {"arm": 50, "crane": 46}]


def test_a_resumed_run_has_the_parameters_of_the_uninterrupted_one(data: Path, run: Path, tmp_path: Path) -> None:
    """Stopped while shares move, continued with two workers: every parameter equal to the last bit."""
    config, out = moving(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=3"]) == 0
    assert main(["train", "--resume=true", f"--output_dir={out}", "--steps=12", "--num_workers=2"]) == 0
    assert_same_parameters(run / "checkpoints" / "last", out / "checkpoints" / "last")


def test_a_running_training_takes_weights_for_steps_to_come_and_none_for_those_past(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = mixture_file(data, tmp_path / "mix.json"), tmp_path / "out"
    assert main(["train", f"--config_path={config}", f"--output_dir={out}", "--steps=3"]) == 0
    again = ["train", "--resume=true", f"--output_dir={out}", "--steps=5"]
    late = json.dumps([{"step": 2, "weights": {"arm": 0}}])
    assert main([*again, f"--dataset.weight_schedule={late}"]) == 2
    assert "weight_schedule up to step 3: none then, hold to step 2 now" in capsys.readouterr().err
    assert main([*again, f"--dataset.weight_schedule={json.dumps([{'step': 3, 'weights': {'arm': 0}}])}"]) == 0
    assert reports(out)[-1]["samples_per_source"] == {"arm": 8, "crane": 32}


def test_tables_and_checkpoints_hold_the_stages(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"--config_path={moving(data, tmp_path / 'mix.json')}", "--dry_run"]) == 0
    printed = capsys.readouterr().out
    for part in ("Shares by step", "from 4", "linear", "from 8", "75.00%"):
        assert part in printed
    record = json.loads(next((run / "checkpoints" / "last").rglob("mixture.json")).read_text())
    assert [stage["shares"]["crane"] for stage in record["stages"]] == [0.0, 0.5, 0.75]
    assert [stage["step"] for stage in record["config"]["weight_schedule"]] == [0, 4, 8]


def test_a_source_that_is_drawn_from_later_counts_in_the_statistics(data: Path) -> None:
    """Both robots have 54 frames. A weight of 0 leaves one out, unless a stage raises it."""
    datasets = [{"root": str(data / "arm")}, {"root": str(data / "crane"), "weight": 0.0}]
    for weight_schedule, frames in (([], 54), ([{"step": 100, "weights": {"crane": 1}}], 108)):
        block = {"datasets": datasets, "weight_schedule": weight_schedule}
        stats = mixture_stats(make_mixture(MixtureConfig.from_dict(block)))["global"]
        assert stats["observation.state"]["count"] == frames


def parts() -> list[Any]:
    sizes = {"small": 10, "large": 40}
    return [source(ArrayDataset({"action": np.zeros((n, 2), "float32")}, [n]), name) for name, n in sizes.items()]


def config_of(*weight_schedule: dict[str, Any], alpha: float = 0.0) -> Any:
    datasets = [{"root": name, "name": name} for name in ("small", "large")]
    return MixtureConfig.from_dict({"datasets": datasets, "weight_schedule": list(weight_schedule), "alpha": alpha})


def test_stages_have_an_alpha_of_their_own_and_the_files_weights_otherwise() -> None:
    config = config_of({"step": 5, "alpha": 1.0}, {"step": 9, "weights": {"small": 3}, "alpha": 0.5}, {"step": 11})
    found = [(stage.step, stage.probabilities) for stage in stages(parts(), config)]
    assert [step for step, _ in found] == [0, 5, 9, 11]
    expected = [(0.5, 0.5), (0.2, 0.8), (0.6, 0.4), (0.5, 0.5)]
    np.testing.assert_allclose([p for _, p in found], expected)


def test_epochs_are_those_of_the_whole_run_where_shares_move() -> None:
    """Of 10 steps of 8 samples, `small` gets 4 each in five, and 8 each in the others: 60 of 10 frames."""
    schedule = make_schedule(parts(), config_of({"step": 5, "weights": {"large": 0}}), seed=0, batch_size=8)
    assert [row.epochs_per_10k_steps for row in shares(parts(), schedule, 10)] == pytest.approx([6000, 500])
    plain = make_schedule(parts(), config_of(), seed=0, batch_size=8)
    assert [row.epochs_per_10k_steps for row in shares(parts(), plain, 10)] == pytest.approx([4000, 1000])
    assert stages_table(plain) is None
    assert len(stages_records(plain)) == 1


def test_a_loss_weight_multiplies_errors_and_no_denominator() -> None:
    """(2 * 3 + 0.5 * 1) / (2 + 1) + 10: weights of 2 and 0.5 for errors of 3 and 1 in 2 steps and 1."""
    objective = Objective(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0]), torch.tensor(10.0))
    assert objective.total(None, torch.tensor([2.0, 0.5])).item() == pytest.approx(6.5 / 3 + 10)
    assert torch.equal(objective.total(None, torch.ones(2)), objective.total())


def test_importance_weights_undo_the_shares() -> None:
    """Errors of 1 and 5 drawn 3:1 and weighted by w / q for w of 1:1 give their plain mean."""
    errors, q = torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([0.75, 0.75, 0.75, 0.25])
    objective = Objective(errors, torch.ones(4), torch.tensor(0.0))
    assert objective.total(None, 0.5 / q).item() == pytest.approx(3.0)


def with_loss_weights(data: Path, path: Path, **loss_weights: float) -> Path:
    config = json.loads(mixture_file(data, path, steps=2, log_freq=2).read_text())
    for entry in config["dataset"]["datasets"]:
        entry["loss_weight"] = loss_weights[Path(entry["root"]).name]
    path.write_text(json.dumps(config))
    return path


def test_loss_weights_of_1_change_nothing_and_others_what_is_minimized(data: Path, run: Path, tmp_path: Path) -> None:
    losses = {}
    for name, of_arm in (("absent", None), ("one", 1.0), ("none", 0.0)):
        path = tmp_path / f"{name}.json"
        config = (
            mixture_file(data, path, steps=2, log_freq=2)
            if of_arm is None
            else with_loss_weights(data, path, arm=of_arm, crane=1.0)
        )
        assert main(["train", f"--config_path={config}", f"--output_dir={tmp_path / name}"]) == 0
        losses[name] = reports(tmp_path / name)[-1]
    assert_same_parameters(tmp_path / "absent" / "checkpoints" / "last", tmp_path / "one" / "checkpoints" / "last")
    assert losses["none"]["loss"] < losses["one"]["loss"]
    assert losses["none"]["loss_per_source"].keys() == {"arm", "crane"}  # still told, as they are


def test_a_policy_that_gives_one_loss_for_the_batch_refuses_loss_weights() -> None:
    class Plain(torch.nn.Module):
        config = SimpleNamespace(type="something new")

        def forward(self, batch: dict[str, Any]) -> tuple[torch.Tensor, None]:
            return batch["action"].mean(), None

    device, learner, (small, _) = torch.device("cpu"), Learner(Plain()), parts()
    weighted = source(small.dataset, "weighted", loss_weight=2.0)
    assert LossWeights([small], learner, device)(torch.tensor([0, 0])) is None
    with pytest.raises(ConfigError, match=r"'weighted': loss_weight: found 2, but policy 'something new' gives one"):
        LossWeights([small, weighted], learner, device)

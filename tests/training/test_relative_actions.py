"""LeRobot's `use_relative_actions` would normalize differences by the statistics of absolute actions: it stays off."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lerobot.processor import (
    AbsoluteActionsProcessorStep,
    RelativeActionsProcessorStep,
    make_default_policy_processor_steps,
    make_policy_processor_pipelines,
)

from robomix.errors import ConfigError
from robomix.statistics.safe import safe_stats
from robomix.training.command_line import parse_train_args
from robomix.training.export import export_source
from robomix.training.lerobot import make_policy
from robomix.training.normalization import make_processors
from tests.training.small import act_config, meta_of
from tests.training.test_normalization import data, stats_of
from tests.training.tiny_vla import tiny

__all__ = ["tiny"]  # pytest finds the fixture here


def trained_on_relative_actions(folder: Path) -> Any:
    """A policy that goes on from `folder`, with processors there that make actions relative, as LeRobot's pi0 has."""
    policy = make_policy(act_config(), ds_meta=meta_of(state=3, environment=2, action=4))
    made = make_default_policy_processor_steps(policy.config, {})
    relative = RelativeActionsProcessorStep(enabled=True)
    absolute = AbsoluteActionsProcessorStep(enabled=True, relative_step=relative)
    before, after = make_policy_processor_pipelines(
        input_steps=[made.rename_observations, made.add_batch_dim, made.to_device, relative, made.normalize],
        output_steps=[made.unnormalize, absolute, made.to_cpu],
    )
    for one in (before, after):
        one.save_pretrained(folder)
    policy.config.pretrained_path = folder
    return policy


def test_a_policy_trained_before_on_relative_actions_gets_those_of_the_mixture(tmp_path: Path) -> None:
    policy = trained_on_relative_actions(tmp_path)
    plain = SimpleNamespace(config=act_config())
    plain.config.input_features = policy.config.input_features
    plain.config.output_features = policy.config.output_features
    stats = {"global": safe_stats(stats_of(data(3.0, 2.0)))}
    batch = {
        "observation.state": torch.randn(2, 3),
        "observation.environment_state": torch.randn(2, 2),
        "action": torch.randn(2, 5, 4),
    }
    made = make_processors(policy, stats, "cpu")
    expected = make_processors(plain, stats, "cpu")
    groups = torch.zeros(2, dtype=torch.int64)
    torch.testing.assert_close(made(dict(batch), groups)["action"], expected(dict(batch), groups)["action"])
    action = batch["action"][:, 0]
    torch.testing.assert_close(made.shared[1](action), expected.shared[1](action))


def test_a_policy_trained_on_relative_actions_is_named_with_the_flag_that_takes_it(tiny: Any, tmp_path: Path) -> None:
    """Not the mixture file, which says nothing of it."""
    config = tiny("pi0", use_relative_actions=True)
    make_policy(config, ds_meta=meta_of(state=3, action=3)).save_pretrained(tmp_path / "policy")
    (tmp_path / "mix.json").write_text(json.dumps({"dataset": {"datasets": [{"root": "arm"}]}}))
    argv = [f"--config_path={tmp_path / 'mix.json'}", f"--policy.path={tmp_path / 'policy'}"]
    with pytest.raises(ConfigError, match=r"policy.path: the policy in .*/policy has use_relative_actions.*delta") as e:
        parse_train_args(argv)
    assert "mix.json" not in str(e.value)
    assert "add --policy.use_relative_actions=false" in str(e.value)
    taken: Any = parse_train_args([*argv, "--policy.use_relative_actions=false"]).policy
    assert not taken.use_relative_actions
    with pytest.raises(ConfigError, match=r"policy.use_relative_actions: found true"):
        parse_train_args([*argv, "--policy.use_relative_actions=true"])


def test_a_policy_with_relative_actions_is_not_exported_for_another_robot(tiny: Any, tmp_path: Path) -> None:
    config = tiny("pi0", use_relative_actions=True)
    make_policy(config, ds_meta=meta_of(state=3, action=3)).save_pretrained(tmp_path / "policy")
    with pytest.raises(ConfigError, match=r"has use_relative_actions.*delta_action"):
        export_source(tmp_path / "policy", tmp_path / "mix.json", "arm", tmp_path / "out")

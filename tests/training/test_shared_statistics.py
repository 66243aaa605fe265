"""Robots that share statistics: what a training shows the policy of a frame is what the robot's folder makes of it.

Means are far from 0, so that zeros which pad a vector are far from 0 after normalization.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from robomix.config import MixtureConfig
from robomix.features import Feature
from robomix.mixture.dataset import Mixture
from robomix.mixture.factory import make_mixture
from robomix.statistics.given import config_stats
from robomix.statistics.safe import safe_stats
from robomix.training.build import build_policy
from robomix.training.device import on_device
from robomix.training.lerobot import PreTrainedConfig, decode_config
from robomix.training.normalization import Processors, make_processors
from robomix.training.robot_folder import robots_of_training, write_robot_folders
from robomix.training.robots import folder_groups
from robomix.training.runner import PolicyRunner
from tests.training.test_robot_folder import MAIN, PICTURE, POLICIES, write
from tests.training.tiny_clip import write_tiny_clip
from tests.training.tiny_vla import tiny

__all__ = ["tiny"]  # pytest finds the fixture here

STATE, ENV = "observation.state", "observation.environment_state"
TOKENS = "observation.language.tokens"
ACTIONS = 3
"""Of every robot, so that noise falls alike."""
TAKE_ENV = ("act", "diffusion", "bc")
"""These do without a camera, others without what stands around the robot."""
EVERY_KIND = (*POLICIES, "smolvla", "pi0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def vector(width: int) -> Feature:
        return Feature("numeric", "float32", (width,))

    folder = tmp_path_factory.mktemp("robots")
    same = {"action": vector(ACTIONS), MAIN: PICTURE}
    write(folder / "wide", {STATE: vector(4), ENV: vector(3)} | same, 10)
    write(folder / "narrow", {STATE: vector(2), ENV: vector(1)} | same, 20)
    write(folder / "stateless", {ENV: vector(2)} | same, 15)
    write_tiny_clip(folder / "tiny_clip")
    return folder


def mixture_of(data: Path, kind: str, **block: Any) -> MixtureConfig:
    names = ("wide", "narrow", "stateless") if kind in TAKE_ENV else ("wide", "narrow")
    left_out = {MAIN: None} if kind in TAKE_ENV else {ENV: None}
    groups = block.pop("groups", {})
    sources = [{"root": str(data / name), "feature_map": left_out, "group": groups.get(name)} for name in names]
    return MixtureConfig.from_dict({"use_imagenet_stats": False, "datasets": sources} | block)


def settings_of(data: Path, tiny: Any, kind: str) -> Any:
    if kind not in POLICIES:
        return tiny(kind)
    clips = {name: str(data / "tiny_clip") for name in ("vision_encoder_name", "text_encoder_name")}
    own = POLICIES[kind] | (clips if kind == "multi_task_dit" else {})
    return decode_config(PreTrainedConfig, own | {"device": "cpu", "push_to_hub": False}, kind)


def trained_on(
    data: Path, tiny: Any, kind: str, out: Path, **block: Any
) -> tuple[Mixture, Any, Processors, dict[str, Path]]:
    """The mixture, a policy, its processors, and the folder of each source, as a training makes them."""
    config, settings = mixture_of(data, kind, **block), settings_of(data, tiny, kind)
    mixture = make_mixture(config, policy=settings)
    torch.manual_seed(0)
    policy = build_policy(SimpleNamespace(policy=settings), mixture, weights=None)
    with torch.no_grad():
        for name, value in policy.named_parameters():
            if "adaLN_modulation" in name:  # zeros at first, under which multi_task_dit sees nothing
                value.normal_(std=0.1)
    policy.eval()
    folders = folder_groups({source.name: source.group for source in mixture.sources}, mixture.schema.condition)
    groups = {folders[source.name]: source.group for source in mixture.sources}
    stats = config_stats(mixture, config)
    robots = robots_of_training(mixture, folders, policy)
    processors = make_processors(policy, {f: safe_stats(stats[g]) for f, g in groups.items()}, "cpu", robots)
    if robots is not None:
        write_robot_folders(out, out / "shared", policy, processors, robots)
        return mixture, policy, processors, {name: out / folder for name, folder in folders.items()}
    for one in (policy, *processors.shared):
        one.save_pretrained(out)
    return mixture, policy, processors, dict.fromkeys(folders, out)


TOLD: dict[str, Any] = {"condition_on": "source", "normalize_by": "global"}
TOGETHER: dict[str, Any] = {"normalize_by": "global"}
"""One folder for all, in which zeros that pad are normalized, in training as by the runner."""
JOINED: dict[str, Any] = {"condition_on": "group", "groups": {"wide": "arms", "narrow": "arms", "stateless": "other"}}
"""Two folders; in the first, what the narrow source lacks is normalized too."""


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        *((kind, TOLD) for kind in EVERY_KIND),
        ("act", TOLD | {"condition_as": "index"}),
        ("act", TOGETHER),
        ("bc", TOGETHER),
        ("act", JOINED),
        ("bc", JOINED),
    ],
)
def test_a_folder_acts_on_a_raw_frame_as_the_shared_policy_on_what_the_training_made_of_it(
    data: Path, tiny: Any, tmp_path: Path, kind: str, block: dict[str, Any]
) -> None:
    mixture, policy, processors, folders = trained_on(data, tiny, kind, tmp_path / "model", **block)
    lengths = [source.frames.num_frames for source in mixture.sources]
    first_frames = [sum(lengths[:i]) for i in range(len(lengths))]
    batch = on_device(mixture.__getitems__(first_frames), mixture.camera_keys, torch.device("cpu"))
    groups = list(processors.by_group)
    group_of = [groups.index(folders[s.name].name) if len(groups) > 1 else 0 for s in mixture.sources]
    trained = processors(dict(batch), torch.tensor(group_of))
    observed = [*policy.config.input_features, TOKENS, f"{TOKENS[:-6]}attention_mask"]
    for i, source in enumerate(mixture.sources):
        raw: dict[str, Any] = {key: latest(batch, key, mixture)[i] for key in mixture.camera_keys}
        raw |= {key: source.dataset.column(key)[0].copy() for key in {STATE, ENV} & source.features.keys()}
        raw["task"] = batch["task"][i]
        policy.reset()
        torch.manual_seed(1)
        seen = {key: latest(trained, key, mixture)[i : i + 1] for key in observed if key in trained}
        expected = processors.by_group[groups[group_of[i]]][1](policy.select_action(seen))
        runner = PolicyRunner(folders[source.name])
        torch.manual_seed(1)
        np.testing.assert_allclose(runner(raw), expected[0].numpy(), rtol=1e-5, atol=1e-4, err_msg=source.name)


def latest(batch: dict[str, Any], key: str, mixture: Mixture) -> torch.Tensor:
    """(B, ...): what samples have of `key` in the frame they are of."""
    value: torch.Tensor = batch[key]
    return value[:, -1] if key in mixture.horizons else value

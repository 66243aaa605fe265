"""SmolVLA, pi0 and pi0.5 trained on two robots, of which one has fewer joints and one camera less."""

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
from robomix.features import Feature
from robomix.mixture.factory import make_mixture
from robomix.statistics.given import config_stats
from robomix.statistics.safe import safe_stats
from robomix.training.black_pictures import warn_of_black_pictures
from robomix.training.build import build_policy
from robomix.training.device import on_device
from robomix.training.normalization import make_processors
from robomix.training.robot_folder import mixture_names, read_robot
from robomix.training.robot_policy import policy_of_robot
from robomix.training.robots import robots_of
from robomix.training.runner import PolicyRunner, load_policy, load_processors
from robomix.training.state_prompts import OwnStatePrompt
from tests.training.test_robot_folder import (
    MAIN,
    OWN,
    PICTURE,
    STATE,
    WRIST,
    driven,
    frames_of,
    source_of,
    write,
)
from tests.training.tiny_vla import KINDS, tiny

__all__ = ["tiny"]  # pytest finds the fixture here

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def vector(width: int) -> Feature:
        return Feature("numeric", "float32", (width,))

    folder = tmp_path_factory.mktemp("robots")
    write(folder / "duo", {STATE: vector(4), "action": vector(5), MAIN: PICTURE, WRIST: PICTURE}, 0)
    write(folder / "solo", {STATE: vector(2), "action": vector(3), OWN: PICTURE}, 3)
    return folder


def mixture_of(data: Path, **settings: Any) -> dict[str, Any]:
    sources = [
        {"root": str(data / "duo"), "name": "duo"},
        {"root": str(data / "solo"), "name": "solo", "feature_map": {OWN: MAIN}},
    ]
    return {"use_imagenet_stats": False, "datasets": sources} | settings


def train(data: Path, tiny: Any, kind: str, **dataset: Any) -> Path:
    """Two steps; the mixture's other settings are `dataset`."""
    settings = {"dataset": mixture_of(data, **dataset), "policy": tiny.settings(kind)}
    settings |= {"batch_size": 4, "steps": 2, "num_workers": 0}
    name = "_".join([kind, *map(str, dataset.values())])
    (data / f"{name}.json").write_text(json.dumps(settings))
    if not (data / name).exists():
        assert main(["train", f"--config_path={data / f'{name}.json'}", f"--output_dir={data / name}"]) == 0
    return data / name / "checkpoints" / "last"


@every_kind
def test_the_folder_of_each_robot_acts_as_the_shared_policy_and_without_the_camera_it_lacks(
    data: Path, tiny: Any, kind: str
) -> None:
    checkpoint = train(data, tiny, kind, normalize_by="source")
    pretrained = checkpoint / "pretrained_model"
    assert read_robot(pretrained / "solo")["zeros"] == []
    assert read_robot(pretrained / "solo")["notes"] == []
    weights = [next(folder.glob("model.*")) for folder in (pretrained / "duo", pretrained / "solo")]
    assert weights[0].samefile(weights[1])
    shared = load_policy(checkpoint / "training_state" / "policy", "cpu")
    for name, width in {"duo": 5, "solo": 3}.items():
        folder, source = pretrained / name, source_of(data, name)
        policy = load_policy(folder, "cpu")
        processors = load_processors(policy, folder)
        made = driven(source, policy, processors, mixture_names(folder))
        assert made[0].shape == (1, width)
        robot = robots_of([source], {name: name}, [*shared.config.input_features, "action"])[name]
        torch.testing.assert_close(made, driven(source, policy_of_robot(shared, robot), processors, robot.names))
    assert list(policy.config.input_features) == [STATE, OWN]


@every_kind
def test_a_policy_that_robots_share_is_run_without_the_camera_that_one_lacks(data: Path, tiny: Any, kind: str) -> None:
    """With a runner, which is given the robot's own observations, as with the driver of evaluations."""
    folder = train(data, tiny, kind, normalize_by="global") / "pretrained_model"
    source = source_of(data, "solo")
    policy = load_policy(folder, "cpu")
    expected = driven(source, policy, load_processors(policy, folder), {})
    runner = PolicyRunner(folder)
    seen: list[set[str]] = []
    inner = runner.policy.select_action
    runner.policy.select_action = lambda batch: seen.append(set(batch)) or inner(batch)
    torch.manual_seed(5)
    for frame, action in zip(frames_of(source), expected, strict=True):
        own = {STATE: frame[STATE][0].numpy(), MAIN: frame[OWN][0].numpy(), "task": "move"}
        np.testing.assert_allclose(runner(own)[:3], action[0].numpy(), rtol=1e-5, atol=1e-6)
    assert all(MAIN in keys and WRIST not in keys for keys in seen)


@every_kind
def test_batches_of_one_camera_set_each_are_trained_on(data: Path, tiny: Any, kind: str) -> None:
    checkpoint = train(data, tiny, kind, normalize_by="source", batching="per_camera_set")
    state = json.loads((checkpoint / "training_state" / "schedule.json").read_text())
    assert [source["drawn"] for source in state["sources"]] == [4, 4]


def test_pi05_reads_as_many_numbers_as_its_robot_has() -> None:
    """Though the state of a batch is padded to the mixture's width: 0 would be read as 128."""
    step = OwnStatePrompt(widths=[4, 2])
    step.groups = torch.tensor([1, 0, 1])
    state = torch.tensor([[0.0, 1.0, 0.0, 0.0], [-1.0, 0.5, 0.0, 1.0], [0.25, 0.0, 0.0, 0.0]])
    given = {"observation": {STATE: state}, "complementary_data": {"task": ["a", "b", "c"], "index": 3}}
    assert step(given)["complementary_data"] == {
        "index": 3,
        "task": [
            "Task: a, State: 128 255;\nAction: ",
            "Task: b, State: 0 192 128 255;\nAction: ",
            "Task: c, State: 160 128;\nAction: ",
        ],
    }
    assert given["complementary_data"]["task"] == ["a", "b", "c"]


@every_kind
def test_a_sample_reaches_the_policy_in_training_as_from_the_robots_own_folder(
    data: Path, tiny: Any, kind: str
) -> None:
    """Its words, and its state where it is no part of them."""
    config = MixtureConfig.from_dict(mixture_of(data, normalize_by="source"))
    settings = SimpleNamespace(policy=tiny(kind))
    mixture = make_mixture(config, policy=settings.policy)
    policy = build_policy(settings, mixture, weights=None)
    stats = {group: safe_stats(of_group) for group, of_group in config_stats(mixture, config).items()}
    robots = robots_of(mixture.sources, {"duo": "duo", "solo": "solo"}, mixture.schema.features)
    processors = make_processors(policy, stats, "cpu", robots)
    batch = on_device(mixture.__getitems__([1, len(mixture) - 1]), mixture.camera_keys, torch.device("cpu"))
    trained = processors(batch, torch.tensor([0, 1]))
    for i, (name, width) in enumerate({"duo": 4, "solo": 2}.items()):
        latest = {key: batch[key][i][-1] if key in mixture.horizons else batch[key][i] for key in robots[name].features}
        own = {robots[name].renamed(key): value for key, value in latest.items() if key != "action"}
        acting = processors.by_group[name][0](own | {STATE: own[STATE][:width], "task": batch["task"][i]})
        words, is_word = trained["observation.language.tokens"][i], trained["observation.language.attention_mask"][i]
        alone = acting["observation.language.tokens"][0], acting["observation.language.attention_mask"][0]
        assert words[is_word].tolist() == alone[0][alone[1]].tolist()
        torch.testing.assert_close(trained[STATE][i].reshape(-1, 4)[0, :width], acting[STATE][0])
    assert (processors.prompter is None) == (kind != "pi05")


@every_kind
def test_a_camera_of_the_policy_that_no_dataset_has_is_masked_and_one_is_needed(
    data: Path, tiny: Any, kind: str
) -> None:
    """As in fine-tuning of a published policy, which knows the cameras of its own data."""
    mixture = make_mixture(MixtureConfig.from_dict(mixture_of(data)), policy=tiny(kind))
    settings = SimpleNamespace(policy=tiny(kind, empty_cameras=2))
    policy = build_policy(settings, mixture, weights=None)
    assert len(policy.config.image_features) == 4
    with pytest.raises(ConfigError, match=f"policy '{kind}' needs at least one camera, and the mixture has .*state"):
        build_policy(SimpleNamespace(policy=tiny(kind)), mixture.only([STATE, "action"]), weights=None)


def test_black_pictures_are_told_of_where_a_policy_sees_them(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    mixture = make_mixture(MixtureConfig.from_dict(mixture_of(data)))
    robots = robots_of(mixture.sources, {"duo": "duo", "solo": "solo"}, mixture.schema.features)
    together = robots_of(mixture.sources, {"duo": "arms", "solo": "arms"}, mixture.schema.features)
    for kind, of in (("pi0", None), ("smolvla", together), ("act", robots)):
        warn_of_black_pictures(kind, mixture, of)
    assert caplog.messages == []
    for kind, of in (("act", None), ("act", together), ("vqbet", None)):
        warn_of_black_pictures(kind, mixture, of)
    start = f"sees black pictures as {WRIST!r} in the samples of 'solo', which has no such camera, and it cannot mask"
    assert caplog.messages == [
        f"policy 'act' {start} them. With a `group` of its own a robot goes without.",
        f"policy 'act' {start} them. With a `group` of its own a robot goes without.",
        f"policy 'vqbet' {start} them. `features: intersection` leaves such cameras out.",
    ]
    caplog.clear()
    more = [*mixture_of(data)["datasets"], {"root": str(data / "solo"), "name": "other", "feature_map": {OWN: MAIN}}]
    warn_of_black_pictures("vqbet", make_mixture(MixtureConfig.from_dict(mixture_of(data, datasets=more))), None)
    assert "in the samples of 'solo' and of 'other', which have no such camera" in caplog.text

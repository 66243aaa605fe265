"""A robot's own policy is the shared one without what the robot lacks: the same function, trained as it is exported."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.mixture.meta import MixtureMeta
from robomix.training.lerobot import PreTrainedConfig, make_policy
from robomix.training.objectives import Learner, Objective
from robomix.training.policy_cuts import cuts_of
from robomix.training.robot_policy import ROBOT_INDEX, policy_of_robot, robot_config, stats_of_robot
from robomix.training.robots import Robot
from tests.training.small import act_config, diffusion_config

STATE, ENV, ACTION = "observation.state", "observation.environment_state", "action"
MAIN, WRIST = "observation.images.main", "observation.images.wrist"
WIDTHS = {STATE: 4, ENV: 3, ACTION: 5}
BATCH, CHUNK = 6, 8


def bc_config(**settings: Any) -> Any:
    small = {
        "device": "cpu",
        "push_to_hub": False,
        "head": "deterministic",
        "hidden_dims": (16,),
        "chunk_size": CHUNK,
        "n_action_steps": 4,
        "spatial_softmax_num_keypoints": 2,
        "rnn_hidden_dim": 8,
    }
    return PreTrainedConfig.get_choice_class("bc")(**small | settings)


def recurrent(**settings: Any) -> Any:
    return bc_config(rnn_type="LSTM", rnn_horizon=CHUNK, chunk_size=1, n_action_steps=1, **settings)


KINDS: dict[str, Any] = {
    "act": lambda: act_config(dropout=0.0, use_vae=False),
    "act with a latent": lambda: act_config(dropout=0.0),
    "diffusion": lambda: diffusion_config(spatial_softmax_num_keypoints=2, use_group_norm=True),
    "diffusion, an encoder per camera": lambda: diffusion_config(
        spatial_softmax_num_keypoints=2, use_separate_rgb_encoder_per_camera=True, use_group_norm=True
    ),
    "bc": bc_config,
    "bc, two frames": lambda: bc_config(n_obs_steps=2),
    "bc, gaussian": lambda: bc_config(head="gaussian"),
    "bc, mixture": lambda: bc_config(head="gmm", hidden_dims=()),
    "bc, recurrent": recurrent,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def shared_policy(kind: str, *, cameras: bool) -> Any:
    torch.manual_seed(0)
    features: dict[str, Any] = {
        key: {"dtype": "float32", "shape": (width,), "names": None} for key, width in WIDTHS.items()
    }
    if cameras:
        picture = {"dtype": "video", "shape": (32, 32, 3), "names": ["height", "width", "channels"]}
        features |= {MAIN: picture, WRIST: picture}
    meta = MixtureMeta("test", features, [MAIN, WRIST] if cameras else [], {}, ("task",), None, (), 1, 1)
    return make_policy(KINDS[kind](), ds_meta=meta)


def robot(widths: Mapping[str, int], cameras: tuple[str, ...] = (), **more: Any) -> Robot:
    features = {key: Feature("numeric", "float32", (width,)) for key, width in widths.items()}
    return Robot("arm", ("arm",), features | {key: Feature("camera", "uint8", (3, 32, 32)) for key in cameras}, **more)


NARROW = robot({STATE: 2, ENV: 1, ACTION: 3})
WHOLE = robot(WIDTHS, (MAIN, WRIST))
ONE_EYED = robot({STATE: 2, ACTION: 3}, (WRIST,))


def batch_of(policy: Any, own: Robot, *, seed: int = 1) -> dict[str, Any]:
    """A batch for the shared policy as the preprocessor makes it: zeros where `own` has nothing."""
    generator = torch.Generator().manual_seed(seed)
    frames = policy.config.observation_delta_indices
    lead = (BATCH,) if frames is None else (BATCH, len(frames))
    batch: dict[str, Any] = {}
    for key, feature in {**policy.config.input_features, **policy.config.output_features}.items():
        value = torch.rand(*((BATCH, CHUNK) if key == ACTION else lead), *feature.shape, generator=generator)
        if key not in own.features:
            value = torch.zeros_like(value)
        elif own.features[key].is_vector:
            value[..., own.features[key].shape[0] :] = 0
        batch[key] = value
    return batch | {"action_is_pad": torch.zeros(BATCH, CHUNK, dtype=torch.bool)}


def own_part(batch: Mapping[str, Any], own: Robot) -> dict[str, Any]:
    """`batch` as the robot's own policy takes it."""
    made: dict[str, Any] = {"action_is_pad": batch["action_is_pad"]}
    for key, feature in own.features.items():
        made[own.renamed(key)] = batch[key][..., : feature.shape[0]] if feature.is_vector else batch[key]
    return made


def dim_is_pad(own: Robot) -> torch.Tensor:
    return (torch.arange(WIDTHS[ACTION]) >= own.features[ACTION].shape[0]).expand(BATCH, -1)


def objective(learner: Learner, batch: Mapping[str, Any], padded: torch.Tensor | None) -> Objective:
    torch.manual_seed(7)
    return Objective(*learner(dict(batch), padded))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "diffusion" not in kind and "latent" not in kind])
@pytest.mark.parametrize("own", [NARROW, ONE_EYED], ids=["narrow vectors", "one of two cameras, no environment"])
def test_a_robots_samples_are_trained_on_the_policy_that_is_exported_for_it(kind: str, own: Robot) -> None:
    """Errors by sample of the shared policy in training equal those of the robot's own policy on its own samples."""
    policy = shared_policy(kind, cameras=own is ONE_EYED)
    batch = batch_of(policy, own)
    index = {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)}
    robots = [WHOLE, own] if own is ONE_EYED else [robot(WIDTHS), own]
    trained = objective(Learner(policy, robots), batch | index, dim_is_pad(own))
    alone = policy_of_robot(policy, own)
    assert {key: tuple(f.shape) for key, f in alone.config.input_features.items()} == {
        key: f.shape for key, f in own.features.items() if key != ACTION
    }
    torch.testing.assert_close(trained.errors, objective(Learner(alone), own_part(batch, own), None).errors)


@every_kind
@pytest.mark.parametrize("own", [NARROW, ONE_EYED], ids=["narrow vectors", "one of two cameras, no environment"])
def test_nothing_that_is_cut_away_takes_part_in_the_training_of_a_robot(kind: str, own: Robot) -> None:
    """Other values in the weights that its folder leaves out: the robot's loss and its gradients stay as they are."""
    policy = shared_policy(kind, cameras=own is ONE_EYED)
    robots = [WHOLE, own] if own is ONE_EYED else [robot(WIDTHS), own]
    batch = batch_of(policy, own) | {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)}
    before = gradients(policy, robots, batch, own)
    kept = what_is_kept(policy, own)
    with torch.no_grad():
        for name, value in policy.named_parameters():
            value.add_(torch.where(kept[name], 0.0, 3.0))
    torch.testing.assert_close(gradients(policy, robots, batch, own), before)
    assert any(grad.abs().sum() > 0 for grad in before.values())


def what_is_kept(policy: Any, own: Robot) -> dict[str, torch.Tensor]:
    """Parameter name to a mask of its entries that are in the policy of `own`."""
    config = robot_config(policy.config, own)
    plan = cuts_of(policy.config, config).plan(policy.state_dict(), policy_of_robot(policy, own).state_dict())
    marks = {name: torch.zeros_like(value, requires_grad=True) for name, value in policy.named_parameters()}
    whole = policy.state_dict() | marks
    sum(value.sum() for name, value in plan(whole).items() if value.requires_grad).backward()
    return {name: torch.zeros_like(m).bool() if m.grad is None else m.grad > 0 for name, m in marks.items()}


def gradients(policy: Any, robots: list[Robot], batch: Mapping[str, Any], own: Robot) -> dict[str, torch.Tensor]:
    policy.zero_grad()
    made = objective(Learner(policy, robots), batch, dim_is_pad(own))
    made.total().backward()
    known = {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}
    return {"loss": made.total().detach()} | {name: grad.clone() for name, grad in known.items()}


@every_kind
def test_a_mixed_batch_is_the_sum_of_its_robots(kind: str) -> None:
    """Each sample goes through its robot's view, its error comes back to its place, and gradients reach the weights."""
    policy = shared_policy(kind, cameras=True)
    learner = Learner(policy, [WHOLE, ONE_EYED])
    one, two = batch_of(policy, WHOLE), batch_of(policy, ONE_EYED, seed=2)
    index = torch.tensor([0, 1, 1, 0, 1, 0])
    mixed = {key: torch.where(index.reshape(-1, *[1] * (one[key].ndim - 1)) == 1, two[key], one[key]) for key in one}
    padded = torch.where(index[:, None] == 1, dim_is_pad(ONE_EYED), dim_is_pad(WHOLE))
    made = objective(learner, mixed | {ROBOT_INDEX: index}, padded)
    assert made.errors.shape == (BATCH,)
    if "diffusion" not in kind and "latent" not in kind:  # those draw noise, which falls otherwise
        alone = [objective(learner, b | {ROBOT_INDEX: torch.full((BATCH,), i)}, dim_is_pad(r)).errors
                 for i, (b, r) in enumerate(((one, WHOLE), (two, ONE_EYED)))]  # fmt: skip
        torch.testing.assert_close(made.errors, torch.where(index == 1, alone[1], alone[0]))
    made.total().backward()
    assert all(p.grad is not None for p in policy.parameters() if p.requires_grad)


@every_kind
def test_a_whole_robots_policy_is_the_shared_one_on_the_same_memory(kind: str) -> None:
    policy = shared_policy(kind, cameras=True)
    alone = policy_of_robot(policy, WHOLE)
    shared = policy.state_dict()
    assert alone.state_dict().keys() == shared.keys()
    assert all(value.data_ptr() == shared[name].data_ptr() for name, value in alone.state_dict().items())


def test_the_narrow_act_predicts_what_the_shared_one_does_in_its_first_entries() -> None:
    policy = shared_policy("act", cameras=False)
    policy.eval()
    batch = batch_of(policy, NARROW)
    expected = policy.predict_action_chunk(batch)[..., :3]
    torch.testing.assert_close(policy_of_robot(policy, NARROW).predict_action_chunk(own_part(batch, NARROW)), expected)


def test_cameras_have_the_robots_own_names_and_statistics_its_widths() -> None:
    own = robot({STATE: 2, ACTION: 3}, (WRIST,), names={WRIST: "observation.images.cam_left"})
    alone = policy_of_robot(shared_policy("act", cameras=True), own)
    assert list(alone.config.input_features) == [STATE, "observation.images.cam_left"]
    stats = {STATE: {"mean": torch.arange(4).numpy(), "count": torch.ones(1).numpy()}, WRIST: {}}
    made = stats_of_robot(stats, own)
    assert made[STATE]["mean"].tolist() == [0, 1]
    assert list(made) == [STATE, "observation.images.cam_left"]


@pytest.mark.parametrize("kind", ["act", "diffusion"])
def test_what_the_policy_cannot_do_without_stays_as_zeros(kind: str) -> None:
    """LeRobot's ACT and Diffusion need a state, and something beside it."""
    policy = shared_policy(kind, cameras=False)
    assert list(policy_of_robot(policy, robot({STATE: 2, ACTION: 3})).config.input_features) == [STATE, ENV]
    assert list(policy_of_robot(policy, robot({ENV: 2, ACTION: 3})).config.input_features) == [STATE, ENV]


def test_a_robot_that_the_policy_has_no_room_for_is_refused() -> None:
    policy = shared_policy("act", cameras=True)
    with pytest.raises(ConfigError, match=r"'action' of shape \(6,\), the policy was trained with \(5,\)"):
        policy_of_robot(policy, robot({STATE: 2, ACTION: 6}, (MAIN,)))
    small = Robot("arm", (), robot({STATE: 2, ACTION: 3}).features | {MAIN: Feature("camera", "uint8", (3, 16, 16))})
    with pytest.raises(ConfigError, match="resize_images"):
        policy_of_robot(policy, small)


def test_a_policy_type_without_a_rule_is_refused_by_name() -> None:
    policy = shared_policy("act", cameras=False)
    policy.config = type("Config", (), {**vars(policy.config), "type": "vqbet", "action_feature": None})()
    policy.config.action_feature = shared_policy("act", cameras=False).config.action_feature
    with pytest.raises(ConfigError, match="'vqbet' cannot be cut to one robot: there are rules for act, diffusion, "):
        policy_of_robot(policy, NARROW)

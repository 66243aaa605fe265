"""LeRobot's multi-task DiT over robots of different widths and cameras: its loss, and each robot's own policy."""

from typing import Any

import pytest
import torch

from robomix.mixture.meta import MixtureMeta
from robomix.training.lerobot import PreTrainedConfig, make_policy
from robomix.training.objectives import Learner, Objective
from robomix.training.robot_policy import ROBOT_INDEX, policy_of_robot
from robomix.training.robots import Robot
from tests.training.test_robot_policy import (
    ACTION,
    BATCH,
    CHUNK,
    MAIN,
    STATE,
    WIDTHS,
    WRIST,
    dim_is_pad,
    gradients,
    objective,
    own_part,
    robot,
    what_is_kept,
)
from tests.training.test_robot_policy import batch_of as observations_of
from tests.training.tiny_clip import write_tiny_clip

TOKENS, ATTENTION = "observation.language.tokens", "observation.language.attention_mask"
OBJECTIVES: dict[str, dict[str, Any]] = {
    "noise": {"objective": "diffusion"},
    "sample": {"objective": "diffusion", "prediction_type": "sample"},
    "flow": {"objective": "flow_matching", "sigma_min": 0.1},
    "flow, uniform": {"objective": "flow_matching", "timestep_sampling_strategy": "uniform"},
}
every_objective = pytest.mark.parametrize("settings", OBJECTIVES.values(), ids=OBJECTIVES)
CAMERAS: dict[str, dict[str, Any]] = {
    "one encoder": {},
    "an encoder per camera": {"use_separate_rgb_encoder_per_camera": True, "objective": "flow_matching"},
}
WHOLE = robot(WIDTHS, (MAIN, WRIST))
FEWER = robot({STATE: 2, ACTION: WIDTHS[ACTION]}, (WRIST,))
BLIND = robot({STATE: 2, ACTION: 3})
ONE_EYED = robot({STATE: 2, ACTION: 3}, (WRIST,))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_clip(tmp_path_factory.mktemp("models") / "tiny_clip"))


def policy_of(clip: str, *, cameras: bool = False, trained: bool = True, **settings: Any) -> Any:
    """LeRobot's policy; `trained`: without the zeros it starts with, under which it sees no observation."""
    torch.manual_seed(0)
    small = {"hidden_dim": 16, "num_layers": 2, "num_heads": 2, "timestep_embed_dim": 8, "dropout": 0.0}
    clips = {"vision_encoder_name": clip, "text_encoder_name": clip, "image_crop_shape": None}
    windows = {"horizon": CHUNK, "n_action_steps": 4, "num_inference_steps": 2, "num_integration_steps": 2}
    chosen = small | clips | windows | {"device": "cpu", "push_to_hub": False} | settings
    features: dict[str, Any] = {
        key: {"dtype": "float32", "shape": (width,), "names": None} for key, width in WIDTHS.items()
    }
    if cameras:
        picture = {"dtype": "video", "shape": (32, 32, 3), "names": ["height", "width", "channels"]}
        features |= {MAIN: picture, WRIST: picture}
    meta = MixtureMeta("test", features, [MAIN, WRIST] if cameras else [], {}, ("task",), None, (), 1, 1)
    policy = make_policy(PreTrainedConfig.get_choice_class("multi_task_dit")(**chosen), ds_meta=meta)
    if trained:
        with torch.no_grad():
            for name, value in policy.named_parameters():
                if "adaLN_modulation" in name:
                    value.normal_(std=0.1)
    return policy


def batch_of(policy: Any, own: Robot) -> dict[str, Any]:
    tokens = {TOKENS: torch.arange(16).repeat(BATCH, 1), ATTENTION: torch.ones(BATCH, 16, dtype=torch.int64)}
    return observations_of(policy, own) | tokens


def padded_batch(policy: Any) -> dict[str, Any]:
    """Chunks that reach out of their episodes, as a mixture makes them: there the nearest action is repeated."""
    batch = batch_of(policy, WHOLE)
    is_pad, action = batch["action_is_pad"], batch["action"]
    is_pad[0, 5:] = is_pad[1, 1:] = is_pad[2, :1] = True
    action[0, 5:], action[1, 1:], action[2, :1] = action[0, 4], action[1, 0], action[2, 1]
    return batch


@every_objective
@pytest.mark.parametrize("padded", [False, True], ids=["whole chunks", "chunks past the end"])
def test_without_padded_dimensions_the_loss_is_lerobots(clip: str, settings: dict[str, Any], padded: bool) -> None:
    policy = policy_of(clip, cameras=True, do_mask_loss_for_padding=padded, **settings)
    batch = padded_batch(policy) if padded else batch_of(policy, WHOLE)
    torch.manual_seed(7)
    expected, _ = policy(batch)
    assert objective(Learner(policy), batch, None).total().item() == pytest.approx(expected.item(), rel=1e-6)


@every_objective
@pytest.mark.parametrize("several", [False, True], ids=["one robot", "two robots"])
def test_actions_under_the_masks_do_not_move_the_loss(clip: str, settings: dict[str, Any], several: bool) -> None:
    """Dimensions the robot has not, and steps before and after the episode, though steps see each other here."""
    policy = policy_of(clip, **settings)
    learner = Learner(policy, [robot(WIDTHS), BLIND] if several else ())
    batch = padded_batch(policy) | {ROBOT_INDEX: torch.tensor([0, 1, 0, 1, 0, 1])}
    padded = torch.where(batch[ROBOT_INDEX][:, None] == 1, dim_is_pad(BLIND), dim_is_pad(WHOLE))
    before = objective(learner, batch, padded).total()
    hidden = padded[:, None] | batch["action_is_pad"][..., None]
    batch["action"] = torch.where(hidden, batch["action"] + 3, batch["action"])
    torch.testing.assert_close(objective(learner, batch, padded).total(), before)
    batch["action"] = batch["action"] + 3
    assert objective(learner, batch, padded).total().item() != pytest.approx(before.item())


@pytest.mark.parametrize("kind", ["noise", "sample", "flow"])
def test_loss_by_hand(clip: str, kind: str) -> None:
    """With a prediction of 0 the error is the target's square: a mean over each step's real dimensions, then steps."""
    policy = policy_of(clip, **OBJECTIVES[kind])
    torch.nn.init.zeros_(policy.noise_predictor.output_proj.weight)
    torch.nn.init.zeros_(policy.noise_predictor.output_proj.bias)
    batch, real = padded_batch(policy), [5, 2, 5, 5, 2, 5]
    torch.manual_seed(7)
    noise = torch.randn(BATCH, CHUNK, WIDTHS[ACTION])
    target = {"noise": noise, "sample": batch["action"], "flow": batch["action"] - 0.9 * noise}[kind]
    steps = [
        (target[b, t, : real[b]] ** 2).mean() for b in range(BATCH) for t in range(CHUNK)
        if not batch["action_is_pad"][b, t]
    ]  # fmt: skip
    padded = torch.arange(WIDTHS[ACTION]) >= torch.tensor(real)[:, None]
    made = objective(Learner(policy), batch, padded)
    assert made.total().item() == pytest.approx(torch.stack(steps).mean().item(), rel=1e-5)
    assert made.weights.tolist() == [5, 1, 7, 8, 8, 8]


@pytest.mark.parametrize("settings", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("own", [ONE_EYED, BLIND], ids=["one of two cameras", "no camera"])
def test_a_robots_own_policy_is_the_shared_one_where_it_has_nothing(
    clip: str, settings: dict[str, Any], own: Robot
) -> None:
    """The same noise is predicted, from zeros in the place of what was cut away: a missing camera's features, too."""
    policy = policy_of(clip, cameras=True, **settings).eval()
    alone = policy_of_robot(policy, own)
    batch = batch_of(policy, own)
    seen = own_part(batch, own) | {TOKENS: batch[TOKENS], ATTENTION: batch[ATTENTION]}
    condition = alone.observation_encoder.encode(alone._prepare_batch(seen))
    time = torch.full((BATCH,), 0.5)
    expected = policy.noise_predictor(batch["action"], time, with_zeros(condition, own))[..., :3]
    torch.testing.assert_close(alone.noise_predictor(batch["action"][..., :3], time, condition), expected)
    assert expected.std() > 0.01


def with_zeros(condition: torch.Tensor, own: Robot) -> torch.Tensor:
    """Two frames of (state 2, perhaps WRIST 8, text 16) as frames of (state 4, MAIN 8, WRIST 8, text 16)."""
    frames = condition.reshape(BATCH, 2, -1)
    wrist = frames[..., 2:-16] if WRIST in own.features else frames.new_zeros(BATCH, 2, 8)
    zeros = frames.new_zeros(BATCH, 2, 10)
    return torch.cat([frames[..., :2], zeros[..., :2], zeros[..., 2:], wrist, frames[..., -16:]], -1).flatten(1)


@pytest.mark.parametrize("settings", CAMERAS.values(), ids=CAMERAS)
def test_a_robots_samples_are_trained_on_the_policy_that_is_exported_for_it(
    clip: str, settings: dict[str, Any]
) -> None:
    policy = policy_of(clip, cameras=True, **settings)
    batch = batch_of(policy, FEWER)
    index = {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)}
    trained = objective(Learner(policy, [WHOLE, FEWER]), batch | index, dim_is_pad(FEWER))
    alone = own_part(batch, FEWER) | {TOKENS: batch[TOKENS], ATTENTION: batch[ATTENTION]}
    torch.testing.assert_close(trained.errors, objective(Learner(policy_of_robot(policy, FEWER)), alone, None).errors)


@pytest.mark.parametrize("settings", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("own", [ONE_EYED, BLIND], ids=["one of two cameras", "no camera"])
def test_nothing_that_is_cut_away_takes_part_in_the_training_of_a_robot(
    clip: str, settings: dict[str, Any], own: Robot
) -> None:
    """Other values in the weights that its folder leaves out: the robot's loss and its gradients stay as they are."""
    policy = policy_of(clip, cameras=True, **settings)
    batch = batch_of(policy, own) | {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)}
    before = gradients(policy, [WHOLE, own], batch, own)
    kept = what_is_kept(policy, own)
    with torch.no_grad():
        for name, value in policy.named_parameters():
            if value.requires_grad:
                value.add_(torch.where(kept[name], 0.0, 3.0))
    torch.testing.assert_close(gradients(policy, [WHOLE, own], batch, own), before)
    assert any(grad.abs().sum() > 0 for grad in before.values())


def test_a_mixed_batch_trains_what_lerobots_own_loss_trains(clip: str) -> None:
    policy = policy_of(clip, cameras=True)
    batch = batch_of(policy, WHOLE)
    policy(batch)[0].backward()
    expected = {name for name, value in policy.named_parameters() if value.grad is not None}
    policy.zero_grad()
    mixed = batch | {ROBOT_INDEX: torch.tensor([0, 1, 1, 0, 1, 0])}
    made: Objective = objective(Learner(policy, [WHOLE, BLIND]), mixed, None)
    made.total().backward()
    assert {name for name, value in policy.named_parameters() if value.grad is not None} == expected
    assert any("vision_encoder" in name for name in expected)


def test_a_whole_robots_policy_is_the_shared_one_on_the_same_memory(clip: str) -> None:
    policy = policy_of(clip, cameras=True, use_separate_rgb_encoder_per_camera=True)
    alone = policy_of_robot(policy, WHOLE).state_dict()
    assert all(value.data_ptr() == alone[name].data_ptr() for name, value in policy.state_dict().items())

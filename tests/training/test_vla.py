"""SmolVLA, pi0 and pi0.5: no padding in the loss, no camera that is not there, and the same function for one robot."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from robomix.features import Feature
from robomix.mixture.meta import MixtureMeta
from robomix.training.lerobot import get_policy_class, make_policy
from robomix.training.objectives import Learner, Objective
from robomix.training.robot_policy import ROBOT_INDEX, policy_of_robot
from robomix.training.robots import Robot
from tests.training.tiny_vla import CHUNK, KINDS, PICTURE, tiny

__all__ = ["tiny"]  # pytest finds the fixture here

STATE, ACTION, MAIN, WRIST = "observation.state", "action", "observation.images.main", "observation.images.wrist"
BATCH, STATES, WIDTH = 3, 4, 5
REAL = torch.tensor([5, 2, 4])
"""Real action dimensions of each sample."""
DIM_IS_PAD = torch.arange(WIDTH) >= REAL[:, None]

Build = Callable[..., Any]
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def build(tiny: Any) -> Build:
    """A function from a kind and settings to its policy, of two cameras, with weights that are always the same."""

    def built(kind: str, **settings: Any) -> Any:
        vector, picture = (
            {"dtype": "float32", "names": None},
            {"dtype": "video", "names": ["height", "width", "channels"]},
        )
        features: dict[str, Any] = {STATE: vector | {"shape": (STATES,)}, ACTION: vector | {"shape": (WIDTH,)}}
        features |= {key: picture | {"shape": (PICTURE, PICTURE, 3)} for key in (MAIN, WRIST)}
        torch.manual_seed(0)
        meta = MixtureMeta("test", features, [MAIN, WRIST], {}, ("task",), None, (), 1, 1)
        return make_policy(tiny(kind, **settings), ds_meta=meta)

    return built


def batch_of(**changed: torch.Tensor) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    shapes = {STATE: (STATES,), ACTION: (CHUNK, WIDTH), MAIN: (3, PICTURE, PICTURE), WRIST: (3, PICTURE, PICTURE)}
    batch: dict[str, Any] = {key: torch.rand(BATCH, *shape, generator=generator) for key, shape in shapes.items()}
    return batch | {
        "observation.language.tokens": torch.tensor([[6, 7, 0]] * BATCH),
        "observation.language.attention_mask": torch.tensor([[True, True, False]] * BATCH),
        "action_is_pad": torch.zeros(BATCH, CHUNK, dtype=torch.bool),
    }


def padded_batch() -> dict[str, Any]:
    """The first sample's episode ends after one step of its chunk, the third's after three."""
    batch = batch_of()
    batch["action_is_pad"] = torch.arange(CHUNK) >= torch.tensor([1, 4, 3])[:, None]
    batch[ACTION] = batch[ACTION].masked_fill(DIM_IS_PAD[:, None], 0.0)
    return batch


def objective(policy: Any, batch: dict[str, Any], dim_is_pad: torch.Tensor | None = None) -> Objective:
    torch.manual_seed(7)
    return Objective(*Learner(policy)(batch, dim_is_pad))


def lerobots(policy: Any, batch: dict[str, Any], **options: Any) -> torch.Tensor:
    """LeRobot's own loss, with the same noise."""
    torch.manual_seed(7)
    return policy(dict(batch), **options)[0]


def entry_losses(policy: Any, batch: dict[str, Any]) -> torch.Tensor:
    """(B, T, A): what LeRobot's own forward makes a mean of."""
    losses = []
    inner = policy.model.forward
    policy.model.forward = lambda *given: losses.append(inner(*given)) or losses[0]
    lerobots(policy, batch)
    del policy.model.forward
    return losses[0][..., :WIDTH]


@every_kind
def test_without_padding_the_loss_is_lerobots(build: Build, kind: str) -> None:
    policy, batch = build(kind), batch_of()
    made = objective(policy, batch)
    assert made.total().item() == pytest.approx(lerobots(policy, batch).item(), rel=1e-6)
    torch.testing.assert_close(made.errors / CHUNK, lerobots(policy, batch, reduction="none"))


def test_smolvlas_loss_is_lerobots_with_padded_steps_too(build: Build) -> None:
    policy, batch = build("smolvla"), batch_of()
    batch["action_is_pad"][0, 1:] = True
    batch[ACTION][0, 1:] = batch[ACTION][0, 0]
    assert objective(policy, batch).total().item() == pytest.approx(lerobots(policy, batch).item(), rel=1e-6)


@every_kind
def test_the_loss_is_a_mean_over_real_dimensions_and_then_over_valid_steps(build: Build, kind: str) -> None:
    policy, batch = build(kind), padded_batch()
    for b, last in ((0, 0), (2, 2)):
        batch[ACTION][b, last:] = batch[ACTION][b, last]  # as a mixture holds the last action of an episode
    losses = entry_losses(policy, batch)
    steps = [losses[0, 0, :5].mean(), *losses[1, :, :2].mean(-1), *losses[2, :3, :4].mean(-1)]
    made = objective(policy, batch, DIM_IS_PAD)
    assert made.weights.tolist() == [1, 4, 3]
    assert made.total().item() == pytest.approx(torch.stack(steps).mean().item(), rel=1e-5)


@every_kind
def test_no_value_under_the_masks_moves_the_loss_and_every_other_does(build: Build, kind: str) -> None:
    policy, batch = build(kind), padded_batch()
    before = objective(policy, batch, DIM_IS_PAD).errors
    valid = ~(batch["action_is_pad"].unsqueeze(-1) | DIM_IS_PAD[:, None])
    other = batch | {ACTION: torch.where(valid, batch[ACTION], 9.0)}
    assert torch.equal(objective(policy, other, DIM_IS_PAD).errors, before)
    for b, t, d in valid.nonzero().tolist():
        moved = batch[ACTION].clone()
        moved[b, t, d] += 0.1
        changed = objective(policy, batch | {ACTION: moved}, DIM_IS_PAD).errors != before
        assert changed.tolist() == [i == b for i in range(BATCH)]


@every_kind
def test_padded_dimensions_are_not_learned(build: Build, kind: str) -> None:
    policy, batch = build(kind), batch_of()
    objective(policy, batch, (torch.arange(WIDTH) >= 3).expand(BATCH, -1)).total().backward()
    head = policy.model.action_out_proj.weight.grad
    assert head[:3].abs().sum() > 0
    assert head[3:].abs().sum() == 0


def lacking(batch: dict[str, Any], camera: str, *samples: int) -> dict[str, Any]:
    """`batch` as a mixture has it where `samples` are of a source without `camera`."""
    is_pad = torch.zeros(BATCH, dtype=torch.bool)
    is_pad[list(samples)] = True
    picture = batch[camera].clone()
    picture[is_pad] = 0.0
    return batch | {camera: picture, f"{camera}_is_pad": is_pad}


@every_kind
def test_a_camera_that_a_sample_lacks_takes_no_part_and_in_the_others_it_does(build: Build, kind: str) -> None:
    policy = build(kind)
    batch = lacking(batch_of(), WRIST, 0, 2)
    before = objective(policy, batch).errors
    dazzled = objective(policy, batch | {WRIST: torch.ones_like(batch[WRIST])}).errors
    assert (dazzled != before).tolist() == [False, True, False]


@every_kind
def test_a_sample_without_a_camera_is_trained_as_lerobot_would_without_its_key(build: Build, kind: str) -> None:
    policy = build(kind)
    batch = batch_of()
    made = objective(policy, lacking(batch, WRIST, 0, 1, 2))
    without = {key: value for key, value in batch.items() if key != WRIST}
    torch.testing.assert_close(made.errors / CHUNK, lerobots(policy, without, reduction="none"))
    assert not torch.allclose(made.errors / CHUNK, lerobots(policy, batch, reduction="none"))


def test_smolvla_encodes_no_camera_that_all_samples_lack(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = build("smolvla")
    encoded = []
    encode = policy.model.vlm_with_expert.embed_image
    monkeypatch.setattr(policy.model.vlm_with_expert, "embed_image", lambda x: encoded.append(1) or encode(x))
    objective(policy, lacking(batch_of(), WRIST, 0, 1, 2))
    assert len(encoded) == 1


@every_kind
def test_a_camera_with_a_window_counts_by_its_latest_frame(build: Build, kind: str) -> None:
    policy = build(kind)
    batch = lacking(batch_of(), WRIST, 1)
    windowed = batch | {f"{WRIST}_is_pad": torch.stack([torch.zeros(BATCH).bool(), batch[f"{WRIST}_is_pad"]], dim=1)}
    assert torch.equal(objective(policy, windowed).errors, objective(policy, batch).errors)


@every_kind
def test_a_sample_without_any_camera_sees_black_pictures(build: Build, kind: str) -> None:
    """LeRobot's policies refuse an observation without any, so its robot will act on zeros."""
    policy = build(kind)
    blind = lacking(lacking(batch_of(), WRIST, 1), MAIN, 1)
    shown = {key: value for key, value in blind.items() if not key.endswith("images.main_is_pad")}
    shown = {key: value for key, value in shown.items() if not key.endswith("images.wrist_is_pad")}
    assert torch.equal(objective(policy, blind).errors, objective(policy, shown).errors)


NARROW = Robot(
    "arm",
    ("arm",),
    {
        STATE: Feature("numeric", "float32", (2,)),
        ACTION: Feature("numeric", "float32", (3,)),
        MAIN: Feature("camera", "uint8", (3, PICTURE, PICTURE)),
    },
    {MAIN: "observation.images.top"},
)
"""It has fewer dimensions and one of the two cameras, which it calls otherwise."""
WHOLE = Robot(
    "whole",
    ("whole",),
    {
        STATE: Feature("numeric", "float32", (STATES,)),
        ACTION: Feature("numeric", "float32", (WIDTH,)),
        MAIN: Feature("camera", "uint8", (3, PICTURE, PICTURE)),
        WRIST: Feature("camera", "uint8", (3, PICTURE, PICTURE)),
    },
)


def of_the_robot(batch: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`batch` of NARROW alone, as the mixture has it and as the robot does."""
    shared = lacking(batch, WRIST, 0, 1, 2)
    shared[STATE] = batch[STATE].masked_fill(torch.arange(STATES) >= 2, 0.0)
    shared[ACTION] = batch[ACTION].masked_fill(torch.arange(WIDTH) >= 3, 0.0)
    own = {key: value for key, value in shared.items() if not key.startswith("observation.images")}
    own |= {STATE: shared[STATE][:, :2], ACTION: shared[ACTION][..., :3], "observation.images.top": batch[MAIN]}
    return shared, own


def chunk(policy: Any, batch: dict[str, Any]) -> torch.Tensor:
    torch.manual_seed(3)
    return policy.predict_action_chunk({key: value for key, value in batch.items() if key.startswith("observation.")})


@every_kind
def test_a_robots_folder_acts_as_the_shared_policy_does_without_what_the_robot_lacks(
    build: Build, kind: str, tmp_path: Any
) -> None:
    """LeRobot's own loading of the robot's folder, against the shared policy with the camera masked."""
    policy = build(kind)
    policy_of_robot(policy, NARROW).save_pretrained(tmp_path)
    alone = get_policy_class(kind).from_pretrained(tmp_path)
    assert {key: tuple(feature.shape) for key, feature in alone.config.input_features.items()} == {
        STATE: (2,),
        "observation.images.top": (3, PICTURE, PICTURE),
    }
    shared, own = of_the_robot(batch_of())
    if kind == "smolvla":
        shared |= {f"{WRIST}_padding_mask": torch.zeros(BATCH, dtype=torch.bool)}
    else:
        del shared[WRIST]
    acted = chunk(alone, own)
    assert acted.shape == (BATCH, CHUNK, 3)
    torch.testing.assert_close(acted, chunk(policy, shared)[..., :3], rtol=0, atol=1e-6)
    assert not torch.allclose(acted, chunk(policy, of_the_robot(batch_of())[0] | {WRIST: batch_of()[WRIST]})[..., :3])


@every_kind
@pytest.mark.parametrize("robots", [[], [WHOLE, NARROW]], ids=["one group", "a group for each robot"])
def test_a_robots_samples_are_trained_on_the_policy_that_is_exported_for_it(
    build: Build, kind: str, robots: list[Robot]
) -> None:
    policy = build(kind)
    shared, own = of_the_robot(batch_of())
    index = {ROBOT_INDEX: torch.ones(BATCH, dtype=torch.int64)} if robots else {}
    torch.manual_seed(7)
    trained = Objective(*Learner(policy, robots)(shared | index, (torch.arange(WIDTH) >= 3).expand(BATCH, -1)))
    torch.testing.assert_close(trained.errors, objective(policy_of_robot(policy, NARROW), own).errors)


@every_kind
def test_a_robot_without_cameras_keeps_those_of_the_policy_as_zeros(build: Build, kind: str) -> None:
    """LeRobot refuses an observation without any; what stands around the robot is none of these policies' sights."""
    environment = "observation.environment_state"
    blind = Robot("blind", ("blind",), {key: WHOLE.features[key] for key in (STATE, ACTION)})
    blind = replace(blind, features={**blind.features, environment: Feature("numeric", "float32", (3,))})
    policy = build(kind)
    policy.config.input_features[environment] = policy.config.input_features[STATE]
    assert set(policy_of_robot(policy, blind).config.input_features) == {STATE, MAIN, WRIST, environment}


@every_kind
def test_empty_cameras_of_lerobot_change_nothing(build: Build, kind: str) -> None:
    policy = build(kind, empty_cameras=1)
    batch = lacking(batch_of(), WRIST, 0)
    torch.testing.assert_close(objective(policy, batch).errors, objective(build(kind), batch).errors)

"""Losses with padding: what is masked cannot move them, and without padding they are LeRobot's own."""

from typing import Any

import pytest
import torch

from robomix.training.lerobot import make_policy
from robomix.training.objectives import Learner, Objective
from tests.training.small import act_config, diffusion_config, meta_of

BATCH, CHUNK, WIDTH = 6, 8, 5


def policy_of(kind: str) -> Any:
    torch.manual_seed(0)
    config = act_config(chunk_size=CHUNK) if kind == "act" else diffusion_config(horizon=CHUNK)
    return make_policy(config, ds_meta=meta_of(state=3, action=WIDTH, environment=4))


def batch_of(kind: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lead = (BATCH,) if kind == "act" else (BATCH, 2)
    pad = torch.zeros(BATCH, CHUNK, dtype=torch.bool)
    pad[0, 5:] = True
    pad[1, 1:] = True
    action = torch.randn(BATCH, CHUNK, WIDTH, generator=generator)
    action[0, 5:], action[1, 1:] = action[0, 4], action[1, 0]  # after the end the last action is held
    return {
        "observation.state": torch.randn(*lead, 3, generator=generator),
        "observation.environment_state": torch.randn(*lead, 4, generator=generator),
        "action": action,
        "action_is_pad": pad,
    }


def dims(*real: int) -> torch.Tensor:
    return torch.arange(WIDTH)[None, :] >= torch.tensor(real)[:, None]


def objective(policy: Any, batch: dict, dim_is_pad: torch.Tensor | None) -> Objective:
    torch.manual_seed(7)
    return Objective(*Learner(policy)(batch, dim_is_pad))


@pytest.mark.parametrize("kind", ["act", "diffusion"])
def test_without_padded_dimensions_the_loss_is_lerobots(kind: str) -> None:
    policy, batch = policy_of(kind), batch_of(kind)
    if kind == "diffusion":
        policy.config.do_mask_loss_for_padding = True
    torch.manual_seed(7)
    expected, _ = policy(batch)
    assert objective(policy, batch, None).total().item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("kind", ["act", "diffusion"])
def test_values_of_padded_dimensions_and_steps_do_not_move_the_error(kind: str) -> None:
    policy, batch = policy_of(kind), batch_of(kind)
    padded = dims(5, 2, 4, 4, 1, 5)
    under_a_mask = padded[:, None] | batch["action_is_pad"][..., None]
    moved = torch.where(under_a_mask, batch["action"] + 3.0, batch["action"])
    before = objective(policy, batch, padded)
    torch.testing.assert_close(objective(policy, batch | {"action": moved}, padded).errors, before.errors)
    real = torch.where(under_a_mask, batch["action"], batch["action"] + 3.0)
    assert (objective(policy, batch | {"action": real}, padded).errors != before.errors).all()


def test_act_loss_by_hand() -> None:
    """A robot with 2 of 5 dimensions counts as much as one with 5: each step is a mean over its real dimensions."""
    policy, batch = policy_of("act"), batch_of("act")
    policy.eval()
    padded = dims(5, 2, 5, 5, 2, 5)
    predicted, (mu, log_sigma_x2) = policy.model(batch)
    error = (predicted - batch["action"]).abs()
    steps = []
    for b in range(BATCH):
        real = 2 if b in (1, 4) else 5
        steps += [error[b, t, :real].mean() for t in range(CHUNK) if not batch["action_is_pad"][b, t]]
    expected = torch.stack(steps).mean()
    if log_sigma_x2 is not None:
        kld = (-0.5 * (1 + log_sigma_x2 - mu.pow(2) - log_sigma_x2.exp())).sum(-1).mean()
        expected = expected + policy.config.kl_weight * kld
    assert Objective(*Learner(policy)(batch, padded)).total().item() == pytest.approx(expected.item(), rel=1e-5)


def test_no_gradient_reaches_what_only_padded_dimensions_use() -> None:
    policy, batch = policy_of("act"), batch_of("act")
    objective(policy, batch, dims(*[3] * BATCH)).total().backward()
    head = policy.model.action_head.weight.grad
    assert head[:3].abs().sum() > 0
    assert head[3:].abs().sum() == 0


def test_a_sample_that_is_all_padding_counts_for_nothing() -> None:
    policy, batch = policy_of("act"), batch_of("act")
    batch["action_is_pad"][2] = True
    made = objective(policy, batch, None)
    assert made.weights[2] == 0
    assert made.errors[2] == 0
    assert torch.isfinite(made.total())


@pytest.mark.parametrize("kind", ["act", "diffusion"])
def test_the_weight_is_known_before_the_loss(kind: str) -> None:
    """So that the parts of a step can be divided by that of the whole; one sample is all padding."""
    policy, batch, padded = policy_of(kind), batch_of(kind), dims(5, 2, 0, 4, 1, 5)
    known = Learner(policy).weight(batch | {"action_dim_is_pad": padded})
    assert known == objective(policy, batch, padded).weights.sum() == 5 + 1 + 0 + 8 + 8 + 8


def test_losses_of_sources_add_up_to_the_total() -> None:
    made = objective(policy_of("act"), batch_of("act"), None)
    parts = [(made.errors[i].sum(), made.weights[i].sum()) for i in (slice(0, 2), slice(2, 6))]
    total = sum(e for e, _ in parts) / sum(w for _, w in parts) + made.extra
    assert total.item() == pytest.approx(made.total().item())


def test_a_policy_that_gives_one_number_is_trained_on_it() -> None:
    class Plain(torch.nn.Module):
        config = act_config(chunk_size=CHUNK)

        def forward(self, batch: dict) -> tuple[torch.Tensor, None]:
            return batch["action"].mean(), None

    policy = Plain()
    policy.config = type("Config", (), {"type": "something new"})()
    learner = Learner(policy)
    assert not learner.masks_padding
    made = Objective(*learner({"action": torch.full((4, 2, 2), 3.0)}, None))
    assert made.total().item() == 3.0
    assert len(made.errors) == 0

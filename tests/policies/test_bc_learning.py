"""It learns, in seconds: a function, two answers to one question, and what only memory can tell."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lerobot_policy_bc import BCPolicy
from tests.policies.small import bc_policy


def trained(steps: int, batch: Any, **settings: Any) -> BCPolicy:
    """A policy after `steps` of training on `batch()`."""
    policy = bc_policy(**{"hidden_dims": (64, 64), "optimizer_lr": 3e-3} | settings)
    optimizer = policy.config.get_optimizer_preset().build(policy.get_optim_params())
    policy.train()
    for _ in range(steps):
        loss, _ = policy(batch())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), policy.config.optimizer_grad_clip_norm)
        optimizer.step()
    return policy


def seen(state: Tensor) -> dict[str, Tensor]:
    return {"observation.state": state, "observation.environment_state": torch.zeros(*state.shape[:-1], 4)}


def wanted(state: Tensor) -> Tensor:
    """A smooth function of the state (..., 3) with 5 entries within [-0.8, 0.8]."""
    mixed = torch.stack(
        [state[..., 0], state[..., 1] * state[..., 2], state.sum(-1), state[..., 2], -state[..., 0]], -1
    )
    return 0.8 * mixed.sin()


@pytest.mark.parametrize("head", ["deterministic", "gaussian", "gmm"])
def test_it_learns_a_function(head: str) -> None:
    def batch() -> dict[str, Tensor]:
        state = torch.rand(64, 3) * 2 - 1
        return seen(state) | {"action": wanted(state).unsqueeze(1)}

    policy = trained(600, batch, head=head)
    state = torch.rand(500, 3) * 2 - 1
    error = (policy.predict_action_chunk(seen(state))[:, 0] - wanted(state)).square().mean().sqrt()
    assert error < 0.1  # the actions' own size is 0.4


def test_the_mixture_learns_two_answers_where_one_mean_lies_between_them() -> None:
    def batch() -> dict[str, Tensor]:
        side = torch.randint(0, 2, (64, 1, 1)) * 2.0 - 1
        return seen(torch.zeros(64, 3)) | {"action": (0.5 * side).expand(-1, 1, 5)}

    state = seen(torch.zeros(1000, 3))
    actions = trained(300, batch).predict_action_chunk(state)
    assert ((actions.abs() - 0.5).abs() < 0.05).float().mean() > 0.99
    assert 0.4 < (actions[:, 0, 0] > 0).float().mean() < 0.6
    single = trained(300, batch, head="gaussian").predict_action_chunk(state)
    assert single.abs().max() < 0.2


def test_an_rnn_learns_what_is_only_told_at_the_start() -> None:
    def sequences(count: int) -> tuple[Tensor, Tensor]:
        told = torch.randint(0, 2, (count, 1)) * 2.0 - 1
        state = torch.zeros(count, 4, 3)
        state[:, 0] = told
        return state, (0.5 * told)[:, None].expand(-1, 4, 5)

    def batch() -> dict[str, Tensor]:
        state, action = sequences(64)
        return seen(state) | {"action": action}

    policy = trained(150, batch, head="deterministic", rnn_type="LSTM", rnn_horizon=4, rnn_hidden_dim=16)
    state, action = sequences(50)
    for t in range(4):
        assert (policy.select_action(seen(state[:, t])) - action[:, t]).abs().max() < 0.1

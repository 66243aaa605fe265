"""The errors of the heads: against likelihoods written out by hand, and blind to what is not data."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from robomix.training.objectives import Learner, Objective
from tests.policies.small import ACTION, batch_for, bc_policy

HEADS: dict[str, dict[str, Any]] = {
    "gmm": {},
    "gaussian": {"head": "gaussian"},
    "fixed": {"head": "gaussian", "fixed_std": True},
    "exp": {"std_activation": "exp"},
    "deterministic": {"head": "deterministic", "l1_weight": 0.5, "cos_weight": 0.25},
}
TRUNKS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "chunk": {"chunk_size": 4},
    "frames": {"n_obs_steps": 2},
    "lstm": {"rnn_type": "LSTM", "rnn_horizon": 4},
    "gru": {"rnn_type": "GRU", "rnn_horizon": 4},
    "open loop": {"rnn_type": "LSTM", "rnn_horizon": 4, "rnn_open_loop": True, "rnn_bidirectional": True},
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
every_trunk = pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS)


def everything(batch: dict[str, Tensor]) -> Tensor:
    return torch.ones_like(batch["action"], dtype=torch.bool)


def test_the_gmm_error_by_hand() -> None:
    """One sample, one step, two modes, two entries, of which then the second is no data."""
    policy = bc_policy(num_modes=2)
    policy.head.steps, policy.head.action_dim = 1, 2
    means, stds = torch.tensor([[0.5, -0.5], [-0.25, 0.0]]), torch.tensor([[0.1, 0.2], [0.4, 0.3]])
    raw = (stds - 1e-4).expm1().log()  # softplus of it is the standard deviation, less min_std
    outputs = torch.cat([means.atanh().flatten(), raw.flatten()])
    with torch.no_grad():
        policy.head.linear = torch.nn.Linear(1, 8)
        policy.head.linear.weight.copy_(outputs[:, None])
        policy.head.linear.bias.zero_()
        policy.head.logits = torch.nn.Linear(1, 2, bias=False)
        policy.head.logits.weight.copy_(torch.tensor([[0.0], [math.log(3)]]))  # a quarter, three quarters
    action = torch.tensor([[[0.4, -0.1]]])

    def density(x: float, mean: float, std: float) -> float:
        return math.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))

    first = 0.25 * density(0.4, 0.5, 0.1), 0.75 * density(0.4, -0.25, 0.4)
    both = first[0] * density(-0.1, -0.5, 0.2) + first[1] * density(-0.1, 0.0, 0.3)
    features = torch.ones(1, 1, 1)
    error = policy.head.errors(features, action, torch.tensor([[[True, True]]]))
    assert error.item() == pytest.approx(-math.log(both) / 2, rel=1e-4)
    error = policy.head.errors(features, action, torch.tensor([[[True, False]]]))
    assert error.item() == pytest.approx(-math.log(sum(first)), rel=1e-4)


@pytest.mark.parametrize("rnn", [None, "LSTM"])
def test_gmm_errors_are_those_of_torchs_mixture_over_the_width_of_the_action(rnn: str | None) -> None:
    policy = bc_policy(rnn_type=rnn, rnn_horizon=6)
    batch = batch_for(policy.config)
    means, stds, logits = policy.head._mixture(policy._features(policy.encoder(batch)))
    mixture = MixtureSameFamily(Categorical(logits=logits), Independent(Normal(means[:, :, 0], stds[:, :, 0]), 1))
    expected = -mixture.log_prob(batch["action"]) / ACTION
    torch.testing.assert_close(policy.step_errors(batch, everything(batch)), expected)


def test_a_mode_of_the_gmm_is_a_whole_chunk() -> None:
    """The errors of a chunk's steps sum up to the negative log-likelihood of the chunk under a mixture of chunks."""
    policy = bc_policy(chunk_size=3)
    batch = batch_for(policy.config)
    means, stds, logits = (x.squeeze(1) for x in policy.head._mixture(policy._features(policy.encoder(batch))))
    chunks = Independent(Normal(means.transpose(1, 2), stds.transpose(1, 2)), 2)  # (B, M, K, A)
    expected = -MixtureSameFamily(Categorical(logits=logits), chunks).log_prob(batch["action"]) / ACTION
    torch.testing.assert_close(policy.step_errors(batch, everything(batch)).sum(1), expected)


@pytest.mark.parametrize("activation", ["softplus", "exp"])
def test_the_gaussian_error_is_the_likelihood_of_the_valid_entries_and_starts_at_init_std(activation: str) -> None:
    policy = bc_policy(head="gaussian", std_activation=activation, init_std=0.2)
    with torch.no_grad():
        policy.head.linear.weight.zero_()
        policy.head.linear.bias.zero_()
    batch = batch_for(policy.config)
    valid = everything(batch)
    valid[:, :, 2:] = False
    std = 0.2 + 1e-4
    z = batch["action"][:, :, :2].numpy() / std
    expected = (z**2 / 2 + np.log(std) + 0.5 * np.log(2 * np.pi)).mean(-1)
    np.testing.assert_allclose(policy.step_errors(batch, valid).detach(), expected, rtol=1e-4)


def test_the_deterministic_error_weighs_squared_smooth_absolute_and_directional_parts() -> None:
    policy = bc_policy(head="deterministic", l2_weight=2.0, l1_weight=3.0, cos_weight=5.0)
    batch = batch_for(policy.config)
    found, wanted = policy.predict_action_chunk(batch)[:, 0].double(), batch["action"][:, 0].double()
    squared = ((found - wanted) ** 2).mean(-1)
    gap = (found - wanted).abs()
    smooth = torch.where(gap < 1, gap**2 / 2, gap - 0.5).mean(-1)
    a, b = found[:, :3], wanted[:, :3]
    direction = 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    expected = 2 * squared + 3 * smooth + 5 * direction
    policy.eval()
    torch.testing.assert_close(policy.step_errors(batch, everything(batch))[:, 0].double(), expected)


def test_a_direction_is_one_among_the_valid_entries() -> None:
    policy = bc_policy(head="deterministic", l2_weight=0.0, cos_weight=1.0)
    batch = batch_for(policy.config)
    valid = everything(batch)
    valid[:, :, [0, 4]] = False
    a, b = policy.predict_action_chunk(batch)[:, 0, 1:3], batch["action"][:, 0, 1:3]
    expected = 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    torch.testing.assert_close(policy.step_errors(batch, valid)[:, 0], expected)
    valid[:, :, :3] = False
    assert (policy.step_errors(batch, valid) == 0).all()


@every_trunk
@every_head
def test_what_is_not_data_moves_neither_errors_nor_gradients(head: dict[str, Any], trunk: dict[str, Any]) -> None:
    policy = bc_policy(**head, **trunk)
    batch = batch_for(policy.config)
    valid = torch.rand(batch["action"].shape, generator=torch.Generator().manual_seed(3)) < 0.5
    valid[0] = False
    valid[1, 0] = False
    results = []
    for fill in (0.0, 1e9, math.nan, math.inf):
        policy.zero_grad()
        filled = batch | {"action": torch.where(valid, batch["action"], fill)}
        errors = policy.step_errors(filled, valid)
        errors.sum().backward()
        results.append([errors.detach(), *(p.grad.clone() for p in policy.parameters())])
    assert torch.equal(results[0][0] == 0, ~valid.any(-1))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


@every_head
def test_a_batch_without_any_data_gives_no_gradient(head: dict[str, Any]) -> None:
    policy = bc_policy(**head, chunk_size=2)
    batch = batch_for(policy.config)
    policy.step_errors(batch, ~everything(batch)).sum().backward()
    assert all((p.grad == 0).all() for p in policy.parameters())


@every_head
@pytest.mark.parametrize("size", [0.0, 1.0, 1e6])
def test_extreme_actions_give_finite_errors_and_gradients(head: dict[str, Any], size: float) -> None:
    """Also where the standard deviation is as small as it gets, and with zeros, which have no direction."""
    policy = bc_policy(**head)
    with torch.no_grad():
        policy.head.linear.bias.fill_(-60.0)
    batch = batch_for(policy.config)
    batch["action"] = torch.full_like(batch["action"], size)
    errors = policy.step_errors(batch, everything(batch))
    errors.sum().backward()
    assert errors.isfinite().all()
    assert all(p.grad.isfinite().all() for p in policy.parameters())


def test_min_std_bounds_the_likelihood() -> None:
    policy = bc_policy(min_std=0.01)
    with torch.no_grad():
        policy.head.linear.weight.zero_()
        policy.head.linear.bias.fill_(-60.0)  # means of -1, standard deviations of nothing but min_std
    batch = batch_for(policy.config)
    batch["action"] = torch.full_like(batch["action"], -1.0)
    best = math.log(0.01 * math.sqrt(2 * math.pi))
    assert policy.step_errors(batch, everything(batch)).detach().numpy() == pytest.approx(best, rel=1e-4)


def test_an_exponential_does_not_overflow() -> None:
    policy = bc_policy(std_activation="exp")
    with torch.no_grad():
        policy.head.linear.bias.fill_(200.0)
    batch = batch_for(policy.config)
    policy.step_errors(batch, everything(batch)).sum().backward()
    assert all(p.grad.isfinite().all() for p in policy.parameters())


@every_trunk
@every_head
def test_the_policys_own_loss_leaves_padded_steps_out_and_is_robomixs(
    head: dict[str, Any], trunk: dict[str, Any]
) -> None:
    policy = bc_policy(**head, **trunk)
    batch = batch_for(policy.config)
    expected = policy.step_errors(batch, everything(batch))
    loss, logged = policy(batch)
    assert loss.item() == pytest.approx(expected.mean().item())
    assert logged == {"loss": loss.item()}
    assert Objective(*Learner(policy)(batch, None)).total().item() == pytest.approx(loss.item())

    pad = torch.zeros(batch["action"].shape[:2], dtype=torch.bool)
    pad[0, 1:] = True
    pad[1] = True
    batch |= {"action_is_pad": pad, "action": torch.where(pad[..., None], math.nan, batch["action"])}
    loss, _ = policy(batch)
    assert loss.item() == pytest.approx(
        policy.step_errors(batch, ~pad[..., None].expand(-1, -1, ACTION))[~pad].mean().item()
    )
    assert Objective(*Learner(policy)(batch, None)).total().item() == pytest.approx(loss.item())
    by_sample, _ = policy(batch, reduction="none")
    assert by_sample.shape == (4,)
    assert by_sample[1] == 0
    assert by_sample[2].item() == pytest.approx(expected[2].mean().item(), rel=1e-5)


@every_head
def test_a_narrow_robot_counts_as_much_as_a_wide_one(head: dict[str, Any]) -> None:
    """Two robots whose valid entries all have the same error: the padded one's is not smaller for its padding."""
    policy = bc_policy(**head | {"cos_weight": 0.0})
    with torch.no_grad():
        policy.head.linear.weight.zero_()
        policy.head.linear.bias.zero_()
        if hasattr(policy.head, "logits"):
            policy.head.logits.bias.copy_(torch.tensor([60.0, 0.0, 0.0]))  # one mode, or entries are not independent
            policy.head.logits.weight.zero_()
    batch = batch_for(policy.config, size=2)
    batch["action"] = torch.full_like(batch["action"], 0.3)
    is_pad = torch.arange(ACTION)[None] >= torch.tensor([[5], [2]])
    errors, weights, _ = Learner(policy)(batch, is_pad)
    assert errors[0].item() == pytest.approx(errors[1].item(), rel=1e-5)
    assert weights.tolist() == [1, 1]

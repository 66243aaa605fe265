"""Acting, for a batch of environments: what the policy does step by step is what it was trained to do."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lerobot_policy_bc import BCPolicy
from tests.policies.small import ACTION, bc_policy, observation

ENVIRONMENTS = 3


def frames(count: int) -> dict[str, Tensor]:
    return observation(ENVIRONMENTS, count)


def acted(policy: BCPolicy, sequence: dict[str, Tensor]) -> Tensor:
    """(B, T, A): the policy's actions, one observation of `sequence` (B, T, ...) after the other."""
    count = next(iter(sequence.values())).shape[1]
    steps = [policy.select_action({key: value[:, t] for key, value in sequence.items()}) for t in range(count)]
    return torch.stack(steps, dim=1)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
@pytest.mark.parametrize(
    "rnn",
    [
        {"rnn_type": "LSTM"},
        {"rnn_type": "GRU", "rnn_num_layers": 1},
        {"rnn_type": "LSTM", "hidden_dims": ()},
        {"rnn_type": "LSTM", "rnn_open_loop": True},
        {"rnn_type": "GRU", "rnn_open_loop": True, "rnn_bidirectional": True},
    ],
    ids=["lstm", "gru", "no mlp", "open loop", "bidirectional"],
)
def test_an_rnn_stepped_through_observations_does_what_training_makes_of_the_sequence(
    rnn: dict[str, Any], head: str
) -> None:
    policy = bc_policy(head=head, rnn_horizon=5, **rnn)
    sequence = frames(5)
    policy.eval()
    trained = policy.head.sample(policy._features(policy.encoder(sequence)))
    torch.testing.assert_close(acted(policy, sequence), trained)
    assert trained.shape == (ENVIRONMENTS, 5, ACTION)


@pytest.mark.parametrize("open_loop", [False, True])
def test_the_hidden_state_is_forgotten_every_horizon_and_not_before(open_loop: bool) -> None:
    policy = bc_policy(head="deterministic", rnn_type="LSTM", rnn_horizon=3, rnn_open_loop=open_loop)
    same = {key: value.expand(-1, 7, -1) for key, value in frames(1).items()}
    actions = acted(policy, same)
    torch.testing.assert_close(actions[:, 3:6], actions[:, :3])
    torch.testing.assert_close(actions[:, 6], actions[:, 0])
    assert not torch.allclose(actions[:, 1], actions[:, 0])


def test_open_loop_acts_on_the_first_observation_of_each_horizon_only() -> None:
    policy = bc_policy(head="deterministic", rnn_type="LSTM", rnn_horizon=3, rnn_open_loop=True)
    sequence = frames(6)
    changed = {key: value.clone() for key, value in sequence.items()}
    changed["observation.state"][:, [1, 2, 4, 5]] += 1
    policy_actions = acted(policy, sequence)
    policy.reset()
    torch.testing.assert_close(acted(policy, changed), policy_actions)


@pytest.mark.parametrize(
    "settings",
    [
        {"rnn_type": "LSTM", "rnn_horizon": 4},
        {"rnn_type": "LSTM", "rnn_horizon": 4, "rnn_open_loop": True},
        {"n_obs_steps": 3},
        {"chunk_size": 4, "n_action_steps": 4},
    ],
    ids=["rnn", "open loop", "frames", "chunk"],
)
def test_reset_forgets_the_episode_before(settings: dict[str, Any]) -> None:
    policy = bc_policy(head="deterministic", **settings)
    fresh = acted(policy, frames(7))
    assert not torch.allclose(acted(policy, frames(7)), fresh)
    policy.reset()
    torch.testing.assert_close(acted(policy, frames(7)), fresh)
    policy.reset()
    assert acted(policy, observation(1, 2)).shape == (1, 2, ACTION)  # another number of environments


def test_a_chunk_is_executed_as_far_as_asked() -> None:
    policy = bc_policy(head="deterministic", chunk_size=4, n_action_steps=3)
    sequence = frames(4)
    first, fourth = ({key: value[:, t] for key, value in sequence.items()} for t in (0, 3))
    actions = acted(policy, sequence)
    torch.testing.assert_close(actions[:, :3], policy.predict_action_chunk(first)[:, :3])
    torch.testing.assert_close(actions[:, 3], policy.predict_action_chunk(fourth)[:, 0])


@pytest.mark.parametrize("n_action_steps", [1, 2])
def test_the_mlp_sees_the_last_frames_and_the_first_one_for_those_before(n_action_steps: int) -> None:
    policy = bc_policy(head="deterministic", n_obs_steps=3, chunk_size=2, n_action_steps=n_action_steps)
    sequence = frames(5)
    actions = acted(policy, sequence)
    for t, seen in ((0, [0, 0, 0]), (2, [0, 1, 2]), (4, [2, 3, 4])):
        expected = policy.predict_action_chunk({key: value[:, seen] for key, value in sequence.items()})
        torch.testing.assert_close(actions[:, t], expected[:, 0])


def test_a_chunk_predicted_at_an_episodes_first_frame_repeats_that_frame() -> None:
    policy = bc_policy(head="deterministic", n_obs_steps=3)
    first = {key: value[:, 0] for key, value in frames(1).items()}
    repeated = {key: value.expand(-1, 3, -1) for key, value in frames(1).items()}
    torch.testing.assert_close(policy.predict_action_chunk(first), policy.predict_action_chunk(repeated))


def test_low_noise_acts_on_a_modes_mean_and_noise_as_wide_as_learned() -> None:
    quiet, loud = (bc_policy(num_modes=1, low_noise_eval=low) for low in (True, False))
    loud.load_state_dict(quiet.state_dict())
    seen = {key: value.expand(4000, -1) for key, value in observation(1).items()}
    means, stds, _ = quiet.head._mixture(quiet._features(quiet.encoder(seen)))
    torch.manual_seed(0)
    quiet_actions, loud_actions = quiet.select_action(seen), loud.select_action(seen)
    torch.testing.assert_close(quiet_actions.std(0), torch.full((ACTION,), 1e-4), rtol=0.1, atol=0)
    torch.testing.assert_close(quiet_actions.mean(0), means[0, 0, 0, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(loud_actions.std(0), stds[0, 0, 0, 0], rtol=0.1, atol=0)


def test_the_gaussians_low_noise_is_its_mean_and_its_noise_is_learned() -> None:
    policy = bc_policy(head="gaussian", low_noise_eval=False)
    seen = {key: value.expand(4000, -1) for key, value in observation(1).items()}
    torch.manual_seed(0)
    noisy = policy.select_action(seen)
    policy.config.low_noise_eval = True
    policy.reset()
    mean = policy.select_action(seen)
    torch.testing.assert_close(mean, mean[:1].expand_as(mean))
    torch.testing.assert_close(noisy.mean(0), mean[0], rtol=0, atol=0.01)
    assert noisy.std(0).min() > 0.05


def test_modes_are_drawn_as_often_as_they_are_likely_and_kept_through_a_chunk() -> None:
    policy = bc_policy(num_modes=2, chunk_size=3, n_action_steps=3)
    with torch.no_grad():
        policy.head.linear.weight.zero_()
        outputs = torch.zeros(3, 2, 2, ACTION)  # steps, mean and deviation, modes, entries
        outputs[:, 0, 0], outputs[:, 0, 1] = -1.0, 1.0
        policy.head.linear.bias.copy_(outputs.flatten())
        policy.head.logits.weight.zero_()
        policy.head.logits.bias.copy_(torch.tensor([0.25, 0.75]).log())
    torch.manual_seed(0)
    chunks = policy.predict_action_chunk({key: value.expand(2000, -1) for key, value in observation(1).items()})
    above = chunks > 0
    assert above[:, 0, 0].float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert torch.equal(above, above[:, :1, :1].expand_as(above))


def test_acting_puts_the_policy_into_evaluation_and_tracks_no_gradients() -> None:
    for act in ("select_action", "predict_action_chunk"):
        policy = bc_policy().train()
        assert not getattr(policy, act)(observation(2)).requires_grad
        assert not policy.training

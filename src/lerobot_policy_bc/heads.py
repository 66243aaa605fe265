"""From features to actions, and how far they are from the demonstrated ones. As robomimic's policies have it
(robomimic/models/policy_nets.py), but per time step, and over the entries that are data.

Shapes: B samples, S feature vectors each, which predict K actions apiece, S * K = T time steps of A entries; M modes.
An MLP has S = 1 and K = chunk_size, an RNN has S = T and K = 1.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional

from lerobot_policy_bc.configuration_bc import BCConfig

LOW_NOISE_STD = 1e-4
"""Standard deviation around a mode's mean with `low_noise_eval`, robomimic's."""

LARGEST_LOG_STD = math.log(1e4)
"""Where `std_activation: exp` ends, far beyond actions in [-1, 1]: exp overflows."""

DIRECTION_ENTRIES = 3
"""Entries of an action whose direction `cos_weight` is about: in robomimic, the motion of the end effector."""


class Head(nn.Module, ABC):
    """The last layer, and the meaning of what it puts out."""

    def __init__(self, config: BCConfig, width: int, outputs: int) -> None:
        """`width` is F; `outputs` numbers are put out for each action."""
        super().__init__()
        self.config = config
        self.steps = 1 if config.is_recurrent else config.chunk_size
        self.action_dim = config.action_feature.shape[0]
        self.linear = nn.Linear(width, self.steps * outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, S, F) to (B, T, outputs), in single precision: a likelihood needs it, whatever computed the features."""
        return self.linear(features).float().unflatten(2, (self.steps, -1)).flatten(1, 2)

    @abstractmethod
    def errors(self, features: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        """(B, T): the error of each time step, a mean over its valid entries; 0 where none is valid.

        `features` (B, S, F), `action` (B, T, A), `valid` (B, T, A) bool. What `action` has where it is not valid, NaN
        included, moves neither errors nor gradients.
        """

    @abstractmethod
    def sample(self, features: Tensor) -> Tensor:
        """(B, T, A): actions for features (B, S, F)."""


class DeterministicHead(Head):
    """One action, squashed into [-1, 1] by tanh; its loss weighs squared, absolute and directional errors."""

    def __init__(self, config: BCConfig, width: int) -> None:
        super().__init__(config, width, outputs=config.action_feature.shape[0])

    def errors(self, features: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        predicted, action = self.sample(features), torch.where(valid, action, 0.0)
        entries = self.config.l2_weight * functional.mse_loss(predicted, action, reduction="none")
        if self.config.l1_weight > 0:
            entries = entries + self.config.l1_weight * functional.smooth_l1_loss(predicted, action, reduction="none")
        steps = _mean_of_valid(entries, valid)
        if self.config.cos_weight > 0:
            steps = steps + self.config.cos_weight * _direction_errors(predicted, action, valid)
        return steps

    def sample(self, features: Tensor) -> Tensor:
        return self(features).tanh()


class GaussianHead(Head):
    """A normal distribution of each entry; the error is the negative log-likelihood.

    Divided by the number of valid entries, so 1/A of robomimic's where all are: robots of any width weigh alike.
    """

    def __init__(self, config: BCConfig, width: int) -> None:
        super().__init__(config, width, outputs=config.action_feature.shape[0] * (1 if config.fixed_std else 2))

    def errors(self, features: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        likelihood = self._distribution(features).log_prob(torch.where(valid, action, 0.0))
        return _mean_of_valid(-likelihood, valid)

    def sample(self, features: Tensor) -> Tensor:
        distribution = self._distribution(features)
        return distribution.mean if self.config.low_noise_eval else distribution.sample()

    def _distribution(self, features: Tensor) -> Normal:
        """Of each entry: (B, T, A)."""
        outputs = self(features)
        if self.config.fixed_std:
            return Normal(outputs.tanh(), torch.full_like(outputs, self.config.init_std), validate_args=False)
        means, raw = outputs.chunk(2, dim=-1)
        start = _positive(torch.zeros(()), self.config.std_activation).item()
        stds = _positive(raw, self.config.std_activation) * (self.config.init_std / start) + self.config.min_std
        return Normal(means.tanh(), stds, validate_args=False)


class MixtureHead(Head):
    """A mixture of normal distributions; the error is the negative log-likelihood over the number of valid entries.

    A mode is a whole chunk: an MLP chooses once and goes through with it, and a time step's error is its likelihood
    given the steps before it, which together make the likelihood of the chunk. An RNN chooses at every step, as
    robomimic's.
    """

    def __init__(self, config: BCConfig, width: int) -> None:
        super().__init__(config, width, outputs=2 * config.num_modes * config.action_feature.shape[0])
        self.logits = nn.Linear(width, config.num_modes)

    def errors(self, features: Tensor, action: Tensor, valid: Tensor) -> Tensor:
        means, stds, logits = self._mixture(features)
        known = torch.where(valid, action, 0.0).unflatten(1, means.shape[1:3]).unsqueeze(3)  # (B, S, K, 1, A)
        there = valid.unflatten(1, means.shape[1:3]).unsqueeze(3)
        entries = Normal(means, stds, validate_args=False).log_prob(known)
        of_modes = torch.where(there, entries, 0.0).sum(-1)  # (B, S, K, M)
        so_far = functional.pad(of_modes.cumsum(2)[:, :, :-1], (0, 0, 1, 0))  # over the steps before
        chosen = (logits.unsqueeze(2) + so_far).log_softmax(-1)
        likelihood = (chosen + of_modes).logsumexp(-1).flatten(1)
        return torch.where(valid.any(-1), -likelihood / valid.sum(-1).clamp_min(1), 0.0)

    def sample(self, features: Tensor) -> Tensor:
        means, stds, logits = self._mixture(features)
        mode = Categorical(logits=logits).sample()[:, :, None, None, None]
        mode = mode.expand(-1, -1, self.steps, 1, self.action_dim)
        mean = means.gather(3, mode).squeeze(3)
        std = LOW_NOISE_STD if self.config.low_noise_eval else stds.gather(3, mode).squeeze(3)
        return (mean + std * torch.randn_like(mean)).flatten(1, 2)

    def _mixture(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means and standard deviations (B, S, K, M, A), and the modes' logits (B, S, M)."""
        outputs = self(features).unflatten(1, (-1, self.steps)).unflatten(3, (2, -1, self.action_dim))
        means, raw = outputs.unbind(3)
        stds = _positive(raw, self.config.std_activation) + self.config.min_std
        return means.tanh(), stds, self.logits(features).float()


HEADS: dict[str, Callable[[BCConfig, int], Head]] = {
    "gmm": MixtureHead,
    "gaussian": GaussianHead,
    "deterministic": DeterministicHead,
}


def _positive(raw: Tensor, activation: str) -> Tensor:
    return functional.softplus(raw) if activation == "softplus" else raw.clamp(max=LARGEST_LOG_STD).exp()


def _mean_of_valid(entries: Tensor, valid: Tensor) -> Tensor:
    """(B, T, A) to (B, T)."""
    return torch.where(valid, entries, 0.0).sum(-1) / valid.sum(-1).clamp_min(1)


def _direction_errors(predicted: Tensor, action: Tensor, valid: Tensor) -> Tensor:
    """(B, T): 1 - cosine over the valid ones among the first entries; 0 where there are none."""
    there = valid[..., :DIRECTION_ENTRIES]
    first = torch.where(there, predicted[..., :DIRECTION_ENTRIES], 0.0)
    cosine = functional.cosine_similarity(first, action[..., :DIRECTION_ENTRIES], dim=-1)
    return torch.where(there.any(-1), 1 - cosine, 0.0)

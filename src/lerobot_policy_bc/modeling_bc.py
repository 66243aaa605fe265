"""The behaviour-cloning policy: its loss, and how it acts, for any number of environments at once.

Shapes: B samples or environments, T time steps (`config.horizon`), A entries of an action.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor, nn

from lerobot_policy_bc.configuration_bc import BCConfig
from lerobot_policy_bc.heads import HEADS
from lerobot_policy_bc.trunks import MlpTrunk, ObservationEncoder, RecurrentTrunk, RnnState


class BCPolicy(PreTrainedPolicy):
    """Observations to actions, learned from demonstrations alone. Normalization is the processors' part."""

    config_class = BCConfig
    name = "bc"

    def __init__(self, config: BCConfig, **_: Any) -> None:
        """Builds a policy for the features of `config`. Raises ValueError where it cannot take them."""
        super().__init__(config)
        config.validate_features()
        self.encoder = ObservationEncoder(config)
        self.trunk = (RecurrentTrunk if config.is_recurrent else MlpTrunk)(config, self.encoder.width)
        self.head = HEADS[config.head](config, self.trunk.width)
        self.reset()

    def get_optim_params(self) -> Iterator[nn.Parameter]:
        return self.parameters()

    def reset(self) -> None:
        """Forgets what was observed and planned: to be called where episodes begin."""
        self._history: deque[Tensor] = deque(maxlen=self.config.n_obs_steps)
        self._planned: deque[Tensor] = deque()
        self._rnn_state: RnnState | None = None
        self._rnn_steps = 0

    def step_errors(self, batch: dict[str, Tensor], valid: Tensor) -> Tensor:
        """(B, T): the error of each time step over its valid entries, 0 where it has none.

        `batch` is normalized and has observations and `action` (B, T, A); `valid` (B, T, A) bool says which entries of
        the action are data. The rest, NaN included, moves neither errors nor gradients. Noise is never low here.
        """
        action = batch["action"]
        if action.ndim != 3 or action.shape[1] != self.config.horizon:
            expected = (len(action), self.config.horizon, self.head.action_dim)
            raise ValueError(f"bc is trained on `action` of shape {expected}. Got {tuple(action.shape)}.")
        return self.head.errors(self._features(self.encoder(batch)), action, valid)

    def forward(self, batch: dict[str, Tensor], reduction: str = "mean") -> tuple[Tensor, dict[str, float]]:
        """The loss: the mean of `step_errors` over all time steps but those of `action_is_pad` (B, T), if it is given.

        With `reduction="none"` a loss (B,) for each sample, the mean over its own time steps.
        """
        action = batch["action"]
        padded = batch.get("action_is_pad", torch.zeros_like(action[..., 0], dtype=torch.bool))
        errors = self.step_errors(batch, ~padded.unsqueeze(-1).expand_as(action))
        axis = 1 if reduction == "none" else (0, 1)
        loss = errors.sum(axis) / (~padded).sum(axis).clamp_min(1)
        return loss, {"loss": loss.mean().item()}

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        """(B, chunk_size, A): normalized actions from now on, for observations (B, *shape) of now.

        Observations with a time axis are `n_obs_steps` frames that end now. An RNN gives its next action (B, 1, A) and
        moves on by a step; open loop, it gives those of its whole horizon; for a sequence of observations, the actions
        of each, as in training.
        """
        self.eval()
        return self._plan(self.encoder(batch))

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **_: Any) -> Tensor:
        """(B, A): the normalized action for observations (B, *shape), to be called at every step of an episode."""
        self.eval()
        if self.config.n_obs_steps > 1 or not self._planned:
            observed = self.encoder(batch)
            first = not self._history  # an episode's first frame stands for those before it, as in training
            self._history.extend([observed] * (self.config.n_obs_steps if first else 1))
        if not self._planned:
            plan = self._plan(torch.cat(list(self._history), dim=1)).transpose(0, 1)
            self._planned.extend(plan if self.config.is_recurrent else plan[: self.config.n_action_steps])
        return self._planned.popleft()

    def _features(self, observed: Tensor) -> Tensor:
        """Of observations (B, frames, D) as they are trained on."""
        if not self.config.is_recurrent:
            return self.trunk(observed)
        return self.trunk(self._repeated(observed) if self.config.rnn_open_loop else observed)[0]

    def _plan(self, observed: Tensor) -> Tensor:
        """Actions from the frame of the last of `observed` (B, frames, D) on."""
        if not self.config.is_recurrent:
            return self.head.sample(self.trunk(observed.expand(-1, self.config.n_obs_steps, -1)))
        if self.config.rnn_open_loop or observed.shape[1] > 1:
            return self.head.sample(self._features(observed))
        if self._rnn_steps % self.config.rnn_horizon == 0:
            self._rnn_state = None
        features, self._rnn_state = self.trunk(observed, self._rnn_state)
        self._rnn_steps += 1
        return self.head.sample(features)

    def _repeated(self, observed: Tensor) -> Tensor:
        """The first frame of `observed` as all frames of a horizon."""
        return observed[:, :1].expand(-1, self.config.rnn_horizon, -1)

"""From observations to features: the vectors as they are, cameras through a ResNet, then an MLP or an RNN.

Shapes: B samples, T frames, D entries of all observations together, F features.
"""

import copy
import math
from collections.abc import Sequence

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.diffusion.modeling_diffusion import DiffusionRgbEncoder
from torch import Tensor, nn

from lerobot_policy_bc.configuration_bc import BCConfig

RNN_CELLS = {"LSTM": nn.LSTM, "GRU": nn.GRU}

RnnState = Tensor | tuple[Tensor, Tensor]
"""(layers, B, H): the hidden state of a GRU, or the hidden and the cell state of an LSTM."""


class ObservationEncoder(nn.Module):
    """Everything observed in a frame as one vector (D,); D is `width`."""

    def __init__(self, config: BCConfig) -> None:
        super().__init__()
        kinds = (FeatureType.STATE, FeatureType.ENV)
        self._vectors = {key: feature for key, feature in config.input_features.items() if feature.type in kinds}
        self._images = config.image_features
        self.cameras = nn.ModuleList(_camera_encoder(config, key, feature) for key, feature in self._images.items())
        vectors = sum(math.prod(feature.shape) for feature in self._vectors.values())
        self.width = vectors + len(self._images) * 2 * config.spatial_softmax_num_keypoints

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, T, D) of observations (B, T, *shape), or (B, 1, D) of observations without a time axis."""
        parts = [_with_time(batch[key], feature).float().flatten(2) for key, feature in self._vectors.items()]
        for (key, feature), camera in zip(self._images.items(), self.cameras, strict=True):
            images = _with_time(batch[key], feature)
            parts.append(camera(images.flatten(0, 1)).unflatten(0, images.shape[:2]))
        return torch.cat(parts, dim=-1)


class MlpTrunk(nn.Module):
    """All frames the policy sees, side by side, through an MLP."""

    def __init__(self, config: BCConfig, width: int) -> None:
        super().__init__()
        self.mlp = _mlp(width * config.n_obs_steps, config.hidden_dims)
        self.width = config.hidden_dims[-1] if config.hidden_dims else width * config.n_obs_steps

    def forward(self, observed: Tensor) -> Tensor:
        """(B, n_obs_steps, D) to (B, 1, F)."""
        features: Tensor = self.mlp(observed.flatten(1))
        return features.unsqueeze(1)


class RecurrentTrunk(nn.Module):
    """An RNN over the frames, and an MLP on what it puts out at each."""

    def __init__(self, config: BCConfig, width: int) -> None:
        super().__init__()
        self.rnn = RNN_CELLS[str(config.rnn_type)](
            input_size=width,
            hidden_size=config.rnn_hidden_dim,
            num_layers=config.rnn_num_layers,
            bidirectional=config.rnn_bidirectional,
            batch_first=True,
        )
        hidden = config.rnn_hidden_dim * (2 if config.rnn_bidirectional else 1)
        self.mlp = _mlp(hidden, config.hidden_dims)
        self.width = config.hidden_dims[-1] if config.hidden_dims else hidden

    def forward(self, observed: Tensor, state: RnnState | None = None) -> tuple[Tensor, RnnState]:
        """(B, T, D) to (B, T, F), and the state after the last frame; `state` None starts from zeros."""
        outputs, state = self.rnn(observed, state)
        return self.mlp(outputs), state


def _camera_encoder(config: BCConfig, key: str, feature: PolicyFeature) -> DiffusionRgbEncoder:
    """LeRobot's ResNet with spatial softmax, as robomimic's, for images of the size of this camera."""
    one_camera = copy.copy(config)
    one_camera.input_features = {key: feature}
    return DiffusionRgbEncoder(one_camera)


def _with_time(values: Tensor, feature: PolicyFeature) -> Tensor:
    return values.unsqueeze(1) if values.ndim == 1 + len(feature.shape) else values


def _mlp(width: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((width, *hidden), hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)

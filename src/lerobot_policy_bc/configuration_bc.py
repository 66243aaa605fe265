"""The settings of behaviour cloning: names as LeRobot has them, defaults as robomimic's `bc` (config/bc_config.py)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lerobot.configs import FeatureType, NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamConfig, AdamWConfig, OptimizerConfig

from lerobot_policy_bc.schedulers import MultiStepSchedulerConfig

OPTIMIZERS: dict[str, type[OptimizerConfig]] = {"adam": AdamConfig, "adamw": AdamWConfig}


@PreTrainedConfig.register_subclass("bc")
@dataclass
class BCConfig(PreTrainedConfig):
    """Behaviour cloning: observations through an MLP, or an RNN and an MLP, to a distribution of actions.

    Takes every `observation.*` vector and camera, and learns `action` (A,). Raises ValueError for values that make no
    policy, all of them refused before anything is built.
    """

    n_obs_steps: int = 1
    """Frames of observation the MLP sees, the current one last; 1 with an RNN, which remembers by itself."""
    chunk_size: int = 1
    """Actions the MLP predicts at once, the current frame's first; 1 with an RNN."""
    n_action_steps: int = 1
    """Actions of a chunk that are executed before the next is predicted."""
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "VISUAL": NormalizationMode.MEAN_STD,
            "STATE": NormalizationMode.MEAN_STD,
            "ENV": NormalizationMode.MEAN_STD,
            "ACTION": NormalizationMode.MIN_MAX,
        }
    )
    """How each kind of feature is normalized. The heads give means within [-1, 1], so actions should lie in there."""

    hidden_dims: tuple[int, ...] = (1024, 1024)
    """Widths of the MLP's hidden layers, each with a ReLU; with an RNN they come after it. May be empty."""

    head: str = "gmm"
    """What an action is drawn from: gmm (Gaussian mixture), gaussian, or deterministic."""
    num_modes: int = 5
    """Gaussians of the gmm head."""
    min_std: float = 1e-4
    """Smallest standard deviation the gaussian and gmm heads learn, in normalized actions; bounds the likelihood."""
    std_activation: str = "softplus"
    """What makes a standard deviation of the network's output: softplus or exp."""
    low_noise_eval: bool = True
    """Act without the learned noise: the mean of the gaussian head, and of the gmm head's drawn mode (std 1e-4)."""
    init_std: float = 0.1
    """Standard deviation with which the gaussian head starts."""
    fixed_std: bool = False
    """true keeps the gaussian head's standard deviation at init_std."""
    l2_weight: float = 1.0
    """Weight of the squared error in the deterministic head's loss."""
    l1_weight: float = 0.0
    """Weight of the smooth absolute error (Huber, delta 1) in the deterministic head's loss."""
    cos_weight: float = 0.0
    """Weight of 1 - cosine between the first three entries of the actions in the deterministic head's loss."""

    rnn_type: str | None = None
    """LSTM or GRU puts a recurrent network before the MLP; null: none."""
    rnn_hidden_dim: int = 400
    """Width of the RNN's hidden state."""
    rnn_num_layers: int = 2
    """Layers of the RNN."""
    rnn_horizon: int = 10
    """Frames of a training sequence; at run time the hidden state is forgotten after as many steps."""
    rnn_open_loop: bool = False
    """The RNN sees the first observation of each horizon only, in training as at run time."""
    rnn_bidirectional: bool = False
    """The RNN also runs backwards over the horizon; needs rnn_open_loop."""
    pad_sequences: bool = True
    """Sequences may begin anywhere, and end past the episode in padding that costs nothing; false leaves those out."""

    vision_backbone: str = "resnet18"
    """ResNet of torchvision that encodes each camera."""
    pretrained_backbone_weights: str | None = None
    """Weights of torchvision to start from, such as ResNet18_Weights.IMAGENET1K_V1; needs use_group_norm=false."""
    use_group_norm: bool = True
    """Group instead of batch normalization in the backbone."""
    resize_shape: tuple[int, int] | None = None
    """(height, width) that images are resized to before cropping."""
    crop_shape: tuple[int, int] | None = None
    """(height, width) of the crop, random in training where crop_is_random, central otherwise."""
    crop_is_random: bool = True
    """Random crops while training."""
    spatial_softmax_num_keypoints: int = 32
    """Keypoints that a camera's feature map is pooled to; its feature is twice as wide."""

    optimizer_type: str = "adam"
    """adam or adamw."""
    optimizer_lr: float = 1e-4
    """Learning rate at the start."""
    optimizer_weight_decay: float = 0.0
    """L2 regularization (adam) or decoupled weight decay (adamw)."""
    optimizer_grad_clip_norm: float = 10.0
    """Norm that gradients are clipped to; 0 for none."""
    lr_decay_steps: list[int] = field(default_factory=list)
    """Steps at which the learning rate is multiplied by lr_decay_factor; none: a constant rate."""
    lr_decay_factor: float = 0.1
    """What the learning rate is multiplied by at each of lr_decay_steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choices()
        self._check_numbers()
        self._check_combinations()

    @property
    def is_recurrent(self) -> bool:
        return self.rnn_type is not None

    @property
    def horizon(self) -> int:
        """T: time steps of a training sample's actions."""
        return self.rnn_horizon if self.is_recurrent else self.chunk_size

    @property
    def drop_n_last_frames(self) -> int:
        """Frames at an episode's end that start no sample."""
        return 0 if self.pad_sequences else self.horizon - 1

    @property
    def observation_delta_indices(self) -> list[int] | None:
        """Frames of observation relative to the sample's; None: that frame alone, without a time axis."""
        if self.is_recurrent and not self.rnn_open_loop:
            return list(range(self.rnn_horizon))
        return list(range(1 - self.n_obs_steps, 1)) if self.n_obs_steps > 1 else None

    @property
    def action_delta_indices(self) -> list[int]:
        return list(range(self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        return None

    def get_optimizer_preset(self) -> OptimizerConfig:
        return OPTIMIZERS[self.optimizer_type](
            lr=self.optimizer_lr,
            weight_decay=self.optimizer_weight_decay,
            grad_clip_norm=self.optimizer_grad_clip_norm,
        )

    def get_scheduler_preset(self) -> MultiStepSchedulerConfig | None:
        if not self.lr_decay_steps:
            return None
        return MultiStepSchedulerConfig(decay_steps=list(self.lr_decay_steps), decay_factor=self.lr_decay_factor)

    def validate_features(self) -> None:
        """Raises ValueError where the features are none that behaviour cloning can take."""
        if self.action_feature is None or len(self.action_feature.shape) != 1:
            found = self.action_feature.shape if self.action_feature else "none"
            raise ValueError(f"bc learns one vector `action`; found {found} among the outputs.")
        taken = (FeatureType.STATE, FeatureType.ENV, FeatureType.VISUAL)
        if not any(feature.type in taken for feature in (self.input_features or {}).values()):
            raise ValueError("bc needs at least one observation: `observation.state`, another vector, or a camera.")
        for key, feature in self.image_features.items():
            shape = self.resize_shape or tuple(feature.shape[1:])
            if self.crop_shape and (self.crop_shape[0] > shape[0] or self.crop_shape[1] > shape[1]):
                raise ValueError(f"`crop_shape` {self.crop_shape} does not fit into {shape}, the images of `{key}`.")

    def _check_choices(self) -> None:
        _expect_one_of("head", self.head, ("gmm", "gaussian", "deterministic"))
        _expect_one_of("std_activation", self.std_activation, ("softplus", "exp"))
        _expect_one_of("rnn_type", self.rnn_type, (None, "LSTM", "GRU"))
        _expect_one_of("optimizer_type", self.optimizer_type, tuple(OPTIMIZERS))
        if not self.vision_backbone.startswith("resnet"):
            raise ValueError(f"`vision_backbone` must be a ResNet of torchvision. Got {self.vision_backbone!r}.")

    def _check_numbers(self) -> None:
        counts = ("n_obs_steps", "chunk_size", "n_action_steps", "num_modes", "spatial_softmax_num_keypoints")
        for name in (*counts, "rnn_hidden_dim", "rnn_num_layers", "rnn_horizon"):
            _expect(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("min_std", "init_std", "optimizer_lr", "lr_decay_factor"):
            _expect(name, getattr(self, name), getattr(self, name) > 0, "positive")
        weights = ("l2_weight", "l1_weight", "cos_weight")
        for name in (*weights, "optimizer_weight_decay", "optimizer_grad_clip_norm"):
            _expect(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in ("hidden_dims", "lr_decay_steps", "crop_shape", "resize_shape"):
            entries = getattr(self, name) or ()
            _expect(name, entries, all(entry >= 1 for entry in entries), "numbers of at least 1")
        increasing = list(self.lr_decay_steps) == sorted(set(self.lr_decay_steps))
        _expect("lr_decay_steps", self.lr_decay_steps, increasing, "in increasing order")
        if self.head == "deterministic" and not any(getattr(self, name) for name in weights):
            raise ValueError("`l2_weight`, `l1_weight` and `cos_weight` are all 0: there is nothing to learn from.")

    def _check_combinations(self) -> None:
        fits = self.n_action_steps <= self.chunk_size
        _expect("n_action_steps", self.n_action_steps, fits, f"at most `chunk_size`, which is {self.chunk_size}")
        if self.is_recurrent:
            for name in ("n_obs_steps", "chunk_size"):
                advice = "1 with an RNN, whose sequences are `rnn_horizon` long"
                _expect(name, getattr(self, name), getattr(self, name) == 1, advice)
        if self.rnn_bidirectional and not (self.is_recurrent and self.rnn_open_loop):
            raise ValueError(
                "`rnn_bidirectional` needs an `rnn_type` and `rnn_open_loop`: otherwise the backward direction reads "
                "observations that have not been made yet when the robot acts."
            )
        if self.use_group_norm and self.pretrained_backbone_weights:
            raise ValueError("`pretrained_backbone_weights` come with batch normalization: set `use_group_norm=false`.")


def _expect(name: str, found: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"`{name}` must be {expected}. Got {found}.")


def _expect_one_of(name: str, found: Any, allowed: Collection[Any]) -> None:
    listing = ", ".join("null" if value is None else repr(value) for value in allowed)
    _expect(name, repr(found), found in allowed, f"one of {listing}")

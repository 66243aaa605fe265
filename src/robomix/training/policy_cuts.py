"""Which of a policy's weights belong to a robot that has less than the policy has been trained on.

What a robot lacks reaches a policy as zeros: entries at the end of a vector after normalization, the features of a
camera, a token that is left out. A layer that takes zeros needs no columns for them, one that makes what nobody uses
needs no rows. Without them the policy is the same function for that robot.

Parameter names are those of lerobot 0.6.1 and of `lerobot_policy_bc`.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from robomix.errors import ConfigError

STATE = "observation.state"

PADDED_INSIDE = ("smolvla", "pi0", "pi05")
"""Policies that pad vectors to a width of their own: their weights are the same for every robot."""


@dataclass(frozen=True)
class Cuts:
    """How the parameters of a robot's policy come from those of the shared one."""

    kept: tuple[tuple[str, int, list[int]], ...] = ()
    """Pattern of a parameter's whole name, axis, and the positions along it that stay."""
    moved: tuple[tuple[str, str], ...] = ()
    """Start of a name in the robot's policy, to what it is in the shared one."""

    def plan(self, shared: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> "Plan":
        """Raises ConfigError where a parameter of `own` would not come out in its shape."""
        steps = {}
        for name, wanted in own.items():
            origin = next((new + name[len(old) :] for old, new in self.moved if name.startswith(old)), name)
            found = tuple(shared[origin].shape) if origin in shared else ()
            kept = [(axis, places) for pattern, axis, places in self.kept if re.fullmatch(pattern, name)]
            cuts = [(axis, torch.tensor(places)) for axis, places in kept if found and len(places) < found[axis]]
            made = list(found)
            for axis, places in cuts:
                made[axis] = len(places)
            if origin not in shared or tuple(made) != tuple(wanted.shape):
                raise ConfigError(
                    f"there is no rule that makes {name!r} of shape {tuple(wanted.shape)}, as this robot needs it, of "
                    f"{found if origin in shared else 'nothing'} in the trained policy."
                )
            steps[name] = (origin, tuple(cuts))
        return Plan(steps)


@dataclass(frozen=True)
class Plan:
    """Cuts, looked up for each parameter."""

    steps: Mapping[str, tuple[str, tuple[tuple[int, Tensor], ...]]]
    """Name in the robot's policy to the shared one's, and (axis, kept positions) to be cut."""

    def __call__(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The robot's parameters; those that are whole are the shared ones themselves. Gradients flow back."""
        made = {}
        for name, (origin, cuts) in self.steps.items():
            made[name] = shared[origin]
            for axis, kept in cuts:
                made[name] = made[name].index_select(axis, kept.to(made[name].device))
        return made


def has_cuts(kind: str) -> bool:
    """Whether a policy of this type can be cut to a robot."""
    return kind in PADDED_INSIDE or kind in _CUTS


def cuts_of(shared: Any, own: Any) -> Cuts:
    """The cuts from a policy of config `shared` to one of config `own`, whose features are some of it or narrower.

    Both name their features alike. Raises ConfigError for a policy type without a rule.
    """
    if not has_cuts(shared.type):
        raise ConfigError(
            f"a policy of type {shared.type!r} cannot be cut to one robot: there are rules for "
            f"{', '.join((*_CUTS, *PADDED_INSIDE))}."
        )
    return Cuts() if shared.type in PADDED_INSIDE else _CUTS[shared.type](shared, own)


def indispensable(config: Any, own: Collection[str]) -> set[str]:
    """Inputs of a policy that must stay although the robot lacks them, and has only `own`: they will be zeros.

    LeRobot's policies need a state; all but bc need something beside it. Policies that pad inside were shown zeros.
    """
    kinds = {key: feature.type.name for key, feature in config.input_features.items()}
    if config.type in PADDED_INSIDE or not own:
        return set(kinds)
    if config.type == "bc":
        return set()
    beside = {key for key, kind in kinds.items() if kind in ("VISUAL", "ENV")}
    return {STATE} & kinds.keys() | (set() if beside.intersection(own) else beside)


def _act(shared: Any, own: Any) -> Cuts:
    state, env = range(_width(own.robot_state_feature)), range(_width(own.env_state_feature))
    action = range(_width(own.action_feature))
    there = [shared.robot_state_feature is not None, shared.env_state_feature is not None]
    stays = [own.robot_state_feature is not None, own.env_state_feature is not None]
    tokens = [0, *(1 + i for i, kept in enumerate(k for k, t in zip(stays, there, strict=True) if t) if kept)]
    return Cuts(
        (
            (r"model\.(vae_)?encoder_robot_state_input_proj\.weight", 1, [*state]),
            (r"model\.encoder_env_state_input_proj\.weight", 1, [*env]),
            (r"model\.vae_encoder_action_input_proj\.weight", 1, [*action]),
            (r"model\.encoder_1d_feature_pos_embed\.weight", 0, tokens),  # latent, state, environment
            (r"model\.action_head\.(weight|bias)", 0, [*action]),
        )
    )


def _diffusion(shared: Any, own: Any) -> Cuts:
    camera = 2 * shared.spatial_softmax_num_keypoints
    cameras = [(key, camera) for key in shared.image_features]
    env = [(key, _width(ft)) for key, ft in shared.input_features.items() if ft.type.name == "ENV"]
    frame = [(STATE, _width(shared.robot_state_feature)), *cameras, *env]
    observed = _in_frames(frame, _widths(own, camera), shared.n_obs_steps)
    step = shared.diffusion_step_embed_dim
    condition = [*range(step), *(step + i for i in observed)]
    action = [*range(_width(own.action_feature))]
    unet = r"diffusion\.unet\."
    separate = shared.image_features if shared.use_separate_rgb_encoder_per_camera else ()
    return Cuts(
        (
            (unet + r".*\.cond_encoder\.1\.weight", 1, condition),
            (unet + r"down_modules\.0\.0\.(conv1\.block\.0|residual_conv)\.weight", 1, action),
            (unet + r"final_conv\.1\.(weight|bias)", 0, action),
        ),
        _moved("diffusion.rgb_encoder", separate, own.image_features),
    )


def _bc(shared: Any, own: Any) -> Cuts:
    camera = 2 * shared.spatial_softmax_num_keypoints
    vectors = [(key, _width(ft)) for key, ft in shared.input_features.items() if ft.type.name in ("STATE", "ENV")]
    frame = [*vectors, *((key, camera) for key in shared.image_features)]
    frames = 1 if shared.is_recurrent else shared.n_obs_steps
    observed = _in_frames(frame, _widths(own, camera), frames)
    first = r"trunk\.mlp\.0\.weight" if shared.hidden_dims else r"head\.(linear|logits)\.weight"
    if shared.is_recurrent:
        first = r"trunk\.rnn\.weight_ih_l0(_reverse)?"
    per_action = {"deterministic": 1, "gaussian": 1 if shared.fixed_std else 2, "gmm": 2 * shared.num_modes}
    action = _width(shared.action_feature)
    outputs = (1 if shared.is_recurrent else shared.chunk_size) * per_action[shared.head]
    rows = [i * action + j for i in range(outputs) for j in range(_width(own.action_feature))]
    return Cuts(
        ((first, 1, observed), (r"head\.linear\.(weight|bias)", 0, rows)),
        _moved("encoder.cameras", shared.image_features, own.image_features),
    )


_CUTS: dict[str, Callable[[Any, Any], Cuts]] = {"act": _act, "diffusion": _diffusion, "bc": _bc}


def _width(feature: Any) -> int:
    return 0 if feature is None else math.prod(feature.shape)


def _widths(config: Any, camera: int) -> dict[str, int]:
    """How many entries each input of `config` has in a frame's features."""
    visual = config.image_features
    return {key: camera if key in visual else _width(feature) for key, feature in config.input_features.items()}


def _in_frames(parts: Iterable[tuple[str, int]], own: Mapping[str, int], frames: int) -> list[int]:
    """Positions of what `own` has, by width, in `frames` frames side by side, each of `parts` side by side."""
    kept: list[int] = []
    width = 0
    for key, entries in parts:
        kept += range(width, width + own.get(key, 0))
        width += entries
    return [t * width + i for t in range(frames) for i in kept]


def _moved(modules: str, shared: Iterable[str], own: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Encoders in a list, one for each camera, are numbered anew."""
    places = {key: i for i, key in enumerate(shared)}
    return tuple((f"{modules}.{i}.", f"{modules}.{places[key]}.") for i, key in enumerate(own) if key in places)

"""Which of a policy's weights belong to a robot that has less than the policy has been trained on.

What a robot lacks reaches a policy as zeros: entries at the end of a vector after normalization, the features of a
camera, a token that is left out. A layer that takes zeros needs no columns for them, one that makes what nobody uses
needs no rows. Entries that tell which robot it is, in front of the state, are the same in all of its samples: what a
layer makes of them belongs into its bias. So the policy is the same function for that robot.

Parameter names are those of lerobot 0.6.1 and of `lerobot_policy_bc`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robomix.errors import ConfigError
from robomix.features import STATE
from robomix.training.cuts import Cuts

TELLING = "condition"
"""Stands for the entries in front of the state among the parts of a frame."""

PADDED_INSIDE = ("smolvla", "pi0", "pi05")
"""Policies that pad vectors to a width of their own: their weights are the same for every robot."""


def has_cuts(kind: str) -> bool:
    """Whether a policy of this type can be cut to a robot."""
    return kind in PADDED_INSIDE or kind in _CUTS


def cuts_of(shared: Any, own: Any, in_front: Sequence[float] = ()) -> Cuts:
    """The cuts from a policy of config `shared` to one of config `own`, whose features are some of it or narrower.

    Both name their features alike. `in_front` of the own state, the shared policy always sees these entries, which the
    own one does not. Raises ConfigError for a policy type without a rule.
    """
    if not has_cuts(shared.type):
        raise ConfigError(
            f"a policy of type {shared.type!r} cannot be cut to one robot: there are rules for "
            f"{', '.join((*_CUTS, *PADDED_INSIDE))}."
        )
    return Cuts() if shared.type in PADDED_INSIDE else _CUTS[shared.type](shared, own, list(in_front))


def indispensable(config: Any, own: Collection[str]) -> set[str]:
    """Inputs of a policy that must stay although the robot lacks them, and has only `own`: they will be zeros.

    LeRobot's policies need a state; all but bc and multi_task_dit need something beside it, and those that pad inside
    a camera: of several they can do without some.
    """
    kinds = {key: feature.type.name for key, feature in config.input_features.items()}
    if not own:
        return set(kinds)
    if config.type == "bc":
        return set()
    if config.type == "multi_task_dit":  # it has the task to go by
        return {STATE} & kinds.keys()
    sights = ("VISUAL",) if config.type in PADDED_INSIDE else ("VISUAL", "ENV")
    beside = {key for key, kind in kinds.items() if kind in sights}
    return {STATE} & kinds.keys() | (set() if beside.intersection(own) else beside)


def masked_cameras(kind: str, cameras: Collection[str], there: Collection[str]) -> set[str]:
    """Of the `cameras` of a policy of type `kind`, those to leave out of an observation that has only `there`.

    The policy masks them then; given as zeros they would be black pictures to it. Most policies need all of theirs, and
    every one needs one.
    """
    if kind not in PADDED_INSIDE or not set(cameras).intersection(there):
        return set()
    return set(cameras).difference(there)


def _act(shared: Any, own: Any, front: list[float]) -> Cuts:
    told = len(front)
    state, env = range(told, told + _width(own.robot_state_feature)), range(_width(own.env_state_feature))
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
        ),
        folded=((r"model\.(vae_)?encoder_robot_state_input_proj\.weight", [*range(told)], front),),
    )


def _diffusion(shared: Any, own: Any, front: list[float]) -> Cuts:
    camera = 2 * shared.spatial_softmax_num_keypoints
    cameras = [(key, camera) for key in shared.image_features]
    env = [(key, _width(ft)) for key, ft in shared.input_features.items() if ft.type.name == "ENV"]
    frame = [*_state(shared, front), *cameras, *env]
    observed = _in_frames(frame, _widths(own, camera), shared.n_obs_steps)
    told = _in_frames(frame, {TELLING: len(front)}, shared.n_obs_steps)
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
        ((unet + r".*\.cond_encoder\.1\.weight", [step + i for i in told], _seen(front, shared, functional.mish)),),
    )


def _multi_task_dit(shared: Any, own: Any, front: list[float]) -> Cuts:
    camera = _clip_width(shared) if shared.image_features else 0
    frame = [*_state(shared, front), *((key, camera) for key in shared.image_features), ("text", shared.hidden_dim)]
    observed = _in_frames(frame, _widths(own, camera) | {"text": shared.hidden_dim}, shared.n_obs_steps)
    told = _in_frames(frame, {TELLING: len(front)}, shared.n_obs_steps)
    modulation = r"noise_predictor\..*\.adaLN_modulation\.1\.weight"
    step = shared.timestep_embed_dim
    action = [*range(_width(own.action_feature))]
    separate = shared.image_features if shared.use_separate_rgb_encoder_per_camera else ()
    return Cuts(
        (
            (modulation, 1, [*range(step), *(step + i for i in observed)]),
            (r"noise_predictor\.input_proj\.weight", 1, action),
            (r"noise_predictor\.output_proj\.(weight|bias)", 0, action),
        ),
        _moved("observation_encoder.vision_encoders", separate, own.image_features),
        ((modulation, [step + i for i in told], _seen(front, shared, functional.silu)),),
    )


def _clip_width(config: Any) -> int:
    """How many entries the features of a picture have: of the model that the policy itself loads by this name."""
    from transformers import CLIPVisionConfig  # takes seconds, and only this policy needs it

    width: int = CLIPVisionConfig.from_pretrained(config.vision_encoder_name).hidden_size
    return width


def _bc(shared: Any, own: Any, front: list[float]) -> Cuts:
    camera = 2 * shared.spatial_softmax_num_keypoints
    vectors = [(key, _width(ft)) for key, ft in shared.input_features.items() if ft.type.name in ("STATE", "ENV")]
    parts = [part for one in vectors for part in (_state(shared, front) if one[0] == STATE else [one])]
    frame = [*parts, *((key, camera) for key in shared.image_features)]
    frames = 1 if shared.is_recurrent else shared.n_obs_steps
    observed = _in_frames(frame, _widths(own, camera), frames)
    told = _in_frames(frame, {TELLING: len(front)}, frames)
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
        ((first, told, front * frames),),
    )


_CUTS: dict[str, Callable[[Any, Any, list[float]], Cuts]] = {
    "act": _act,
    "diffusion": _diffusion,
    "multi_task_dit": _multi_task_dit,
    "bc": _bc,
}


def _width(feature: Any) -> int:
    return 0 if feature is None else math.prod(feature.shape)


def _widths(config: Any, camera: int) -> dict[str, int]:
    """How many entries each input of `config` has in a frame's features."""
    visual = config.image_features
    return {key: camera if key in visual else _width(feature) for key, feature in config.input_features.items()}


def _state(shared: Any, front: list[float]) -> list[tuple[str, int]]:
    """The parts of a state: the entries in front, and the rest."""
    return [(TELLING, len(front)), (STATE, _width(shared.robot_state_feature) - len(front))]


def _seen(front: list[float], shared: Any, activation: Callable[[Tensor], Tensor]) -> list[float]:
    """What a layer after `activation` gets of `front`, in each of the frames that a policy looks at."""
    made: list[float] = activation(torch.tensor(front)).tolist()
    return made * shared.n_obs_steps


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

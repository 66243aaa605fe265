"""robomimic's algorithm `bc` as the `policy` block of a training, `{type: bc, ...}`: keys of `algo`, and of `train`
and `observation.encoder` where they are about the network. Defaults are those of robomimic's `config/bc_config.py`.
"""

from typing import Any, Literal

from robomix.training.robomimic.inputs import Inputs
from robomix.training.robomimic.keys import RobomimicKeys

ANOTHER = "--policy.type=act (diffusion, ...) trains a policy of LeRobot's on the same data."
"""What to do where bc is not enough."""

_RNN = "algo.rnn"
_LEARNING_RATE = "algo.optim_params.policy.learning_rate"
_CAMERA = "observation.encoder.rgb"
_ACTION_NORMALIZATION = {None: "IDENTITY", "min_max": "MIN_MAX", "gaussian": "MEAN_STD"}


def take_policy(keys: RobomimicKeys, inputs: Inputs) -> dict[str, Any]:
    """The `policy` block, but for what is counted in epochs; what robomix's policy cannot do is in `keys.problems`."""
    for kind in ("vae", "transformer"):
        if keys.is_on(f"algo.{kind}.enabled", False):
            has = "robomix's bc has an MLP, algo.rnn, algo.gaussian and algo.gmm."
            keys.wrong(f"algo.{kind}.enabled", True, "false", f"Not supported: {has} {ANOTHER}")
    block = {"type": "bc", "chunk_size": 1, "n_action_steps": 1}
    block["hidden_dims"] = keys.take("algo.actor_layer_dims", list[int], [1024, 1024])
    block |= _optimizer(keys) | _normalization(keys, inputs)
    block |= _sequences(keys)
    block |= _head(keys, recurrent="rnn_type" in block)
    _check_encoders(keys, inputs)
    return block | (_camera(keys) if inputs.cameras else {})


def take_decay(keys: RobomimicKeys, epoch: int) -> dict[str, Any]:
    """When the learning rate falls; `epoch` is how many steps an epoch has."""
    kind = keys.take(f"{_LEARNING_RATE}.scheduler_type", str, "multistep")
    epochs = keys.take(f"{_LEARNING_RATE}.epoch_schedule", list[int], [])
    factor = keys.take(f"{_LEARNING_RATE}.decay_factor", float, 0.1)
    if kind != "multistep" and not (kind == "linear" and not epochs):  # robomimic's linear without epochs is constant
        place = f"{_LEARNING_RATE}.scheduler_type"
        keys.wrong(place, kind, "'multistep'", f"Not supported: robomix's bc has no other schedule. {ANOTHER}")
    if any(number < 1 for number in epochs) or sorted(set(epochs)) != epochs:
        keys.wrong(f"{_LEARNING_RATE}.epoch_schedule", epochs, "numbers of epochs, 1 or more, rising")
    return {"lr_decay_factor": factor, "lr_decay_steps": [number * epoch for number in epochs]}


def _optimizer(keys: RobomimicKeys) -> dict[str, Any]:
    kinds = Literal["adam", "adamw"]
    clip = keys.take("train.max_grad_norm", float | None, None, least=0)
    return {
        "optimizer_type": keys.take("algo.optim_params.policy.optimizer_type", kinds, "adam"),
        "optimizer_lr": keys.take(f"{_LEARNING_RATE}.initial", float, 1e-4),
        "optimizer_weight_decay": keys.take("algo.optim_params.policy.regularization.L2", float, 0.0, least=0),
        "optimizer_grad_clip_norm": 0.0 if clip is None else clip,
    }


def _head(keys: RobomimicKeys, *, recurrent: bool) -> dict[str, Any]:
    """One of the three distributions of actions. The loss weights belong to the deterministic one."""
    gaussian, gmm = (keys.is_on(f"algo.{kind}.enabled", False) for kind in ("gaussian", "gmm"))
    if gaussian and (gmm or recurrent):
        beside = "gmm" if gmm else "rnn, where robomimic would not use it"
        keys.wrong("algo.gaussian.enabled", True, f"false beside {beside}", "Turn one of them off.")
    if not gaussian and not gmm:
        return {"head": "deterministic"} | {
            f"{kind}_weight": keys.take(f"algo.loss.{kind}_weight", float, default, least=0)
            for kind, default in (("l2", 1.0), ("l1", 0.0), ("cos", 0.0))
        }
    kind = "gmm" if gmm else "gaussian"
    activations = Literal["softplus", "exp"]
    head = {
        "head": kind,
        "min_std": keys.take(f"algo.{kind}.min_std", float, 1e-4 if gmm else 0.01),
        "std_activation": keys.take(f"algo.{kind}.std_activation", activations, "softplus"),
        "low_noise_eval": keys.take(f"algo.{kind}.low_noise_eval", bool, True),
    }
    if gmm:
        return head | {"num_modes": keys.take("algo.gmm.num_modes", int, 5, least=1)}
    fixed = keys.take("algo.gaussian.fixed_std", bool, False)
    return head | {"fixed_std": fixed, "init_std": keys.take("algo.gaussian.init_std", float, 0.1)}


def _sequences(keys: RobomimicKeys) -> dict[str, Any]:
    """Frames a sample holds: some before it for `frame_stack`, some after it for a recurrent policy."""
    stack = keys.take("train.frame_stack", int, 1, least=1)
    length = keys.take("train.seq_length", int, 1, least=1)
    padded = keys.take("train.pad_seq_length", bool, True)
    if stack > 1:
        keys.expect("train.pad_frame_stack", (True,), "every frame starts a sample, the first ones repeat their frame")
    else:
        keys.skip("train.pad_frame_stack", (True, False))  # nothing to pad
    block: dict[str, Any] = {"n_obs_steps": stack}
    if not keys.is_on(f"{_RNN}.enabled", False):
        if not padded and length > 1:
            why = f"without algo.rnn one of the {length} steps is used, and every frame starts a sample"
            keys.wrong("train.pad_seq_length", False, "true", f"Not supported: {why}.")
        return block
    horizon = keys.take(f"{_RNN}.horizon", int, 10, least=1)
    if length != horizon:
        fix = "robomix's bc is trained on as many steps as it remembers; make them equal."
        keys.wrong("train.seq_length", length, f"{horizon}, as algo.rnn.horizon", fix)
    if stack > 1:
        keys.wrong("train.frame_stack", stack, "1 with algo.rnn, which remembers by itself")
    return block | {
        "pad_sequences": padded,
        "rnn_type": keys.take(f"{_RNN}.rnn_type", Literal["LSTM", "GRU"], "LSTM"),
        "rnn_horizon": horizon,
        "rnn_hidden_dim": keys.take(f"{_RNN}.hidden_dim", int, 400, least=1),
        "rnn_num_layers": keys.take(f"{_RNN}.num_layers", int, 2, least=1),
        "rnn_open_loop": keys.take(f"{_RNN}.open_loop", bool, False),
        "rnn_bidirectional": keys.take(f"{_RNN}.kwargs.bidirectional", bool, False),
    }


def _normalization(keys: RobomimicKeys, inputs: Inputs) -> dict[str, Any]:
    """Observations are normalized by mean and deviation or not at all; actions as `train.action_config` says."""
    observed = "MEAN_STD" if keys.take("train.hdf5_normalize_obs", bool, False) else "IDENTITY"
    modes = []
    for name in inputs.actions:
        place = ("train", "action_config", name)
        kinds = Literal["min_max", "gaussian"] | None
        modes.append(_ACTION_NORMALIZATION[keys.take((*place, "normalization"), kinds, None)])
        why = "a `rotation` step does that in a mixture file"
        keys.expect((*place, "rot_conversion"), (None,), why)
    if len(set(modes)) > 1:
        fix = "The actions of robomix's bc are normalized in one way; give all the same."
        keys.wrong("train.action_config", modes, "one kind of normalization", fix)
    action = modes[0] if modes else "IDENTITY"
    return {"normalization_mapping": dict.fromkeys(("STATE", "ENV", "VISUAL"), observed) | {"ACTION": action}}


def _check_encoders(keys: RobomimicKeys, inputs: Inputs) -> None:
    """Vectors go into the network as they are."""
    if inputs.low_dim:
        for name in ("core_class", "obs_randomizer_class"):
            keys.expect(f"observation.encoder.low_dim.{name}", (None,), "robomix's bc takes vectors as they are")
        for name in ("core_kwargs", "obs_randomizer_kwargs"):
            keys.skip(f"observation.encoder.low_dim.{name}", ({},))


def _camera(keys: RobomimicKeys) -> dict[str, Any]:
    """A ResNet18 with spatial softmax, on random crops if asked for: VisualCore as robomimic's templates have it."""
    core = f"{_CAMERA}.core_kwargs"
    why = f"robomix's bc sees with a ResNet18 and spatial softmax. {ANOTHER}"
    keys.expect(f"{_CAMERA}.core_class", ("VisualCore",), why)
    keys.expect(f"{core}.backbone_class", ("ResNet18Conv",), why)
    keys.expect(f"{core}.pool_class", ("SpatialSoftmax",), why)
    keys.expect(f"{core}.flatten", (True,), why)
    keys.expect(f"{core}.backbone_kwargs.input_coord_conv", (False,), why)
    for name, nothing in (("learnable_temperature", False), ("temperature", 1.0), ("noise_std", 0.0)):
        keys.expect(f"{core}.pool_kwargs.{name}", (nothing, int(nothing)), why)
    keys.expect(f"{core}.pool_kwargs.output_variance", (False,), why)
    pretrained = keys.take(f"{core}.backbone_kwargs.pretrained", bool, False)
    block = {
        "vision_backbone": "resnet18",
        "pretrained_backbone_weights": "ResNet18_Weights.IMAGENET1K_V1" if pretrained else None,
        "use_group_norm": not pretrained,
        "spatial_softmax_num_keypoints": keys.take(f"{core}.pool_kwargs.num_kp", int, 32, least=1),
    }
    return block | _crop(keys)


def _crop(keys: RobomimicKeys) -> dict[str, Any]:
    kind = keys.take(f"{_CAMERA}.obs_randomizer_class", Literal["CropRandomizer"] | None, None)
    if kind is None:
        return {"crop_shape": None}
    crop = f"{_CAMERA}.obs_randomizer_kwargs"
    shape = [keys.take(f"{crop}.crop_{side}", int, 76, least=1) for side in ("height", "width")]
    keys.expect(f"{crop}.num_crops", (1,), "robomix's bc sees one crop of a picture")
    keys.expect(f"{crop}.pos_enc", (False,), "robomix's bc adds no encoding of the place")
    return {"crop_shape": shape, "crop_is_random": True}

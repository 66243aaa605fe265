"""The policy of one robot out of the one that all robots share: its own features, the same function.

`policy_of_robot` makes it for checkpoints and evaluations. `RobotViews` makes a training see it: samples of robots that
lack a camera or a vector go through the policy without it, not through one that is shown zeros in its place.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from robomix.errors import ConfigError
from robomix.features import STATE, Feature
from robomix.statistics.compute import Stats
from robomix.training.cuts import Plan
from robomix.training.lerobot import PolicyFeature
from robomix.training.policy_cuts import PADDED_INSIDE, cuts_of, indispensable
from robomix.training.robots import Robot
from robomix.training.told_inside import told_inside

ROBOT_INDEX = "robot_index"
"""(B,) int64 in a batch of several robots: the position of each sample's robot."""
ABSENT = "action_dim_is_absent"
"""(B, A) bool in a batch of several robots: action entries that the sample's robot does not have."""


def policy_of_robot(policy: Any, robot: Robot) -> Any:
    """A policy like `policy` that takes and gives what `robot` has, by the robot's names; weights are shared, not
    copied, where nothing is cut from them.

    Raises ConfigError where the policy has no room for the robot, or its type no rule for being cut.
    """
    own = robot_config(policy.config, robot)
    if policy.config.type in PADDED_INSIDE:
        made = told_inside(policy, robot.in_front) if robot.in_front else copy.copy(policy)  # the same modules
        made.config = own
        made.reset()
        return made
    same_names = robot_config(policy.config, robot, rename=False)
    return _cut(policy, same_names, own, robot.in_front)[0]


def robot_config(config: Any, robot: Robot, *, rename: bool = True) -> Any:
    """The config of a policy of config `config` for `robot` alone. Raises ConfigError where it has no room for it."""
    inputs, action = own_inputs(config, robot), config.action_feature
    if robot.in_front:
        config = _untold(config, len(robot.in_front))
    own = copy.copy(config)
    own.input_features = {
        robot.renamed(key) if rename else key: _fitted(key, config.input_features[key], robot, config.type)
        for key in inputs
    }
    own.output_features = config.output_features | {"action": _fitted("action", action, robot, config.type)}
    return own


def own_inputs(config: Any, robot: Robot) -> list[str]:
    """Of the inputs of a policy, by the mixture's names, those it keeps for `robot`."""
    own = {key for key in config.input_features if key in robot.features or key in robot.given}
    own |= indispensable(config, own)
    return [key for key in config.input_features if key in own]


def stats_of_robot(stats: Stats, robot: Robot) -> Stats:
    """`stats` over a mixture, as wide as `robot` and by its names."""
    made = {}
    for key, of_key in stats.items():
        feature, front = robot.features.get(key), len(robot.in_front) if key == STATE else 0
        end = front + feature.shape[0] if feature is not None and feature.is_vector else None
        made[robot.renamed(key)] = {n: v if n == "count" else v[front:end] for n, v in of_key.items()}
    return made


def zero_inputs(config: Any, robot: Robot) -> list[str]:
    """The inputs that a policy keeps although `robot` has no such thing: they are zeros."""
    return [key for key in own_inputs(config, robot) if key not in robot.features and key not in robot.given]


def own_widths(config: Any, robots: Sequence[Robot]) -> dict[str, Tensor]:
    """(R,) int64 by vector: how many of its entries are not padding for each of `robots`, with those in front.

    Of the vectors that a policy of config `config` takes or gives, those of which some robot has less than the policy.
    The `zero_inputs` count as whole: a robot's own policy is given these zeros, and normalizes them.
    """
    features = {**config.input_features, "action": config.action_feature}
    made = {}
    for key, feature in features.items():
        widths = [_own_width(config, robot, key) for robot in robots]
        whole = math.prod(feature.shape)
        if any(width is not None and width < whole for width in widths):
            made[key] = torch.tensor([whole if width is None else width for width in widths])
    return made


def _own_width(config: Any, robot: Robot, key: str) -> int | None:
    """Entries of the vector `key` up to where padding begins for `robot`; None where nothing of it is padding, or where
    the robot's samples go through the policy without it.
    """
    own, front = robot.features.get(key), len(robot.in_front) if key == STATE else 0
    if own is not None:
        return front + own.shape[0] if own.is_vector else None
    return front if front and key not in own_inputs(config, robot) else None


def lacking_notes(config: Any, robot: Robot) -> list[str]:
    """A sentence for each of the `zero_inputs`."""
    kept = zero_inputs(config, robot)
    return [f"The robot has no {key!r}, and {config.type} cannot do without: it was trained on zeros." for key in kept]


class RobotViews:
    """The policy as robots with different observations see it."""

    def __init__(self, policy: Any, robots: Sequence[Robot]) -> None:
        """`robots` in the order of `ROBOT_INDEX`. Raises ConfigError as `policy_of_robot` does."""
        config = policy.config
        self._width = config.action_feature.shape[0]
        self._widths = torch.tensor([robot.features["action"].shape[0] for robot in robots])
        kept = [_seen_inputs(config, robot) for robot in robots]
        distinct = list(dict.fromkeys(kept))
        self._view_of = torch.tensor([distinct.index(keys) for keys in kept])
        self._views = [_View(policy, keys) for keys in distinct]

    def absent(self, robot: Tensor) -> Tensor:
        """(B, A) bool for robots (B,)."""
        return torch.arange(self._width, device=robot.device) >= self._widths.to(robot.device)[robot].unsqueeze(1)

    def of_samples(self, robot: Tensor) -> list[tuple["_View", Tensor]]:
        """The views that see samples of robots (B,), and the positions of these samples."""
        view = self._view_of.to(robot.device)[robot]
        return [(self._views[i], torch.nonzero(view == i).squeeze(1)) for i in view.unique().tolist()]


class _View:
    """A policy without some of its inputs, on the weights of the whole."""

    def __init__(self, policy: Any, keys: Sequence[str]) -> None:
        self._left_out = [key for key in policy.config.input_features if key not in keys]
        self._plan: Plan | None = None
        self._shell: Any = None
        if self._left_out and policy.config.type not in PADDED_INSIDE:
            config = copy.copy(policy.config)
            config.input_features = {key: policy.config.input_features[key] for key in keys}
            self._shell, self._plan = _cut(policy, config, config)

    def __call__(
        self, function: Callable[..., Any], policy: Any, batch: Mapping[str, Any], rows: Tensor, *more: Tensor
    ) -> Any:
        """`function(policy, batch, *more)` of this view of `policy`, for the samples `rows` of batch and `more`."""
        own = {key: _rows(value, rows) for key, value in batch.items() if key not in self._left_out}
        given = [_rows(value, rows) for value in more]
        if self._plan is None:
            return function(policy, own, *given)
        call = _Call(self._shell, function)
        call.train(policy.training)
        weights = self._plan(_tensors(policy))
        named = {f"policy.{name}": value for name, value in weights.items()}
        return torch.func.functional_call(call, named, (own, *given))


class _Call(nn.Module):
    """A function of a policy as a module, for torch to put other weights into."""

    def __init__(self, policy: Any, function: Callable[..., Any]) -> None:
        super().__init__()
        self.policy = policy
        self._function = function

    def forward(self, *arguments: Any) -> Any:
        return self._function(self.policy, *arguments)


def _seen_inputs(config: Any, robot: Robot) -> tuple[str, ...]:
    """The inputs that take part when `robot`'s samples are trained on: its own, and what tells which robot it is."""
    own = own_inputs(config, robot)
    return tuple(key for key in config.input_features if key in own or (robot.in_front and key == STATE))


def _untold(config: Any, front: int) -> Any:
    """`config` with a state without the first `front` entries."""
    state = config.input_features[STATE]
    own = copy.copy(config)
    own.input_features = config.input_features | {
        STATE: PolicyFeature(type=state.type, shape=(state.shape[0] - front, *state.shape[1:]))
    }
    return own


def _cut(policy: Any, same_names: Any, config: Any, in_front: Sequence[float] = ()) -> tuple[Any, Plan]:
    """A policy of `config` on the weights of `policy`, and how they were cut; `same_names`: by the old names.

    `in_front` of the state are entries that the shared policy always sees for this robot, and the robot's does not.
    """
    cuts = cuts_of(policy.config, same_names, in_front)
    scratch = copy.copy(config)
    for name in ("pretrained_backbone_weights", "pretrained_path"):
        if hasattr(scratch, name):
            setattr(scratch, name, None)  # nothing is to be loaded
    try:
        with torch.random.fork_rng(devices=[]):
            made = type(policy)(scratch)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"a policy of type {config.type!r} cannot be built for this robot alone: {error}") from error
    plan = cuts.plan(_tensors(policy), _tensors(made))
    weights = {name: tensor.detach() for name, tensor in plan(_tensors(policy)).items()}
    made.load_state_dict(weights, assign=True)
    made.to(next(policy.parameters()).device)  # buffers that are not among the weights
    made.config.pretrained_path = config.pretrained_path
    made.train(policy.training)
    return made, plan


def _tensors(policy: Any) -> dict[str, Tensor]:
    """All parameters and buffers, by name."""
    return dict(policy.state_dict(keep_vars=True))


def _rows(value: Any, rows: Tensor) -> Any:
    if torch.is_tensor(value) and value.ndim:
        return value[rows] if len(rows) < len(value) else value
    return [value[i] for i in rows.tolist()] if isinstance(value, list) else value


def _fitted(key: str, feature: Any, robot: Robot, kind: str) -> Any:
    """`feature` of a policy as `robot` has it."""
    own: Feature | None = robot.features.get(key)
    if own is None:
        return feature
    shape, shared = own.shape or (1,), tuple(feature.shape)
    if kind in PADDED_INSIDE or shape == shared or (own.is_vector and len(shared) == 1 and shape <= shared):
        return PolicyFeature(type=feature.type, shape=shape)
    raise ConfigError(
        f"the robot {robot.group!r} has {key!r} of shape {shape}, the policy was trained with {shared}. Cameras must "
        "have the size they were trained with (transforms: resize_images), vectors at most that width."
    )

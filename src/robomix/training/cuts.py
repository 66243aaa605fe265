"""How the weights of one robot's policy are made of those of the policy that all robots share.

Some are whole, some are cut along an axis, and some biases take in what a layer makes of inputs that never change.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from robomix.errors import ConfigError


@dataclass(frozen=True)
class Cuts:
    """How the parameters of a robot's policy come from those of the shared one."""

    kept: tuple[tuple[str, int, list[int]], ...] = ()
    """Pattern of a parameter's whole name, axis, and the positions along it that stay."""
    moved: tuple[tuple[str, str], ...] = ()
    """Start of a name in the robot's policy, to what it is in the shared one."""
    folded: tuple[tuple[str, list[int], list[float]], ...] = ()
    """Pattern of the name of a layer's weight, columns of it, and what always meets them: goes into the bias."""

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
            steps[name] = Step(origin, tuple(cuts), self._fold(name, origin))
        return Plan(steps)

    def _fold(self, name: str, origin: str) -> tuple[str, Tensor, Tensor] | None:
        for pattern, columns, values in self.folded:
            if columns and "bias" in name and re.fullmatch(pattern, _weight_of(name)):
                return _weight_of(origin), torch.tensor(columns), torch.tensor(values)
        return None


@dataclass(frozen=True)
class Step:
    """How one parameter of a robot's policy is made."""

    origin: str
    """Its name in the shared policy."""
    cuts: tuple[tuple[int, Tensor], ...]
    """Axes, and the positions kept along them."""
    fold: tuple[str, Tensor, Tensor] | None
    """Of a bias: the shared policy's weight beside it, columns of that, and what always meets them."""


@dataclass(frozen=True)
class Plan:
    """Cuts, looked up for each parameter."""

    steps: Mapping[str, Step]
    """By the name in the robot's policy."""

    def __call__(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The robot's parameters; those that are whole are the shared ones themselves. Gradients flow back."""
        made = {}
        for name, step in self.steps.items():
            value = shared[step.origin]
            if step.fold is not None:
                weight, columns, inputs = step.fold
                value = folded(value, shared[weight], columns, inputs)
            for axis, kept in step.cuts:
                value = value.index_select(axis, kept.to(value.device))
            made[name] = value
        return made


def folded(bias: Tensor, weight: Tensor, columns: Tensor, inputs: Tensor) -> Tensor:
    """The bias (D,) of a layer x -> weight (D, W) x + bias without `columns` (k,), which `inputs` (k,) always meet."""
    met = weight.index_select(1, columns.to(weight.device)).float() @ inputs.float().to(weight.device)
    return (bias.float() + met).to(bias.dtype)


def _weight_of(bias: str) -> str:
    module, _, name = bias.rpartition(".")
    return f"{module}.{name.replace('bias', 'weight')}"

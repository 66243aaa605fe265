"""Policies that pad a state inside, for one of the robots that entries in front of the state tell apart.

SmolVLA and pi0 have one linear layer that sees the state. For one robot the entries in front are always the same: what
the layer makes of them goes into its bias, and the columns of the robot's own entries move to the front.
"""

import copy
from typing import Any

import torch
from torch import nn

from robomix.training.cuts import folded

STATE_LAYER = ("model", "state_proj")
"""Where that layer is, in lerobot 0.6.1."""


def told_inside(policy: Any, in_front: tuple[float, ...]) -> Any:
    """A policy like `policy` that is not given the entries `in_front` of the state. All other layers are the same."""
    layer = policy.get_submodule(".".join(STATE_LAYER))
    made = nn.Linear(layer.in_features, layer.out_features, device="meta")
    told = len(in_front)
    with torch.no_grad():
        bias = folded(layer.bias, layer.weight, torch.arange(told), torch.tensor(in_front))
        weight = torch.cat([layer.weight[:, told:], torch.zeros_like(layer.weight[:, :told])], dim=1)
    made.weight = nn.Parameter(weight, layer.weight.requires_grad)
    made.bias = nn.Parameter(bias, layer.bias.requires_grad)
    return _with_layer(policy, STATE_LAYER, made.train(layer.training))


def _with_layer(module: nn.Module, path: tuple[str, ...], layer: nn.Module) -> Any:
    """A copy of `module` with another layer at `path`, and all others shared."""
    made = copy.copy(module)
    for name in [name for name, value in vars(made).items() if callable(value) and hasattr(type(made), name)]:
        delattr(made, name)  # a compiled method would go on with the layers of the original
    inner = layer if len(path) == 1 else _with_layer(module.get_submodule(path[0]), path[1:], layer)
    made._modules = module._modules | {path[0]: inner}
    return made

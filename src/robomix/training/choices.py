"""LeRobot's own blocks of a training config: policy, simulator, optimizer, scheduler, evaluation, wandb.

The first four are one of several classes, named by the block's `type`. Their keys are checked here, strictly, before
LeRobot builds them: its parser would take "1" for 1, `true` for 1, and its errors name neither file nor flag.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from robomix.errors import ConfigError, did_you_mean
from robomix.problems import KeyPath, Problem, report, show, wrong
from robomix.training.lerobot import (
    EnvConfig,
    EvalConfig,
    LRSchedulerConfig,
    OptimizerConfig,
    PreTrainedConfig,
    WandBConfig,
    decode_config,
    encode,
    get_attribute_docstring,
    is_torch_device_available,
)
from robomix.validation import describe, fields_of, fit

CHOICES: Mapping[str, Any] = {
    "policy": PreTrainedConfig,
    "env": EnvConfig,
    "optimizer": OptimizerConfig,
    "scheduler": LRSchedulerConfig,
}
"""Blocks that are one of several classes, and the base of these."""

PLAIN: Mapping[str, Any] = {"eval": EvalConfig, "wandb": WandBConfig}
"""Blocks of one class."""


def chosen(name: str, block: Any) -> type | None:
    """The class the `type` of block `name` stands for; None where there is no such type."""
    kind = block.get("type", _default_type(name)) if isinstance(block, Mapping) else None
    known = CHOICES[name].get_known_choices()
    return known[kind] if isinstance(kind, str) and kind in known else None


def choice_fields(name: str, block: Any) -> Any:
    """Keys and types of block `name`, `type` among them; Any while its type is unknown."""
    cls = chosen(name, block)
    return {"type": str} | dict(fields_of(cls)) if cls else {"type": str} if block is None else Any


def choice_problems(name: str, block: Any, key: KeyPath) -> list[Problem]:
    """What is wrong with the block `name` of a training config; null stands for none of it."""
    if block is None:
        advice = f"Give one with --policy.type, one of {_types(name)}, or a trained one with --policy.path."
        return [Problem(key, f"missing. {advice}")] if name == "policy" else []
    if not isinstance(block, Mapping):
        return [wrong(key, block, "a mapping", f"Write {{type: {block}}}." if isinstance(block, str) else "")]
    kind = block.get("type", _default_type(name))
    if kind is None:
        return [Problem((*key, "type"), f"missing. One of {_types(name)}.")]
    cls = chosen(name, block)
    if cls is None:
        hint = did_you_mean(str(kind), CHOICES[name].get_known_choices())
        return [Problem((*key, "type"), f"found {kind!r}, expected one of {_types(name)}.{hint}")]
    return fit(cls, {k: v for k, v in block.items() if k != "type"}, key)


def build_block(name: str, block: Mapping[str, Any], origin: str | None) -> Any:
    """LeRobot's config object of a block without problems. Raises ConfigError where LeRobot refuses its values."""
    kind = f" (type {block['type']})" if "type" in block else ""
    return decode_config(
        CHOICES.get(name) or PLAIN[name], block, f"{origin}: {name}{kind}" if origin else f"{name}{kind}"
    )


def pretrained_policy(path: str) -> dict[str, Any]:
    """The `policy` block of a trained policy, from a folder or the Hub, to be trained further from its weights.

    Where it was trained and where it was published do not carry over. Raises ConfigError where there is none.
    """
    expected = "a folder with config.json, such as checkpoints/last/pretrained_model, or a model's id on the Hub"
    folder = os.path.expanduser(path)
    if not os.path.isdir(folder) and not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", path):
        raise ConfigError(f"policy.path: there is no folder {os.path.abspath(folder)}. Expected {expected}.")
    groups = sorted(p.parent.name for p in Path(folder).glob("*/config.json"))
    if groups and not os.path.isfile(os.path.join(folder, "config.json")):
        here, shared = os.path.join(path, groups[0]), os.path.join(path, "..", "training_state", "policy")
        raise ConfigError(
            f"policy.path: {path} has a folder for each normalization group: {', '.join(groups)}. Give that of one "
            f"robot to train it further, --policy.path={here}, or the policy that all share, for mixtures like the "
            f"first: --policy.path={os.path.normpath(shared)}"
        )
    try:
        config = PreTrainedConfig.from_pretrained(folder)
    except Exception as error:  # files missing, damaged or of another version, no network, no access: all are told
        reason = str(error.__cause__ or error).rstrip(".")
        raise ConfigError(f"policy.path: cannot load {path!r}: {reason}. Expected {expected}.") from error
    block = encode(config, PreTrainedConfig)
    left_out = ("device", "push_to_hub", "repo_id", "private", "tags", "license")
    return {k: v for k, v in block.items() if k not in left_out} | {"pretrained_path": folder}


def policy_entries(kind: str) -> list[tuple[str, str, str, str]]:
    """Name, type, default and text of each field of policy `kind`. Raises ConfigError for an unknown one."""
    if problems := choice_problems("policy", {"type": kind}, ("policy",)):
        raise report(problems, flags={("policy", "type"): "policy.type"})
    cls: Any = chosen("policy", {"type": kind})
    publishing = ("push_to_hub", "private", "tags", "license")
    fields = [field for field in dataclasses.fields(cls) if field.init and field.name not in publishing]
    return [(f.name, describe(fields_of(cls)[f.name]), _default_text(f), _comment_on(cls, f.name)) for f in fields]


def default_device() -> str:
    """The fastest device there is."""
    return next((name for name in ("cuda", "mps", "xpu") if is_torch_device_available(name)), "cpu")


def device_problem(device: str) -> str | None:
    """Why `device` cannot be used on this machine."""
    try:
        torch.device(device)
        available = is_torch_device_available(device)
    except (ValueError, RuntimeError):
        return "expected cuda, cuda:0, mps, xpu or cpu."
    return None if available else f"it is not available here. Leave it out to train on {default_device()}."


def _default_type(name: str) -> str | None:
    kind: str | None = CHOICES[name].default_choice_name()
    return kind


def _default_text(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is dataclasses.MISSING else show(field.default).removesuffix(" (text)")


def _comment_on(cls: type, name: str) -> str:
    """What LeRobot's source says about a field: in the class's docstring, or in the comments around it."""
    for base in cls.__mro__:
        found = re.search(rf"^ +{name}: (.+(?:\n {{9,}}.+)*)", base.__doc__ or "", re.MULTILINE)
        if found:
            return " ".join(found.group(1).split())
    doc = get_attribute_docstring(cls, name)
    return " ".join((doc.docstring_below or doc.comment_above or doc.comment_inline).split())


def _types(name: str) -> str:
    return ", ".join(sorted(CHOICES[name].get_known_choices()))

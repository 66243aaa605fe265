"""Whether a policy can be told where its samples are from, before it is trained."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError
from robomix.features import STATE
from robomix.mixture.alignment import Schema
from robomix.training.model_folders import told_by
from robomix.training.policy_cuts import PADDED_INSIDE, has_cuts

ENV = "observation.environment_state"
_PROMPT = "Tell it by the text it reads: `prompt: '{task} with the {robot}'` in each dataset."
_OTHER_VECTORS = {"act": (ENV,), "diffusion": (ENV,)}
"""What policies take beside the state and cameras; `bc` takes any vector, the others none."""

log = logging.getLogger(__name__)


def check_condition(schema: Schema, policy: Any) -> None:
    """Raises ConfigError where the condition of a mixture would tell the policy of config `policy` nothing."""
    condition = schema.condition
    if condition is None:
        return
    if len(condition.names) < 2:
        advice = "There is one source." if condition.on == "source" else "All sources are of one: set `normalize_by`."
        raise ConfigError(
            f"condition_on: {condition.on} would tell the policy the same of every sample, {condition.names[0]!r}. "
            f"{advice} Or leave condition_on out."
        )
    if not has_cuts(policy.type):
        raise ConfigError(
            f"condition_on does not work with policy {policy.type!r}: robomix cannot make a policy of it for each "
            "robot, and plain LeRobot would not know what to tell it."
        )
    if condition.in_state:
        _check_state(schema.features[STATE].shape[0], policy)
    elif policy.type != "bc" and condition.key not in _OTHER_VECTORS.get(policy.type, ()):
        takes = f"{STATE}{''.join(f' and {key}' for key in _OTHER_VECTORS.get(policy.type, ()))}"
        advice = _PROMPT if policy.type == "pi05" else f"Leave condition_key out: the entries go in front of {STATE}."
        raise ConfigError(
            f"condition_key is {condition.key!r}, and policy {policy.type!r} takes no vectors but {takes}. {advice}"
        )


def check_weights(schema: Schema, policy: Any) -> None:
    """Raises ConfigError where the weights that `policy`, a config, starts from were told otherwise of their samples.

    A warning tells where they know a state without what `schema` puts in front of it.
    """
    then, condition = told_by(Path(policy.pretrained_path)), schema.condition
    now = None if condition is None else condition.record()
    if then is not None and then != now:
        raise ConfigError(
            f"the policy in {policy.pretrained_path} was told by `condition_on`: {condition_text(then)}; this mixture "
            f"has {condition_text(now)}. Tell it the same, by sources of the same names in the same order; or start "
            f"from weights that were told nothing{', such as those of one robot' if then['key'] == STATE else ''}."
        )
    if condition is None or then is not None:
        return
    if not condition.in_state and condition.key not in policy.input_features:
        raise ConfigError(
            f"condition_key is {condition.key!r}, and the policy in {policy.pretrained_path} takes no such vector: it "
            "would be told nothing. Leave condition_on out, or train a new policy with --policy.type."
        )
    if condition.in_state and policy.type in PADDED_INSIDE:
        log.warning(
            "condition_on puts %d entries in front of %s, and the weights in %s know it without them: each entry now "
            "meets what was learned for another, which must be learned anew. `prompt: '{task} with the {robot}'` in "
            "each dataset tells the same and leaves the state as it is.",
            condition.width,
            STATE,
            policy.pretrained_path,
        )


def condition_text(condition: Mapping[str, Any] | None) -> str:
    """A condition as a checkpoint records it, for messages."""
    if condition is None:
        return "none"
    kind = "one_hot" if condition["one_hot"] else "index"
    return f"{condition['on']} ({kind} of {', '.join(condition['names'])}, in {condition['key']})"


def _check_state(width: int, policy: Any) -> None:
    if policy.type == "pi05":
        raise ConfigError(f"condition_on puts entries in front of {STATE}, which pi05 reads as words. {_PROMPT}")
    if getattr(policy, "adapt_to_pi_aloha", False):
        raise ConfigError(
            f"condition_on puts entries in front of {STATE}, and adapt_to_pi_aloha changes entries of it by their "
            f"places. {_PROMPT}"
        )
    if policy.type in PADDED_INSIDE and width > policy.max_state_dim:
        raise ConfigError(
            f"{STATE} has {width} entries with those of condition_on, and policy {policy.type!r} takes "
            f"{policy.max_state_dim}. `condition_as: index` is a single entry; or raise --policy.max_state_dim."
        )

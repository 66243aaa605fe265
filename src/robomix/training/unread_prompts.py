"""Prompts that the policy of a training never reads."""

import logging
from collections.abc import Sequence

from robomix.mixture.source import Source
from robomix.training.policy_cuts import has_cuts

READ_NO_TEXT = ("act", "bc", "diffusion", "gaussian_actor", "tdmpc", "vqbet")
"""Policies of lerobot 0.6.1, and the one of `lerobot_policy_bc`, to which the task is nothing."""

log = logging.getLogger(__name__)


def warn_of_unread_prompts(kind: str, sources: Sequence[Source]) -> None:
    """A warning where `sources` have prompts or paraphrases and a policy of type `kind` is none that reads."""
    prompted = [source.name for source in sources if source.prompt is not None]
    if prompted and kind in READ_NO_TEXT:
        log.warning(
            "`prompt` and `paraphrases` of %s have no effect: policy %r reads no text.%s",
            " and of ".join(map(repr, prompted)),
            kind,
            " `condition_on` tells it which robot a sample is of." if has_cuts(kind) else "",
        )

"""What a run that goes on must agree with the checkpoint in: its policy was trained on nothing else.

The samples and their order are the schedule's own affair (`Schedule.resume`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.training.checkpoint import EARLIER
from robomix.training.conditioning import condition_text
from robomix.training.model_folders import MIXTURE, PRETRAINED, recorded_mixture, weights_folder


def check_same_groups(checkpoint: Path, groups: Mapping[str, str]) -> None:
    """Raises ConfigError where the sources of a resumed run are normalized in other groups than its weights know."""
    path = checkpoint / PRETRAINED / MIXTURE
    try:
        then = json.loads(path.read_text())["groups"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is missing or damaged ({error}); {EARLIER}") from None
    if then != dict(groups):
        raise ConfigError(
            f"cannot continue this run with other normalization groups: {then} then, {dict(groups)} now. "
            "Restore `normalize_by` and `group`, or start a new run from the checkpoint's weights: "
            f"--policy.path={weights_folder(checkpoint)}"
        )


def check_same_condition(checkpoint: Path, condition: Mapping[str, Any] | None) -> None:
    """Raises ConfigError where the policy of a resumed run is told other things of its samples than before."""
    then = recorded_mixture(checkpoint / PRETRAINED).get("condition")
    if then != condition:
        back = "Restore it with `condition_as` and `condition_key`" if then else "Leave `condition_on` out"
        raise ConfigError(
            f"cannot continue this run with another `condition_on`: {condition_text(then)} then, "
            f"{condition_text(condition)} now. {back}, or start a new run."
        )


def check_same_texts(checkpoint: Path, config: MixtureConfig) -> None:
    """Raises ConfigError where the policy of a resumed run would read other texts than before."""
    recorded = recorded_mixture(checkpoint / PRETRAINED).get("config") or {}
    before, now = _text_settings(recorded), _text_settings(config.to_dict())
    for name, settings in now.items():
        for key, value in settings.items():
            if name in before and before[name][key] != value:
                raise ConfigError(
                    f"cannot continue this run with other texts: {key} of source {name!r} was {before[name][key]!r}, "
                    f"and is {value!r} now. Restore it, or start a new run from the checkpoint's weights: "
                    f"--policy.path={weights_folder(checkpoint)}"
                )


def check_same_statistics(checkpoint: Path, fingerprint: str | None) -> None:
    """Raises ConfigError where a resumed run is given other statistics than those its weights were trained with."""
    then = recorded_mixture(checkpoint / PRETRAINED).get("given_statistics")
    if then != fingerprint:
        change = "have changed" if then and fingerprint else "were given then" if then else "are given only now"
        raise ConfigError(
            f"cannot continue this run with other statistics: those of `dataset.stats` {change}. Restore them, or "
            f"start a new run from its weights: --policy.path={weights_folder(checkpoint)}"
        )


def _text_settings(mixture: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Source name to what its texts depend on, in one way of writing it."""
    found = {}
    for source in mixture.get("datasets", ()):
        prompt = source.get("prompt") or "{task}"
        templates = [prompt] if isinstance(prompt, str) else list(prompt)
        paraphrases = {task: list(texts) for task, texts in (source.get("paraphrases") or {}).items()}
        found[source["name"]] = {"prompt": templates, "paraphrases": paraphrases, "lang": source.get("lang")}
    return found

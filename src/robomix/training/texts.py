"""The texts of a training's sources (`mixture.prompts`): in a simulator that is none's, and in a run that goes on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.mixture.source import Source
from robomix.training.checkpoint import PRETRAINED, recorded_mixture, weights_folder


def agreed_text(sources: Sequence[Source], environment: str) -> Callable[[str], str]:
    """How the sources put a task, for an environment that is none's in particular; of several texts the first.

    Raises ConfigError where they put one task in different ways.
    """
    paraphrased = [task for source in sources if source.prompt is not None for task in source.prompt.paraphrases]
    for task in ("TASK", *paraphrased):
        texts = {source.name: source.text_of(task) for source in sources}
        if len(set(texts.values())) > 1:
            listing = ", ".join(f"{text!r} in {name}" for name, text in texts.items())
            raise ConfigError(
                f"--env.type={environment} would not know how to put its task: by `prompt` and `paraphrases` {task!r} "
                f"is {listing}. Give `env` to the dataset it belongs to."
            )
    return sources[0].text_of


def check_same_texts(checkpoint: Path, config: MixtureConfig) -> None:
    """Raises ConfigError where the policy of a resumed run would read other texts than before."""
    recorded = recorded_mixture(checkpoint / PRETRAINED).get("config") or {}
    before, now = _settings(recorded), _settings(config.to_dict())
    for name, settings in now.items():
        for key, value in settings.items():
            if name in before and before[name][key] != value:
                raise ConfigError(
                    f"cannot continue this run with other texts: {key} of source {name!r} was {before[name][key]!r}, "
                    f"and is {value!r} now. Restore it, or start a new run from the checkpoint's weights: "
                    f"--policy.path={weights_folder(checkpoint)}"
                )


def _settings(mixture: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Source name to what its texts depend on, in one way of writing it."""
    found = {}
    for source in mixture.get("datasets", ()):
        prompt = source.get("prompt") or "{task}"
        templates = [prompt] if isinstance(prompt, str) else list(prompt)
        paraphrases = {task: list(texts) for task, texts in (source.get("paraphrases") or {}).items()}
        found[source["name"]] = {"prompt": templates, "paraphrases": paraphrases, "lang": source.get("lang")}
    return found

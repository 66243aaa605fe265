"""The texts of a training's sources (`mixture.prompts`) in a simulator that is none's."""

from collections.abc import Callable, Sequence

from robomix.errors import ConfigError
from robomix.mixture.source import Source


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

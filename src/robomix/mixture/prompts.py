"""The text a policy reads: templates around the recorded task, and other wordings of it.

Of several templates and wordings, each sample has one by a number that its draw is keyed to, all as likely; number 0
is the first of each, for everything that is not to be random.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robomix.config import SourceConfig
from robomix.errors import ConfigError, did_you_mean
from robomix.formats.base import Dataset
from robomix.prompt_rules import fields_in


@dataclass(frozen=True)
class Prompt:
    """The texts of one source."""

    templates: tuple[str, ...]
    """With the fields {task}, {robot}, {source}, {group}."""
    paraphrases: Mapping[str, tuple[str, ...]]
    """Recorded task to its wordings; a task without any has its own."""
    fields: Mapping[str, str]
    """What {robot}, {source} and {group} stand for."""

    def text(self, task: str, number: int = 0) -> str:
        """Text `number` of those there are for the recorded `task`, counted around: 0 has the first of each list."""
        turn, template = divmod(number, len(self.templates))
        wordings = self.paraphrases.get(task, (task,))
        return self.templates[template].format(task=wordings[turn % len(wordings)], **self.fields)


def prompt_of(config: SourceConfig, dataset: Dataset, *, tasks: Sequence[str], name: str, group: str) -> Prompt | None:
    """The prompt of the source `name`; None where its config asks for none.

    Raises ConfigError where a template wants the robot's type, which the dataset does not know, and for paraphrases of
    what is none of `tasks`.
    """
    if config.prompt is None and not config.paraphrases:
        return None
    templates = (config.prompt,) if isinstance(config.prompt, str) else config.prompt or ("{task}",)
    wanting = [template for template in templates if "robot" in fields_in(template)]
    if wanting and dataset.robot_type is None:
        raise ConfigError(
            f"source {name!r}: prompt {wanting[0]!r} names the robot, and {dataset.path} ({dataset.format}) does not "
            "say its type. Write what it is called in place of {robot}."
        )
    for task in config.paraphrases:
        if task not in tasks:
            known = ", ".join(map(repr, tasks[:10])) + (", ..." if len(tasks) > 10 else "")
            raise ConfigError(
                f"source {name!r}: paraphrases are given for {task!r}, which is none of its tasks."
                f"{did_you_mean(task, tasks)} Its tasks: {known}."
            )
    fields = {"robot": dataset.robot_type or "", "source": name, "group": group}
    return Prompt(tuple(templates), dict(config.paraphrases), fields)

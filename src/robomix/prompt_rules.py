"""What `prompt` and `paraphrases` of a source must satisfy beyond their types. Plain data in, problems out."""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from robomix.errors import did_you_mean
from robomix.problems import KeyPath, Problem, wrong

FIELDS = ("task", "robot", "source", "group")
"""What a template may name in braces."""
_NONE = "Leave the key out if there is none."


def fields_in(template: str) -> set[str]:
    """The names in braces of a template. Raises ValueError where its braces are not right."""
    parts = [part for part in Formatter().parse(template) if part[1] is not None]
    return {f"{name}{'!' if how else ''}{how or ''}{':' if spec else ''}{spec}" for _, name, spec, how in parts}


def prompt(value: str | Sequence[str] | None, key: KeyPath) -> list[Problem]:
    """One template, or a list of them."""
    if value is None:
        return []
    if isinstance(value, str):
        return _template(value, key)
    if not value:
        return [wrong(key, list(value), "at least one template", _NONE)]
    return [problem for i, one in enumerate(value) for problem in _template(one, (*key, i))]


def paraphrases(value: Mapping[str, Sequence[str]], key: KeyPath) -> list[Problem]:
    """Wordings by task, at least one of each."""
    problems = []
    for task, wordings in value.items():
        if not wordings:
            problems.append(wrong((*key, task), list(wordings), "at least one wording", "The task itself may be one."))
        problems += [p for i, one in enumerate(wordings) for p in _words(one, (*key, task, i))]
    return problems


def both(block: Mapping[str, Any], key: KeyPath) -> list[Problem]:
    """Paraphrases must have a place in the templates."""
    given = block.get("prompt")
    templates = [given] if isinstance(given, str) else given
    if block.get("paraphrases") and templates and not any("task" in fields_in(one) for one in templates):
        advice = "have no place: `prompt` does not name {task}. Put it in, or leave the paraphrases out."
        return [Problem((*key, "paraphrases"), advice)]
    return []


def _template(value: str, key: KeyPath) -> list[Problem]:
    if problems := _words(value, key):
        return problems
    try:
        found = fields_in(value)
    except ValueError as error:
        return [wrong(key, value, f"a text with fields in braces ({error})", "A brace itself is written {{ or }}.")]
    listing = ", ".join(f"{{{name}}}" for name in FIELDS)
    return [
        Problem(key, f"names {{{name}}}, which is no field.{did_you_mean(name, FIELDS)} Fields: {listing}.")
        for name in sorted(found - set(FIELDS))
    ]


def _words(value: str, key: KeyPath) -> list[Problem]:
    return [] if value.strip() else [wrong(key, value, "a text that says something", _NONE)]

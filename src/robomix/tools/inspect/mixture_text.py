"""A suggested mixture as the text of a YAML file, with comments that say why each key is what it is.

Names and paths come from datasets that one does not trust: whatever is not a plain word is quoted, and nothing of a
comment can leave its line.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from robomix.tools.inspect.description import Unreadable
from robomix.tools.inspect.suggestion import SuggestedSource, Suggestion

_WIDTH = 118
_PLAIN = re.compile(r"[A-Za-z/][\w./-]*(?: [A-Za-z][\w./-]*)*")
_OTHERWISE = re.compile(r"(null|true|false|yes|no|on|off|y|n)", re.IGNORECASE)
"""Words that some reader of YAML takes for something else."""
_HEAD = (
    "Suggested by `robomix inspect` from names, numbers and headers: look through it before you train, above all where "
    "it says CHECK.",
    "robomix train --config_path=THIS_FILE --policy.type=act",
    "Roots are relative to the folder in which robomix is started.",
)


def mixture_text(suggestion: Suggestion, unreadable: Sequence[Unreadable]) -> str:
    """The file, ending with a line feed."""
    lines = [line for text in _HEAD for line in _comment(text, "")]
    if unreadable:
        lines += ["#", "# These cannot be read, and are left out:"]
        lines += [line for one in unreadable for line in _comment(f"  {one.path}: {one.reason}", "")]
    lines.append("dataset:")
    for setting in suggestion.settings:
        lines += [line for reason in setting.reasons for line in _comment(reason, "  ")]
        lines.append(f"  {setting.key}: {flow(setting.value)}")
    lines += [line for note in suggestion.notes for line in _comment(note, "  ")]
    lines.append("  datasets:")
    for source in suggestion.sources:
        lines += _source(source)
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Plain data as YAML in one line."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return repr(value)


def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and not _OTHERWISE.fullmatch(value):
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))
    return quoted.strip()


def _source(source: SuggestedSource) -> Iterator[str]:
    """The lines of an entry; all of them comments where it is left out."""
    yield ""
    yield from _comment(source.title, "    ")
    if source.left_out is not None:
        yield from _comment(f"left out: {source.left_out}", "    ")
    mark = "# " if source.left_out is not None else ""
    for number, key in enumerate([*source.entry, *(key for key in source.reasons if key not in source.entry)]):
        for reason in source.reasons.get(key, ()):
            yield from _comment(reason, "      ")
        if key not in source.entry:
            continue
        dash = "- " if number == 0 else "  "
        value = source.entry[key]
        if key == "transforms":
            yield f"    {mark}{dash}{key}:"
            yield from (f"    {mark}    - {flow(step)}" for step in value)
        elif key == "episodes":
            yield from textwrap.wrap(
                f"    {mark}{dash}{key}: {flow(value)}", _WIDTH, subsequent_indent=f"    {mark}      "
            )
        else:
            yield f"    {mark}{dash}{key}: {flow(value)}"


def _comment(text: str, indent: str) -> list[str]:
    """Lines of a comment; `text` on its own, two spaces at its start kept."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    lead = f"{indent}# " + " " * (len(plain) - len(plain.lstrip()))
    return textwrap.wrap(
        " ".join(plain.split()), _WIDTH, initial_indent=lead, subsequent_indent=lead, break_long_words=False
    )

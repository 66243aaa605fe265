"""How flags name episodes, frames and pairs: `3,7:12`, `10:200`, `old=new`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from robomix.errors import ConfigError

_MOST = 10_000_000
"""Numbers in a range: more episodes or frames than anyone has."""
_DIGITS = 18
"""Of a number that fits into an int64."""


def pairs(texts: Iterable[str], flag: str) -> dict[str, str]:
    """`NAME=VALUE` each, by name; the first `=` parts them.

    Raises ConfigError for another text, and for a name twice.
    """
    made: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{flag}: {text!r} is no pair, expected NAME=VALUE.")
        if name in made:
            raise ConfigError(f"{flag}: {name!r} is given twice, as {made[name]!r} and as {value!r}. Leave one.")
        made[name] = value
    return made


def numbers(text: str, flag: str) -> list[int]:
    """Whole numbers and ranges with commas between: `3,7:10` is 3, 7, 8, 9.

    Raises ConfigError for another text, and for a number twice.
    """
    found: list[int] = []
    for part in text.split(","):
        if ":" in part:
            found += range(*span(part, flag))
        else:
            found.append(_whole(part, text, flag))
    if twice := [number for number, times in Counter(found).items() if times > 1]:
        raise ConfigError(f"{flag}: {text!r} names {told(twice)} twice. Leave one.")
    return found


def span(text: str, flag: str) -> tuple[int, int]:
    """`START:STOP`, without STOP itself. Raises ConfigError for another text, and where nothing lies between."""
    start, _, stop = text.partition(":")
    made = _whole(start, text, flag), _whole(stop, text, flag)
    if not 0 < made[1] - made[0] <= _MOST:
        found = "nothing" if made[0] >= made[1] else "too many numbers"
        raise ConfigError(f"{flag}: {text!r} holds {found}, expected START:STOP with START below STOP.")
    return made


def spans(values: Mapping[str, str], flag: str) -> dict[int, tuple[int, int]]:
    """`EPISODE=START:STOP` each, by episode."""
    return {_whole(name, f"{name}={text}", flag): span(text, flag) for name, text in values.items()}


def shares(values: Mapping[str, str], flag: str) -> dict[str, float]:
    """`NAME=NUMBER` each. Raises ConfigError for what is no number."""
    try:
        return {name: float(text) for name, text in values.items()}
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}, expected shares such as train=0.8 val=0.2.") from error


def told(numbers_: Sequence[int], at_most: int = 10) -> str:
    """Numbers for a message: the first of them, and how many more there are."""
    more = f" and {len(numbers_) - at_most} more" if len(numbers_) > at_most else ""
    return ", ".join(map(str, numbers_[:at_most])) + more


def _whole(text: str, whole: str, flag: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigError(f"{flag}: {whole!r} is not understood, expected whole numbers and ranges such as 3,7:12.")
    if len(text.strip()) > _DIGITS:
        raise ConfigError(f"{flag}: {text.strip()[:_DIGITS]}... is larger than any episode's or frame's number.")
    return int(text)

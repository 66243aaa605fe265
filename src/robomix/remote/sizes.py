"""Sizes as people write them: `20GB`, `500M`, `1.5 TiB`."""

import re

from robomix.errors import ConfigError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str, where: str) -> int:
    """Bytes of a size with K, M, G or T for powers of 1000, and Ki, Mi, ... for powers of 1024, or of a plain number.

    Raises ConfigError, naming `where` it stands, for anything else.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{where} is {text!r}, expected a size such as 20GB, 500M or 1000000.")
    number, power, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[power.lower()])

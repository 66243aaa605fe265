"""What is found to be off while samples are drawn: how often, and of each kind the first place."""

from collections import Counter

from robomix.tools.verify.result import Check


class Findings:
    """Findings by the name of the check they belong to."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, dict[str, str]] = {}

    def add(self, check: str, kind: str, text: str, count: int = 1) -> None:
        """`count` more findings of `kind`; of the first one `text` is kept."""
        self._counts[check] += count
        self._first.setdefault(check, {}).setdefault(kind, text)

    def check(self, name: str, fine: str, shown: int = 5) -> Check:
        """The check `name`: ok, with the text `fine`, or off, with what was found."""
        if name not in self._counts:
            return Check(name, "ok", fine)
        texts = list(self._first[name].values())
        more = [f"and {len(texts) - shown} kinds more"] if len(texts) > shown else []
        return Check(name, "off", f"{self._counts[name]:,} times: " + "; ".join([*texts[:shown], *more]))

"""What tells a policy which source, or which normalization group, a sample is of.

One-hot entries, or the number of the source or group as a single entry. They stand in front of the state, because what
is zero-padded is padded at its end; or they are a feature of their own. They are numbers of the mixture, not of any
robot: sources, their transforms and their statistics know nothing of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from robomix.config import MixtureConfig
from robomix.features import STATE, Feature

if TYPE_CHECKING:  # it takes torch, which a merge of datasets as they lie can do without
    from robomix.mixture.source import Source


@dataclass(frozen=True)
class Condition:
    """Which entries say where a sample is from."""

    on: Literal["source", "group"]
    """What is told apart."""
    one_hot: bool
    """One entry for each of `names`, 1 for the sample's; otherwise one entry, its position among them."""
    key: str
    """The feature whose first entries these are: the state, or one of their own."""
    names: tuple[str, ...]
    """Of the sources or groups, in the order of the sources."""
    of_source: Mapping[str, str]
    """Source name to one of `names`."""

    @property
    def width(self) -> int:
        return len(self.names) if self.one_hot else 1

    @property
    def entries(self) -> tuple[str, ...]:
        """What each entry is called."""
        return tuple(f"{self.on}={name}" for name in self.names) if self.one_hot else (self.on,)

    @property
    def in_state(self) -> bool:
        """Whether the entries stand in front of the state, and are no feature of their own."""
        return self.key == STATE

    def values(self, source: str) -> np.ndarray:
        """(width,) float32: the entries in all samples of `source`."""
        position = self.names.index(self.of_source[source])
        if not self.one_hot:
            return np.array([position], dtype=np.float32)
        values = np.zeros(len(self.names), dtype=np.float32)
        values[position] = 1
        return values

    def before(self, feature: Feature | None) -> Feature:
        """`feature`, a vector, with the entries in front; without it, the entries alone."""
        width = 0 if feature is None else feature.shape[0]
        own = feature.names if feature is not None and feature.names is not None else ()
        if len(own) != width:
            own = tuple(str(d) for d in range(width))
        return Feature("numeric", "float32", (self.width + len(own),), names=(*self.entries, *own))

    def record(self) -> dict[str, Any]:
        """Plain data, for checkpoints."""
        return {"on": self.on, "one_hot": self.one_hot, "key": self.key, "names": list(self.names)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any], of_source: Mapping[str, str]) -> "Condition":
        """The condition of a checkpoint, for sources of which `of_source` says what the policy takes them for."""
        return cls(record["on"], record["one_hot"], record["key"], tuple(record["names"]), of_source)


def condition_of(config: MixtureConfig, sources: Sequence["Source"]) -> Condition | None:
    """What `config` asks to be told about `sources`; None where it asks for nothing."""
    if config.condition_on is None:
        return None
    of_source = {s.name: s.name if config.condition_on == "source" else s.group for s in sources}
    names = tuple(dict.fromkeys(of_source.values()))
    return Condition(config.condition_on, config.condition_as == "one_hot", config.condition_key, names, of_source)

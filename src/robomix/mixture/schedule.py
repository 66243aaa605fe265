"""The schedule: which source and which frame each draw of the training takes, as a pure function of the draw's number.

Draw k has a slot in a table that repeats with period P (`apportion`), which names its source and counts how often
that source was drawn before: j. Draw j of a source with n frames is position j mod n of its epoch j div n, and each
epoch is a permutation of its own (`permutation`), so every frame comes once per source epoch, and a source that is
exhausted just starts its next one. Global batch t is draws t*B to (t+1)*B - 1, permuted, and cut into one contiguous
slice per rank.

Nothing is remembered between draws. The batch numbered t is the same whatever the number of ranks and workers, however
far they prefetch, and however often the run was interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.errors import ConfigError
from robomix.mixture.apportion import ranks_in_table, slot_counts, slot_table
from robomix.mixture.permutation import key_of, permute, shuffled, subkeys

VERSION = 1
"""Part of every saved state: a change of the order in any way needs a new number."""


@dataclass(frozen=True)
class Stream:
    """What the schedule knows of a source."""

    name: str
    frames: int
    """Frames that can be drawn."""
    probability: float
    fingerprint: str = ""
    """Of the dataset's content; a resumed run compares it."""


@dataclass(frozen=True)
class Draws:
    """Some draws, as arrays of one length."""

    number: np.ndarray
    """k, the number of the draw in the whole training: keys all randomness of that sample."""
    source: np.ndarray
    """Position of the source in the mixture."""
    frame: np.ndarray
    """Which of the source's drawable frames."""
    epoch: np.ndarray
    """How often the source had been through all its frames."""

    def __len__(self) -> int:
        return len(self.number)

    def take(self, order: np.ndarray | slice) -> "Draws":
        return Draws(self.number[order], self.source[order], self.frame[order], self.epoch[order])


class Schedule:
    """The order of a training run, see the module's text. Memory grows with the number of sources, not of frames."""

    def __init__(self, streams: Sequence[Stream], *, seed: int, batch_size: int, batching: str = "mixed") -> None:
        """`batch_size` is the global one, over all ranks; `batching` is `mixed` or `per_source`.

        Raises ConfigError for repeated names, empty streams or a batch size below 1.
        """
        _check(streams, batch_size)
        self.streams = tuple(streams)
        self.seed = seed
        self.batch_size = batch_size
        self.batching = batching
        counts = slot_counts(np.array([stream.probability for stream in streams]))
        self._counts = counts
        self._table = slot_table(counts)
        self._ranks = ranks_in_table(self._table, counts)
        self._frames = np.array([stream.frames for stream in streams], dtype=np.int64)
        self._keys = np.array([key_of(seed, stream.name, "order") for stream in streams], dtype=np.uint64)
        self._batch_key = key_of(seed, "batch")

    @property
    def probabilities(self) -> np.ndarray:
        """(D,) float64: the shares the schedule gives, those asked for rounded to the period."""
        return self._counts / len(self._table)

    def draws(self, start: int, stop: int) -> Draws:
        """The draws numbered start to stop - 1, in order."""
        number = np.arange(start, stop, dtype=np.int64)
        source, ordinal = self._locate(number)
        n = self._frames[source]
        epoch, position = ordinal // n, ordinal % n
        frame = permute(position, n, subkeys(self._keys[source], epoch))
        return Draws(number, source, frame, epoch)

    def batch(self, t: int) -> Draws:
        """Global batch t, in the order in which ranks share it out."""
        draws = self.draws(t * self.batch_size, (t + 1) * self.batch_size)
        return draws.take(shuffled(self.batch_size, int(subkeys(self._batch_key, t)[0])))

    def consumed(self, batches: int) -> np.ndarray:
        """(D,) int64: samples drawn from each source in the first `batches` global batches."""
        unit = self.batch_size if self.batching == "per_source" else 1
        period, rest = divmod(batches * self.batch_size // unit, len(self._table))
        within = np.bincount(self._table[:rest], minlength=len(self.streams))
        return (period * self._counts + within) * unit

    def state(self, batches: int) -> dict[str, Any]:
        """What a checkpoint keeps after `batches` global batches: plain data, small whatever the number of frames."""
        drawn = self.consumed(batches)
        return {
            "version": VERSION,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "batching": self.batching,
            "batches": batches,
            "samples": batches * self.batch_size,
            "sources": [
                {"name": s.name, "frames": s.frames, "slots": int(c), "fingerprint": s.fingerprint, "drawn": int(d)}
                for s, c, d in zip(self.streams, self._counts, drawn, strict=True)
            ],
        }

    def resume(self, state: dict[str, Any]) -> int:
        """The batch at which a run saved with `state` goes on. Raises ConfigError naming whatever has changed."""
        mine = self.state(0)
        changed = [
            f"{key}: {state.get(key)!r} then, {mine[key]!r} now"
            for key in ("version", "seed", "batch_size", "batching")
            if state.get(key) != mine[key]
        ]
        changed += _changed_sources(state.get("sources", []), mine["sources"])
        if changed:
            raise ConfigError(
                "cannot continue this run, because the order of its samples would change:\n  "
                + "\n  ".join(changed)
                + "\nRestore these, or start a new run from the checkpoint's weights with --policy.path."
            )
        return int(state["batches"])

    def _locate(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For draws k: their source, and how many draws that source had before."""
        unit = self.batch_size if self.batching == "per_source" else 1
        period, slot = np.divmod(number // unit, len(self._table))
        source = self._table[slot]
        return source, (period * self._counts[source] + self._ranks[slot]) * unit + number % unit


def _check(streams: Sequence[Stream], batch_size: int) -> None:
    names = [stream.name for stream in streams]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"sources need distinct names, found more than one {', '.join(repeated)}")
    empty = [stream.name for stream in streams if stream.frames < 1]
    if empty or not streams:
        raise ConfigError(f"sources without a frame to draw: {', '.join(empty) or 'the mixture is empty'}")
    if batch_size < 1:
        raise ConfigError(f"batch size is {batch_size}, must be at least 1")


def _changed_sources(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    if [s["name"] for s in then] != [s["name"] for s in now]:
        return [f"sources: {[s['name'] for s in then]} then, {[s['name'] for s in now]} now"]
    totals = [sum(s["slots"] for s in sources) for sources in (then, now)]
    changed = []
    for old, new in zip(then, now, strict=True):
        where = f"source {old['name']!r}"
        if old["frames"] != new["frames"]:
            changed.append(f"{where}: {old['frames']} frames then, {new['frames']} now")
        if old["slots"] * totals[1] != new["slots"] * totals[0]:
            changed.append(
                f"{where}: {old['slots'] / totals[0]:.2%} of the samples then, {new['slots'] / totals[1]:.2%} now"
            )
        if old["fingerprint"] != new["fingerprint"]:
            changed.append(f"{where}: its content or its chosen episodes are not those of then")
    return changed

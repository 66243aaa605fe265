"""The schedule: which source and which frame each draw of the training takes, as a pure function of the draw's number.

Draw k has a slot in a table that repeats with period P (`apportion`), which names its source and counts how often
that source was drawn before: j. Draw j of a source with n frames is position j mod n of its epoch j div n, and each
epoch is a permutation of its own (`permutation`; of two levels where frames are shuffled within `windows`), so every
frame comes once per source epoch, and a source that is exhausted just starts its next one. Global batch t is draws t*B
to (t+1)*B - 1, permuted, and cut into one contiguous slice per rank.

Where weights change over the training, this is so up to the first change; from there on the sources of the draws
follow the moving shares (`stages`, `moving`), and all else stays the same. Where every batch is of sources with the
same cameras, they do so from the start (`camera_sets`).

Nothing is remembered between draws. The batch numbered t is the same whatever the number of ranks and workers, however
far they prefetch, and however often the run was interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robomix.errors import ConfigError
from robomix.mixture.apportion import LONG_PERIOD, ranks_in_table, slot_counts, slot_table
from robomix.mixture.camera_sets import CameraSetOrder
from robomix.mixture.moving import MovingOrder
from robomix.mixture.permutation import key_of, permute, shuffled, subkeys
from robomix.mixture.stages import UNITS, WHOLE, Stage, binding, segments
from robomix.mixture.windows import Window, WindowOrder

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
    cameras: tuple[str, ...] = ()
    """Which of the mixture's cameras it has, for `per_camera_set`."""
    window: Window | None = None
    """Within which its frames are shuffled; None: within the whole source."""


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
    """The order of a training run, see the module's text.

    Memory grows with the number of sources, not of frames; with that of episodes where these are shuffled in windows.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        *,
        seed: int,
        batch_size: int,
        batching: str = "mixed",
        stages: Sequence[Stage] = (),
    ) -> None:
        """`batch_size` is the global one, over all ranks; `batching` is `mixed`, `per_source` or `per_camera_set`.

        `stages` are those of weights that change, at ascending steps above 0; `streams` have the shares of the start.
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
        self._num_frames = np.array([stream.frames for stream in streams], dtype=np.int64)
        self._keys = np.array([key_of(seed, stream.name, "order") for stream in streams], dtype=np.uint64)
        self._batch_key = key_of(seed, "batch")
        names, windows = [stream.name for stream in streams], [stream.window for stream in streams]
        self._windows = None if windows == [None] * len(windows) else WindowOrder(names, windows, seed)
        self.stages = (Stage(0, tuple(stream.probability for stream in streams)), *stages)
        """Those of the whole training, the start included."""
        self._segments = segments(self.stages)
        self._moves_from, self._moving = self._moving_order()

    @property
    def probabilities(self) -> np.ndarray:
        """(D,) float64: the shares the schedule gives at the start, those asked for rounded to the period."""
        return self._counts / len(self._table)

    def shares(self, step: int) -> np.ndarray:
        """(D,) float64: the shares of the batch numbered `step`."""
        return [segment for segment in self._segments if segment.start <= step][-1].shares(step)

    def draws(self, start: int, stop: int) -> Draws:
        """The draws numbered start to stop - 1, in order."""
        number = np.arange(start, stop, dtype=np.int64)
        source, ordinal = self._locate(number)
        n = self._num_frames[source]
        epoch, position = ordinal // n, ordinal % n
        return Draws(number, source, self._frames(source, epoch, position), epoch)

    def batch(self, t: int) -> Draws:
        """Global batch t, in the order in which ranks share it out."""
        draws = self.draws(t * self.batch_size, (t + 1) * self.batch_size)
        return draws.take(shuffled(self.batch_size, int(subkeys(self._batch_key, t)[0])))

    def consumed(self, batches: int) -> np.ndarray:
        """(D,) int64: samples drawn from each source in the first `batches` global batches."""
        if self._moving is not None and batches >= self._moves_from:
            return self._moving.before(batches) * self._unit
        return self._repeated(batches * self.batch_size // self._unit) * self._unit

    def state(self, batches: int) -> dict[str, Any]:
        """What a checkpoint keeps after `batches` global batches: plain data, small whatever the number of frames."""
        drawn = self.consumed(batches)
        later = [stage.record() for stage in self.stages[1:]]
        sets = list(dict.fromkeys(stream.cameras for stream in self.streams))
        return {
            "version": VERSION,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "batching": self.batching,
            "batches": batches,
            "samples": batches * self.batch_size,
            "sources": [
                {"name": s.name, "frames": s.frames, "slots": int(c), "fingerprint": s.fingerprint, "drawn": int(d)}
                | ({"cameras": sets.index(s.cameras)} if self.batching == "per_camera_set" else {})
                | ({"window": s.window.size} if s.window is not None else {})
                for s, c, d in zip(self.streams, self._counts, drawn, strict=True)
            ],
        } | (
            ({"stages": later} if later else {})
            | ({"camera_sets": [list(cameras) for cameras in sets]} if self.batching == "per_camera_set" else {})
        )

    def resume(self, state: dict[str, Any]) -> int:
        """The batch at which a run saved with `state` goes on. Raises ConfigError naming whatever has changed.

        Weights may have changed for steps from there on: what was drawn so far does not depend on them.
        """
        mine = self.state(0)
        changed = [
            f"{key}: {state.get(key)!r} then, {mine[key]!r} now"
            for key in ("version", "seed", "batch_size", "batching")
            if state.get(key) != mine[key]
        ]
        changed += _changed_sources(_recorded_sources(state), _recorded_sources(mine))
        if not changed:
            changed = _changed_stages(state, mine)
        if changed:
            raise ConfigError(
                "cannot continue this run, because the order of its samples would change:\n  "
                + "\n  ".join(changed)
                + "\nRestore these, or start a new run from the checkpoint's weights with --policy.path."
            )
        return int(state["batches"])

    @property
    def _unit(self) -> int:
        """Draws in a row that are from one source."""
        return self.batch_size if self.batching == "per_source" else 1

    def _locate(self, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For draws k: their source, and how many draws that source had before."""
        turn = number // self._unit
        source, rank = np.empty_like(turn), np.empty_like(turn)
        later = number // self.batch_size >= self._moves_from if self._moving else np.zeros(len(turn), dtype=bool)
        period, slot = np.divmod(turn[~later], len(self._table))
        source[~later] = self._table[slot]
        rank[~later] = period * self._counts[source[~later]] + self._ranks[slot]
        if self._moving is not None:
            source[later], rank[later] = self._moving.locate(turn[later])
        return source, rank * self._unit + number % self._unit

    def _frames(self, source: np.ndarray, epoch: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The frames at `position` of `epoch` of `source`."""
        if self._windows is None:
            return self._shuffled(source, epoch, position)
        frame, is_windowed = np.empty_like(position), self._windows.is_windowed[source]
        for own, of in ((~is_windowed, self._shuffled), (is_windowed, self._windows.frames)):
            frame[own] = of(source[own], epoch[own], position[own])
        return frame

    def _shuffled(self, source: np.ndarray, epoch: np.ndarray, position: np.ndarray) -> np.ndarray:
        """The same for sources that are shuffled as a whole."""
        return permute(position, self._num_frames[source], subkeys(self._keys[source], epoch))

    def _repeated(self, turns: int) -> np.ndarray:
        """(D,) int64: turns each source has among the first `turns` of the repeating table."""
        period, rest = divmod(turns, len(self._table))
        return period * self._counts + np.bincount(self._table[:rest], minlength=len(self.streams))

    def _moving_order(self) -> tuple[int, MovingOrder | CameraSetOrder | None]:
        """The step from which the table does not hold, and the order from there on; None: it always does."""
        if self.batching == "per_camera_set":
            return 0, CameraSetOrder(self._segments, self.batch_size, [stream.cameras for stream in self.streams])
        first = self._segments[0]
        if first.length is None:
            return 0, None
        per_step = self.batch_size // self._unit
        start = first.length if first.curve == "hold" else 0
        drawn = self._repeated(start * per_step).tolist()
        owed = [
            per_step * start * slots * UNITS - count * WHOLE
            for slots, count in zip(self.stages[0].slots, drawn, strict=True)
        ]
        return start, MovingOrder(self._segments[1 if start else 0 :], per_step, drawn, owed)


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


def _recorded_sources(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The sources of a state, with their cameras; those of older states have them in full."""
    sets = dict(enumerate(state.get("camera_sets", ())))
    return [
        source | {"cameras": sets.get(source["cameras"])} if sets and "cameras" in source else source
        for source in state.get("sources", [])
    ]


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
            changed.append(
                f"{where}: its content or its chosen episodes are not those of then. The mixture.lock of the run has "
                "these, and the commit (`revision`) of a dataset from the Hub"
            )
        if "cameras" in old and "cameras" in new and old["cameras"] != new["cameras"]:
            changed.append(f"{where}: cameras {old['cameras']} then, {new['cameras']} now")
        if old.get("window") != new.get("window"):
            windows = [source.get("window", "none") for source in (old, new)]
            changed.append(f"{where}: shuffle_window {windows[0]} then, {windows[1]} now")
    return changed


def _changed_stages(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is different in the stages on which the batches drawn so far depend. The sources are the same."""
    drawn, names = then["batches"], [source["name"] for source in now["sources"]]
    old, new = (binding(state.get("stages", []), drawn) for state in (then, now))
    listings = [", ".join(f"{s['interpolate']} to step {s['step']}" for s in stages) or "none" for stages in (old, new)]
    if listings[0] != listings[1]:
        return [f"weight_schedule up to step {drawn}: {listings[0]} then, {listings[1]} now"]
    return [
        f"weight_schedule at step {before['step']}: source {name!r}: {one / LONG_PERIOD:.2%} of the samples then, "
        f"{other / LONG_PERIOD:.2%} now"
        for before, after in zip(old, new, strict=True)
        for name, one, other in zip(names, before["slots"], after["slots"], strict=True)
        if one != other
    ]

"""What would make reading faster, by what was measured.

Where a share d of the time goes into one thing, reading is at most 1 / (1 - d) times as fast without it (Amdahl's law):
that is the gain told with "at most". Nothing is advised that was not measured to matter.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from robomix.tools.bench.result import Bench

_MATTERS = 0.3
"""Share of the time from which on a phase is worth a change."""
_MANY_DECODED = 1.5
"""Frames decoded for each that is wanted, from which on their order is worth a change."""


@dataclass(frozen=True)
class Advice:
    """One thing to do."""

    what: str
    why: str
    gain: float | None
    """How many times as fast batches would be read; None where that cannot be told beforehand."""
    at_most: bool = True
    """Whether `gain` is a bound, and not what is expected."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def advise(found: Bench) -> list[Advice]:
    """What to do, in the order in which it is worth trying; nothing where reading does not limit."""
    if found.limit == "policy":
        return []
    return [*_of_decoding(found), *_of_other_phases(found), *_of_workers(found)]


def _of_decoding(found: Bench) -> Iterator[Advice]:
    share = found.alone.shares().get("decode", 0.0)
    if share < _MATTERS or not found.frames_per_sample:
        return
    why = f"{share:.0%} of reading is decoding camera frames"
    if found.far:
        yield Advice(
            "let ROBOMIX_REMOTE_CACHE hold the videos that are used, or copy the datasets to this machine",
            "some sources lie in object storage, and what is fetched again counts as decoding",
            None,
        )
    decoded = found.decoded_per_frame
    yield Advice(
        "robomix materialize, at the size that the policy takes; with --as frames nothing is decoded any more",
        why,
        _without(share),
    )
    if decoded is not None and decoded >= _MANY_DECODED and not found.windowed:
        yield Advice(
            "shuffle_window: batches of neighbouring frames share what is decoded",
            f"{why}, and for each frame wanted {decoded:.1f} are decoded",
            _without(share * (1 - 1 / decoded)),
        )
    if found.cameras > 1:
        yield Advice(
            f"one camera less of {found.cameras} (null in feature_map)",
            why,
            _without(share / found.cameras),
            at_most=False,
        )


def _of_other_phases(found: Bench) -> Iterator[Advice]:
    shares = found.alone.shares()
    if (share := shares.get("transforms", 0.0)) >= _MATTERS:
        what = (
            "robomix materialize stores pictures resized" if found.resizes else "the sources' transforms, made faster"
        )
        yield Advice(what, f"{share:.0%} of reading are the sources' transforms", _without(share))
    if (share := shares.get("image transforms", 0.0)) >= _MATTERS:
        yield Advice(
            "fewer image_transforms at a time (max_num_transforms)",
            f"{share:.0%} of reading are random image transforms",
            _without(share),
        )
    if found.best.workers and (share := found.best.handing_over) >= _MATTERS and found.frames_per_sample:
        yield Advice(
            "smaller pictures (resize_images, or robomix materialize)" if not found.resizes else "smaller pictures",
            f"workers spend {share:.0%} of their time on handing batches over",
            _without(share),
        )


def _of_workers(found: Bench) -> Iterator[Advice]:
    if found.best.workers == found.cores and found.needed is not None:
        yield Advice(
            f"{found.needed / found.best.samples_per_s:.1f} times the cores, or machines with fewer accelerators each",
            f"the fastest loader has a worker for each of the {found.cores} cores",
            found.needed / found.best.samples_per_s,
        )


def _without(share: float) -> float | None:
    """How many times as fast something is without a part that takes `share` of its time."""
    return 1 / (1 - share) if share < 1 else None

"""Windows in time: which frames of a source lie nearest to given seconds, and how long a chunk of actions lasts."""

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from numbers import Real
from typing import Any

from robomix.errors import AlignmentError, ConfigError, did_you_mean
from robomix.features import ACTION
from robomix.mixture.source import Horizons, Source


def windows_of(given: Any, argument: str, known: Collection[str]) -> dict[str, list[Any]]:
    """The windows `given` as `argument`, each a list of at least one step.

    Raises ConfigError for what are no lists by key, AlignmentError for a key that is not `known`.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"{argument}: found {given!r}, expected lists by key, such as {{'action': [0, 1]}}.")
    if unknown := [key for key in given if key not in known]:
        hint = did_you_mean(str(unknown[0]), known)
        raise AlignmentError(
            f"{argument} asks for {unknown[0]!r}, which the mixture lacks.{hint} It has: {', '.join(known)}"
        )
    return {key: _listed(steps, f"{argument} of {key!r}") for key, steps in given.items()}


def in_steps(windows: Mapping[str, Sequence[Any]]) -> dict[str, tuple[int, ...]]:
    """Windows in frames. Raises ConfigError for what is no whole number."""
    return {key: tuple(_whole(step, key) for step in steps) for key, steps in windows.items()}


def in_frames(delta_timestamps: Mapping[str, Sequence[float]], fps: Fraction) -> dict[str, list[int]]:
    """For each key the frames nearest to its times, in seconds relative to the sample's frame; of two, the earlier.

    A time is taken as the decimal number it is written as: 0.05 s at 10 fps is half a frame, and means frame 0. Raises
    ConfigError for what is no finite number.
    """
    return {key: [_nearest(time, key, fps) for time in times] for key, times in delta_timestamps.items()}


def chunk_durations(sources: Sequence[Source], horizons: Horizons) -> str | None:
    """What a chunk of actions lasts in each source, as a sentence; None where it lasts the same in all."""
    having: dict[Fraction, list[str]] = {}
    for source in sources:
        if ACTION in source.features and ACTION in horizons:
            having.setdefault(source.dataset.fps, []).append(source.name)
    if len(having) < 2:
        return None
    n = len(horizons[ACTION])
    lasting = [f"{float(n / fps):.2f} s in {', '.join(names)} ({float(fps):g} fps)" for fps, names in having.items()]
    actions = "a single action" if n == 1 else f"a chunk of {n} actions"
    return f"{actions} lasts {', '.join(lasting)}; dataset.rate resamples them to one rate"


def _listed(steps: Any, what: str) -> list[Any]:
    try:
        window = list(steps)
    except TypeError:
        raise ConfigError(f"{what}: found {steps!r}, expected a list, such as [0].") from None
    if not window:
        raise ConfigError(f"{what} is empty. Give at least one step, or leave it out.")
    return window


def _whole(step: Any, key: str) -> int:
    try:
        if isinstance(step, bool):
            raise TypeError
        return operator.index(step)
    except TypeError:
        raise ConfigError(f"delta_indices of {key!r} holds {step!r}, expected frames, a whole number.") from None


def _nearest(time: float, key: str, fps: Fraction) -> int:
    if isinstance(time, bool) or not isinstance(time, Real) or not math.isfinite(time):
        raise ConfigError(f"delta_timestamps of {key!r} holds {time!r}, expected seconds, a finite number.")
    return math.ceil(Fraction(str(time)) * fps - Fraction(1, 2))

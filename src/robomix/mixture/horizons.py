"""Windows in time: which frames of a source lie nearest to given seconds, and how long a chunk of actions lasts."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from numbers import Real

from robomix.errors import ConfigError
from robomix.features import ACTION
from robomix.mixture.source import Horizons, Source


def in_frames(delta_timestamps: Mapping[str, Sequence[float]], fps: Fraction) -> Horizons:
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


def _nearest(time: float, key: str, fps: Fraction) -> int:
    if isinstance(time, bool) or not isinstance(time, Real) or not math.isfinite(time):
        raise ConfigError(f"delta_timestamps of {key!r} holds {time!r}, expected seconds, a finite number.")
    return math.ceil(Fraction(str(time)) * fps - Fraction(1, 2))

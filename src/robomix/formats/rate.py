"""Frames per second as exact fractions, from what files and configs write."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from robomix.errors import FormatError

MAX_FPS = 100_000
_NTSC = (24, 30, 48, 60, 120)
"""Nominal rates whose television variants, n * 1000 / 1001, appear rounded to two or three decimals."""


class NoRateError(FormatError):
    """A dataset whose files do not say its rate, opened without one."""


def as_rate(value: Any, where: str) -> Fraction:
    """Frames per second as the fraction that was meant: 30, 29.97 -> 30000/1001, 12.5 -> 25/2.

    Raises FormatError, naming `where`, for what is no rate.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_FPS:
        raise FormatError(f"{where} is {value!r}, expected a positive number of frames per second.")
    for nominal in _NTSC:
        television = Fraction(nominal * 1000, 1001)
        if abs(value - float(television)) < 0.004:
            return television
    fps = Fraction(value).limit_denominator(1001)
    if not fps:
        raise FormatError(f"{where} is {value!r}; fewer than a frame in a thousand seconds is not supported.")
    return fps


def settled_rate(own: Fraction | None, given: float | None, path: Path) -> Fraction:
    """The rate of the dataset at `path`: its `own`, else the one `given` with it.

    Raises NoRateError where there is neither, FormatError where they contradict each other.
    """
    asked = None if given is None else as_rate(given, f"{path}: the fps given for it")
    if own is None:
        if asked is not None:
            return asked
        raise NoRateError(
            f"{path} does not say how many frames per second it was recorded with, and its format keeps no times. "
            "Give the rate with the dataset: `fps: 20` in its entry of the mixture file, open_dataset(path, fps=20)."
        )
    if asked is not None and own != asked:
        raise FormatError(
            f"{path} says that it has {float(own):g} frames per second, but {float(asked):g} are given for it. "
            "Leave `fps` out; or correct the dataset if it is wrong."
        )
    return own

"""Charts as SVG: histograms of several sources on one axis, and numbers over time.

Drawn to a fixed size and scaled by the page. Colours are the page's variables, so that light and dark both work; every
mark has a `<title>`, which browsers show and screen readers read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

COLOURS = 10
WIDTH, HEIGHT = 320, 112
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 6, 20
_LANE, _LABEL = 38, 13
"""Height of a lane, and of the line of text at its top."""
_POINTS = 300
"""Points a line is drawn with at most; more cannot be seen."""
_LETTERS = 30
"""Of a lane's label."""


@dataclass(frozen=True)
class Series:
    """One of several things drawn over or below each other."""

    label: str
    colour: str
    """Of the page, as `colour_of` gives it."""
    values: np.ndarray
    """Histogram: (bins,) counts or weights. Lanes: (points,) values; what is not finite is a gap."""


def colour_of(place: int) -> str:
    """A colour for the source at this place, the same on the whole page."""
    return f"var(--series-{place % COLOURS})"


def histogram(series: Sequence[Series], low: float, high: float) -> Markup:
    """Each series in equal bins from `low` to `high`, as outlines over each other.

    Each is drawn as high as its own fullest bin, so that one that hardly moves does not flatten the others.
    """
    width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    marks = []
    for one in series:
        if not one.values.sum():
            continue
        tops = _TOP + height * (1 - one.values / one.values.max())
        edges = _LEFT + np.arange(1, len(tops) + 1) * width / len(tops)
        steps = "".join(f"V{_plain(y)}H{_plain(x)}" for x, y in zip(edges, tops, strict=True))
        path = f"M{_LEFT} {_TOP + height}{steps}V{_TOP + height}Z"
        marks.append(_mark("path", "area", one, d=path))
    return _drawing(HEIGHT, [_axis(HEIGHT, number(low), number(high)), *marks], "histogram", series)


def lanes(series: Sequence[Series], last: float, unit: str) -> Markup:
    """Values over time from 0 to `last`, each in a lane of its own from its lowest to its highest value.

    Long ones are drawn as their lowest and highest in turn.
    """
    height = len(series) * _LANE + _BOTTOM
    marks = [_axis(height, "0", f"{number(last)} {unit}")]
    for lane, one in enumerate(series):
        top = lane * _LANE
        low, high, said = _range(one.values)
        name = one.label if len(one.label) <= _LETTERS else one.label[: _LETTERS - 3] + "..."
        marks.append(Markup('<text x="{}" y="{}" class="name">{}</text>').format(_LEFT, top + 10, name))
        marks.append(Markup('<text x="{}" y="{}" class="end">{}</text>').format(WIDTH - _RIGHT, top + 10, said))
        marks.append(_mark("path", "line", one, d=_line(one.values, top + _LABEL + 2, _LANE - _LABEL - 5, low, high)))
    return _drawing(height, marks, "values over time", series)


def number(value: float) -> str:
    """A number of an axis, in four digits."""
    return f"{value + 0.0:.4g}"


def _range(values: np.ndarray) -> tuple[float, float, str]:
    """The lowest and the highest of the finite values, and both in words."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 0.0, "no finite number"
    low, high = float(finite.min()), float(finite.max())
    return low, high, f"{number(low)} to {number(high)}" if high > low else f"always {number(low)}"


def _line(values: np.ndarray, top: float, height: float, low: float, high: float) -> str:
    thinned = _thinned(np.where(np.isfinite(values), values, np.nan).astype(np.float64))
    x = _LEFT + np.arange(len(thinned)) * (WIDTH - _LEFT - _RIGHT) / max(len(thinned) - 1, 1)
    if not math.isfinite(high - low):
        thinned, low, high = thinned / 2, low / 2, high / 2
    place = (thinned - low) / (high - low) if high > low else thinned - low + 0.5  # NaN stays NaN
    y = top + height * (1 - place)
    path, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(b):
            path.append(f"{pen}{_plain(a)} {_plain(b)}")
        pen = "L" if math.isfinite(b) else "M"
    return "".join(path)


def _axis(height: int, left: str, right: str) -> Markup:
    y = height - _BOTTOM
    base = Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT)
    low = Markup('<text x="{}" y="{}">{}</text>').format(_LEFT, y + 14, left)
    return base + low + Markup('<text x="{}" y="{}" class="end">{}</text>').format(WIDTH - _RIGHT, y + 14, right)


def _mark(tag: str, kind: str, one: Series, *, d: str) -> Markup:
    form = Markup('<{tag} class="{}" style="--colour:{}" d="{}"><title>{}</title></{tag}>')
    return form.format(kind, one.colour, d, one.label, tag=Markup(tag))


def _drawing(height: int, marks: Sequence[Markup], what: str, series: Sequence[Series]) -> Markup:
    label = escape(f"{what} of {', '.join(one.label for one in series)}")
    form = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return form.format(WIDTH, height, label, Markup("").join(marks))


def _thinned(values: np.ndarray) -> np.ndarray:
    """At most `_POINTS` values: of each stretch its lowest and its highest, so that no spike is lost."""
    if len(values) <= _POINTS:
        return values
    kept: list[float] = []
    for stretch in np.array_split(values, _POINTS // 2):
        seen = stretch[np.isfinite(stretch)]
        if not len(seen):
            kept += [np.nan, np.nan]
            continue
        ends = [float(seen.min()), float(seen.max())]
        kept += ends if seen.argmin() <= seen.argmax() else ends[::-1]
    return np.array(kept)


def _plain(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough, and whole ones need no point."""
    return f"{value:.1f}".removesuffix(".0")

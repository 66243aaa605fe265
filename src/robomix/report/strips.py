"""One episode as strip charts: each entry of a vector in a lane of its own, over time."""

from collections.abc import Sequence

import numpy as np

from robomix.report import charts
from robomix.report.blocks import Chart


def strip(title: str, values: np.ndarray, entries: Sequence[str], seconds: float, most: int) -> Chart:
    """The chart of `values` (T, D), whose `entries` (D,) have names, over an episode that lasts so long."""
    shown = min(most, values.shape[1])
    colour = charts.colour_of(1 if title == "action" else 0)
    series = [charts.Series(entries[d], colour, values[:, d]) for d in range(shown)]
    more = (
        f"The last {values.shape[1] - shown} of its {values.shape[1]} entries are not drawn."
        if shown < values.shape[1]
        else ""
    )
    return Chart(charts.lanes(series, seconds, "s"), title, more)

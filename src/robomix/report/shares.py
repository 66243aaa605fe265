"""What part of a whole each source is, as bars."""

from collections.abc import Mapping, Sequence

import numpy as np

from robomix.report import charts
from robomix.report.blocks import Bars, Portion

_REST = "var(--soft)"


def share_bars(names: Sequence[str], shares: Mapping[str, np.ndarray]) -> Bars:
    """A bar for each of `shares`, name to (D,), of sources called `names`.

    Of more sources than there are colours, the smallest by the first of `shares` are drawn as one part.
    """
    largest = np.sort(np.argsort(-next(iter(shares.values())), kind="stable")[: charts.COLOURS])
    legend = [(charts.colour_of(i), names[i]) for i in largest]
    rest = len(names) - len(largest)
    legend += [(_REST, f"{rest} more")] if rest else []
    rows = []
    for what, values in shares.items():
        parts = [Portion(names[i], float(values[i]), charts.colour_of(i)) for i in largest]
        parts += [Portion(f"{rest} more", float(values.sum() - values[largest].sum()), _REST)] if rest else []
        rows.append((what, parts))
    return Bars(rows, legend)

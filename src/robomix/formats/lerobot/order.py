"""Rows of an episode belong in the order of `frame_index`, which counts them from 0."""

from collections.abc import Mapping

import numpy as np

from robomix.errors import FormatError
from robomix.formats.lerobot.rows import Rows


def sort_rows(rows: Rows, arrays: Mapping[str, np.ndarray]) -> None:
    """Sort the rows of episodes that were stored out of order, in all `arrays` (N, ...), in place.

    `arrays["frame_index"]` tells; datasets without it keep the order of their files. Raises FormatError where an
    episode's frame_index is not each of 0 to n - 1 once.
    """
    if "frame_index" not in arrays:
        return
    for ordinal, (start, end) in enumerate(zip(rows.starts[:-1], rows.starts[1:], strict=True)):
        found, counted = arrays["frame_index"][start:end], np.arange(end - start)
        if np.array_equal(found, counted):
            continue
        order = np.argsort(found, kind="stable")
        wrong = np.flatnonzero(found[order] != counted)
        if len(wrong):
            raise FormatError(
                f"{rows.root}: in episode {rows.layout.ids[ordinal]} frame_index should hold each of 0 to "
                f"{end - start - 1} once, but where {wrong[0]} is expected it has {found[order][wrong[0]]}. Rows are "
                "missing or doubled; restore the episode, or remove it from the dataset."
            )
        for array in arrays.values():
            array[start:end] = array[start:end][order]

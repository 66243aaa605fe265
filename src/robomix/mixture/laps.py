"""Where the time of reading a batch goes. Taken always: a lap costs a hundred nanoseconds, a batch milliseconds."""

import time

PHASES = {
    "tables": "gathering numbers from the columns, and finding the files of camera frames",
    "decode": "reading and decoding camera frames",
    "transforms": "the sources' transforms",
    "collate": "padding, masks, and putting the sources into one batch",
    "image transforms": "random image transforms of the training",
}
"""The phases of reading a batch, in their order, and what happens in each."""


class Laps:
    """A stopwatch: `lap(phase)` gives the seconds since the lap before to `phase`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now

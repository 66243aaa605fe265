"""Time stamps: family C."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.defects.corpus import Expected, Injection, data_files, edit_table, injection

INJECTIONS: list[Injection] = []
STATISTICS = ("A02", "A03")


def restamp(folder: Path, episode: int, change: Callable[..., np.ndarray]) -> None:
    """Put `change(times, of)` in place of the time stamps; `of` (rows,) bool says which rows are the episode's."""

    def edit(columns: dict) -> None:
        times = np.array(columns["timestamp"], float)
        of = np.array(columns["episode_index"]) == episode
        columns["timestamp"] = change(times, of).tolist()

    for file in data_files(folder):
        edit_table(file, edit)


@injection(INJECTIONS, "C01", companions=STATISTICS)
def episode_that_starts_late(folder: Path) -> Expected:
    restamp(folder, 1, lambda times, of: times + 0.05 * of)
    return Expected("timestamp", (1,))


@injection(INJECTIONS, "C01", companions=STATISTICS)
def times_that_drift(folder: Path) -> Expected:
    restamp(folder, 0, lambda times, of: np.where(of, times * 1.01, times))
    return Expected("timestamp", (0,))


@injection(INJECTIONS, "C01", companions=STATISTICS)
def times_that_fall(folder: Path) -> Expected:
    def swap(times: np.ndarray, of: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(of)
        if len(rows):
            times[rows[[2, 3]]] = times[rows[[3, 2]]]
        return times

    restamp(folder, 1, swap)
    return Expected("timestamp", (1,))


@injection(INJECTIONS, "C01", companions=STATISTICS)
def times_of_the_whole_dataset(folder: Path) -> Expected:
    restamp(folder, 1, lambda times, of: times + 0.5 * of)
    restamp(folder, 2, lambda times, of: times + 1.2 * of)
    return Expected("timestamp", (1, 2))


@injection(INJECTIONS, "C01", companions=STATISTICS)
def times_that_are_no_numbers(folder: Path) -> Expected:
    restamp(
        folder,
        2,
        lambda times, of: np.where(of & (np.arange(len(of)) == np.flatnonzero(of).max(initial=-1)), np.nan, times),
    )
    return Expected("timestamp", (2,))


@injection(INJECTIONS, "C02", spec={"lengths": (5, 16_000), "fps": 15, "cameras": {}})
def an_episode_of_eighteen_minutes(folder: Path) -> Expected:
    return Expected("timestamp", (1,))


@injection(INJECTIONS, "C03", companions=("C01", *STATISTICS))
def dropped_frames(folder: Path) -> Expected:
    restamp(folder, 1, lambda times, of: times + 0.2 * (of & (times > 0.25)))
    return Expected("timestamp", (1,))

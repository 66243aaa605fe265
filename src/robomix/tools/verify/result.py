"""What a verification has found: plain data, for tables, JSON and reports. Arrays are as measured, nothing is drawn."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Verdict = Literal["ok", "off", "not checked"]


@dataclass(frozen=True)
class Check:
    """One property of the loader that was looked at."""

    name: str
    verdict: Verdict
    text: str
    """What was found, and where; what should be, if it is off."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"name": self.name, "verdict": self.verdict, "text": self.text}


@dataclass(frozen=True)
class SourceDraws:
    """What was drawn of one source."""

    name: str
    fps: float
    drawn: int
    """Samples."""
    expected: float
    """Samples that the mixture file asks for; under a `weight_schedule`, over the steps that were drawn."""
    resolved: float
    """Its share of the samples by the mixture file, over the steps that were drawn."""
    measured: float
    """Its share of the samples that were drawn."""
    largest_deviation: float
    """Samples by which it was ahead (above 0) or behind at the end of a batch, where it was furthest off."""
    frames: int
    """Frames that can be drawn."""
    frames_seen: int
    """Of these, how many were drawn at least once."""
    frames_seen_again: int
    """Of these, how many were drawn more than once."""
    epochs: float
    """How often the source was gone through."""
    episodes: int
    episodes_seen: int
    tasks: Mapping[str, int]
    """Task text to samples; of the most frequent ones, where there are many."""
    tasks_seen: int
    tasks_total: int
    """Tasks of the episodes that are used."""
    padded_steps: Mapping[str, float]
    """For keys with a time mask, the share of time steps that are padding."""
    padded_dims: Mapping[str, float]
    """For vectors, the share of entries that are padding."""
    lacks: tuple[str, ...]
    """Features it has not, which are zeros in its samples."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class FeatureSeen:
    """One entry of the samples, as it came from the loader."""

    key: str
    dtype: str
    """torch's name, such as float32; `str` for texts."""
    shape: tuple[int, ...]
    """Without the batch axis."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"key": self.key, "dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class SeenValues:
    """Numbers of one feature in the samples of one source, padding left out; of windows one step of each sample."""

    source: str
    key: str
    labels: tuple[str, ...]
    """(D,): what its entries, or a camera's channels, are called."""
    count: int
    """Rows that were looked at: one for each sample; of cameras some pixels of each."""
    mean: np.ndarray
    """(D,) float64, as the other three."""
    std: np.ndarray
    """Population standard deviation."""
    minimum: np.ndarray
    maximum: np.ndarray
    not_finite: int
    """Numbers that are NaN or infinite, in all steps of all windows. They do not count in the rest."""
    sample: np.ndarray
    """(R, D) float32, R at most `values.KEPT`: rows evenly spaced in the order drawn, for histograms."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON, without the rows for histograms."""
        return {name: plain(value) for name, value in vars(self).items() if name != "sample"}


@dataclass(frozen=True)
class OrderSeen:
    """What an order of samples costs to read, and how well it mixes (`mixing`)."""

    order: str
    """What it is, in words."""
    decoded_per_frame: float | None
    """Frames that are decoded for each camera frame of a sample; None: no cameras."""
    files_per_batch: float | None
    """Files that are opened for a rank's slice of a batch; None: no cameras."""
    episodes_per_batch: float
    """Different ones, in a global batch."""
    autocorrelation: float | None
    """Of the episodes of a batch and those of the next: 0 by chance, 1 the same; None: there is nothing to compare."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Timing:
    """How fast samples came, and where the time went."""

    samples_per_s: float
    """After the first batch, in all ranks together: over `draw_s`, without workers over `waiting_s`, in which alone
    batches are read then. NaN where there was but one batch."""
    start_s: float
    """Until the first batch: starting workers, opening files."""
    draw_s: float
    """From the first batch to the last."""
    waiting_s: float
    """Of `draw_s`, waiting for batches; the rest is what verifying takes, while workers read on."""
    phases_s: Mapping[str, float]
    """Seconds of all workers together by phase of reading a batch (`mixture.laps.PHASES`)."""
    workers: int
    """For each rank; 0: batches are read in the process that takes them."""
    worker_peak_bytes: int | None = None
    """Peak resident memory of the largest worker, pages shared with others included; None: not known."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {name: plain(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Verification:
    """Everything a verification has found."""

    origin: str
    """The mixture file."""
    samples: int
    """Samples drawn, of all ranks together."""
    asked: int
    """Samples that were asked for."""
    batches: int
    """Global batches."""
    batch_size: int
    """Samples of a global batch."""
    ranks: int
    seed: int
    checks: tuple[Check, ...]
    sources: tuple[SourceDraws, ...]
    features: tuple[FeatureSeen, ...]
    values: tuple[SeenValues, ...]
    timing: Timing
    orders: tuple[OrderSeen, ...] = ()
    """The mixture's order of samples; then that of whole sources, where some are shuffled within windows."""

    @property
    def is_ok(self) -> bool:
        """Whether no check found anything off."""
        return all(check.verdict != "off" for check in self.checks)

    def record(self) -> dict[str, Any]:
        """As plain data for JSON; numbers that are no numbers are null."""
        lists = ("checks", "sources", "features", "values", "orders")
        own = {name: value for name, value in vars(self).items() if name not in (*lists, "timing")}
        many = {name: [item.record() for item in getattr(self, name)] for name in lists}
        return {"ok": self.is_ok} | own | many | {"timing": self.timing.record()}


def plain(value: Any) -> Any:
    """`value` as JSON has it: arrays and tuples as lists, NaN and infinity as null."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Loaders that are wrong on purpose, put where the right parts go: schedules, mixtures, and loaders of ranks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from robomix.config import MixtureConfig
from robomix.mixture.dataset import Batch, Mixture, Request
from robomix.mixture.loader import Loader, make_loader
from robomix.mixture.resolve import make_schedule
from robomix.mixture.schedule import Draws, Schedule
from robomix.tools.verify.subject import Subject
from tests.memory import ArrayDataset, mixture, source

BATCH = 16
WIDTHS = {"a": 3, "b": 5}
LENGTHS = {"a": [30, 20], "b": [40]}
WEIGHTS = {"a": 2.0, "b": 1.0}


def dataset(name: str) -> ArrayDataset:
    """One camera, a state and actions; entry d of row r of the state is r + d / 10."""
    n, width = sum(LENGTHS[name]), WIDTHS[name]
    state = np.arange(n)[:, None] + np.arange(width) / 10
    columns = {
        "observation.state": state.astype(np.float32),
        "action": -state.astype(np.float32),
        "observation.images.top": np.full((n, 3, 16, 16), 7, dtype=np.uint8),
    }
    if name == "b":
        columns["observation.effort"] = np.ones((n, 2), dtype=np.float32)
    return ArrayDataset(columns, LENGTHS[name], tasks=(f"task of {name}",))


def config(weights: dict[str, float] = WEIGHTS, **block: Any) -> MixtureConfig:
    datasets = [{"root": name, "name": name, "weight": weight} for name, weight in weights.items()]
    return MixtureConfig.from_dict({"datasets": datasets, **block})


def the_mixture(cls: type[Mixture] = Mixture, weights: dict[str, float] = WEIGHTS) -> Mixture:
    parts = [source(dataset(name), name, weight=weight) for name, weight in weights.items()]
    right = mixture(*parts, horizons={"action": range(-1, 4)})
    return cls(right.sources, right.schema, horizons=right.horizons, seed=5)


def subject(**parts: Any) -> Subject:
    """A right loader, but for what `parts` replace."""
    asked = parts.pop("config", None) or config()
    made = parts.pop("mixture", None) or the_mixture(weights={str(s.name): s.weight for s in asked.datasets})
    schedule = parts.pop("schedule", None) or make_schedule(made.sources, asked, seed=5, batch_size=BATCH)
    return Subject(asked, made, schedule, **parts)


def schedule(cls: type[Schedule] = Schedule, shares: Sequence[float] = (2 / 3, 1 / 3)) -> Schedule:
    """A schedule of other shares, or of another class."""
    right = make_schedule(the_mixture().sources, config(), seed=5, batch_size=BATCH)
    streams = [replace(stream, probability=share) for stream, share in zip(right.streams, shares, strict=True)]
    return cls(streams, seed=5, batch_size=BATCH)


class RepeatingFrames(Schedule):
    """Draws each second frame in place of its neighbour."""

    def batch(self, t: int) -> Draws:
        return replace(draws := super().batch(t), frame=draws.frame // 2 * 2)


class OneFrameTwice(Schedule):
    """In batch 2, one sample is that of batch 0 once more."""

    def batch(self, t: int) -> Draws:
        draws, first = super().batch(t), super().batch(0)
        if t != 2:
            return draws
        at = int(np.flatnonzero(draws.source == first.source[0])[0])
        frame = draws.frame.copy()
        frame[at] = first.frame[0]
        return replace(draws, frame=frame)


class OtherEachTime(Schedule):
    """Shuffles each batch by a generator that goes on from call to call."""

    random = np.random.default_rng(0)

    def batch(self, t: int) -> Draws:
        return super().batch(t).take(self.random.permutation(self.batch_size))


def rank_0_always(*args: Any, rank: int, **settings: Any) -> Loader:
    """The loader of every rank draws what rank 0 draws."""
    return make_loader(*args, rank=0, **settings)


class Changed(Mixture):
    """A mixture whose batches are changed before they are handed out."""

    change: Callable[[Batch], None]

    def __getitems__(self, request: Any) -> Batch:
        batch = super().__getitems__(request)
        if isinstance(request, Request):
            type(self).change(batch)
        return batch

    def only(self, keys: Any) -> Mixture:
        raise NotImplementedError


def changed(change: Callable[[Batch], None]) -> Mixture:
    return the_mixture(type("Changed", (Changed,), {"change": staticmethod(change)}))


def unmasked_state(batch: Batch) -> None:
    """Padded entries of the state pass for data."""
    batch["observation.state_dim_is_pad"] = torch.zeros_like(batch["observation.state_dim_is_pad"])


def unmasked_end(batch: Batch) -> None:
    """Steps after the end of an episode pass for data."""
    batch["action_is_pad"] = batch["action_is_pad"] & (torch.arange(5) == 0)


def filled_padding(batch: Batch) -> None:
    """Entries that are masked hold numbers."""
    batch["observation.state"][batch["observation.state_dim_is_pad"]] = 0.5


def other_dtype(batch: Batch) -> None:
    batch["action"] = batch["action"].double()


def other_shape(batch: Batch) -> None:
    batch["observation.images.top"] = batch["observation.images.top"][:, :, :8]


def left_out(batch: Batch) -> None:
    del batch["observation.effort_is_pad"]


def one_nan(batch: Batch) -> None:
    batch["action"][3, 2, 0] = torch.nan


def other_source(batch: Batch) -> None:
    batch["dataset_index"] = 1 - batch["dataset_index"]


def other_time(batch: Batch) -> None:
    batch["timestamp"] = batch["timestamp"] + 0.01


def other_picture(batch: Batch) -> None:
    batch["observation.images.top"] = batch["observation.images.top"] + 1


def shifted_actions(batch: Batch) -> None:
    """Each window begins a step too early."""
    batch["action"] = torch.roll(batch["action"], 1, dims=1)


def scaled_actions(batch: Batch) -> None:
    batch["action"] = batch["action"] * 2


def no_state(batch: Batch) -> None:
    batch["observation.state"] = torch.zeros_like(batch["observation.state"])


def other_text(batch: Batch) -> None:
    batch["task"] = ["something else" for _ in batch["task"]]


def other_task(batch: Batch) -> None:
    batch["task_index"] = 1 - batch["task_index"]

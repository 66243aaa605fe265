"""What a training reports: averages since the last report, split by source, as a log line and a line of JSON."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.errors import RobomixError
from robomix.training.objectives import Objective


@dataclass
class Window:
    """Sums since the last report. Losses stay on the device until then, so that no step waits for them."""

    sources: int
    device: torch.device
    started: float = field(default_factory=time.perf_counter)
    steps: int = 0
    waited: float = 0.0
    """Seconds the training waited for data."""

    def __post_init__(self) -> None:
        self._loss = torch.zeros((), device=self.device)
        self._grad_norm = torch.zeros((), device=self.device)
        self._extra = torch.zeros((), device=self.device)
        self._errors = torch.zeros(self.sources, device=self.device)
        self._weights = torch.zeros(self.sources, device=self.device)

    def add(self, grad_norm: Tensor, waited: float) -> None:
        """Counts one step, after its parts."""
        self.steps += 1
        self.waited += waited
        self._grad_norm += grad_norm.detach()

    def add_part(self, loss: Tensor, objective: Objective, source: Tensor, parts: int) -> None:
        """Counts one of the `parts` of a step; `source` (B,) is each sample's dataset_index."""
        self._loss += loss.detach() / parts
        if len(objective.errors):
            self._extra += objective.extra.detach() / parts
            index = source.to(self.device)
            self._errors.index_add_(0, index, objective.errors.detach().float())
            self._weights.index_add_(0, index, objective.weights.detach().float())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside, time is not that of the training."""
        begun = time.perf_counter()
        yield
        self.started += time.perf_counter() - begun

    def reduced(self, accelerator: Any, names: list[str]) -> dict[str, Any]:
        """The averages over all ranks.

        `loss` is what is minimized; `regularizer` the part of it that belongs to no sample, such as ACT's divergence of
        the latent; `loss_per_source` the rest, of each source's samples.
        """
        elapsed = time.perf_counter() - self.started
        sums = accelerator.reduce(torch.cat([self._errors, self._weights]), "sum").cpu().numpy()
        summed = torch.stack([self._loss, self._grad_norm, self._extra])
        mean = accelerator.reduce(summed, "mean").cpu().numpy() / self.steps
        errors, weights = np.split(sums, 2)
        return {
            "loss": float(mean[0]),
            "regularizer": float(mean[2]),
            "grad_norm": float(mean[1]),
            "data_wait_share": self.waited / elapsed,
            "steps_per_s": self.steps / elapsed,
            "loss_per_source": {name: float(e / w) for name, e, w in zip(names, errors, weights, strict=True) if w > 0},
        }


def log_line(record: dict[str, Any], steps: int) -> str:
    """One line for people of a record of a training of `steps` steps."""
    part = f" (regularizer {record['regularizer']:.4f})" if record["regularizer"] else ""
    rate = record["samples_per_s"]
    parts = [
        f"step {record['step']:,}/{steps:,}",
        f"loss {record['loss']:.4f}{part}",
        f"grad {record['grad_norm']:.2f}",
        f"lr {record['lr']:.1e}",
        f"{rate:,.0f} samples/s" if rate >= 10 else f"{rate:.1f} samples/s",
        f"data wait {record['data_wait_share']:.0%}",
    ]
    if record.get("retries"):
        parts.append(f"{record['retries']:,} retries over the network so far")
    if record["loss_per_source"]:
        parts.append("loss of " + ", ".join(f"{name} {loss:.4f}" for name, loss in record["loss_per_source"].items()))
    return " | ".join(parts)


class MetricsFile:
    """`metrics.jsonl`: one JSON object per report. A resumed run first drops what lies beyond its checkpoint."""

    def __init__(self, path: Path, resumed_at: int) -> None:
        """Makes the folder, too. Raises RobomixError where that cannot be done."""
        self.path = path
        kept = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resumed_at and path.exists():
                kept = [line for line in path.read_text().splitlines() if _step_of(line) <= resumed_at]
            path.write_text("".join(f"{line}\n" for line in kept))
        except OSError as error:
            raise RobomixError(f"cannot write {path}: {error.strerror}. Choose another --output_dir.") from error

    def write(self, record: dict[str, Any]) -> None:
        """Raises RobomixError where it cannot, as on a full disk."""
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise RobomixError(f"cannot write {self.path}: {error.strerror}") from error


def _step_of(line: str) -> float:
    """The step of a line; a line that was cut off by a crash counts as beyond every checkpoint."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")
